//! DNS packets to NSID decisions, without an operating system.
#![no_std]
