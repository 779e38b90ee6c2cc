//! The agent and command line of nsid, as a library for its binary and its tests.

pub mod claim;
pub mod clock;
pub mod name;
pub mod store;
