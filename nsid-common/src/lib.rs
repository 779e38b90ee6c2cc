//! DNS packets to NSID decisions, without an operating system.
//!
//! The XDP and tc programs (crate `nsid-ebpf`), the agent and the tests share this code: bytes are parsed, a verdict
//! is reached, and only then is anything written. Read the modules in this order:
//!
//! - [`memory`]: a frame as it can be reached at a hook, and the one place with `unsafe`.
//! - [`ip`], [`dns`]: the wire formats, from the Ethernet header to an option in OPT.
//! - [`query`], [`response`]: the decisions, each a function from a frame to an [`Outcome`](outcome::Outcome); what a
//!   query asks is read in [`asked`], what is written is in [`answer`] and [`insert`].
//! - [`pending`], [`served`], [`fence`], [`image`]: what the decisions ask of the maps, and [`maps`], their layout;
//!   [`policy`], [`clients`], [`rate`]: what a person decides, and they keep to.
//! - [`hook`]: what a hook has to provide; a BPF program and a test each have their own.
//! - `model` (feature of that name): that of a test.
//!
//! **Invariant:** this crate knows neither aya nor tokio, allocates nothing and cannot panic on any input.
//!
//! **Invariant:** nothing is written to a frame before the verdict is complete; a frame that is neither answered nor
//! edited leaves byte-identical.
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![expect(clippy::inline_always, reason = "the verifier follows a call less far than what is inlined")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "words are cut into their parts, in the kernel without branches"
)]

pub mod answer;
pub mod asked;
pub mod checksum;
pub mod clients;
pub mod dns;
pub mod fence;
pub mod hook;
pub mod identity;
pub mod image;
pub mod insert;
pub mod ip;
pub mod maps;
pub mod memory;
#[cfg(any(test, feature = "model"))]
pub mod model;
pub mod outcome;
pub mod pending;
pub mod policy;
pub mod query;
pub mod rate;
pub mod response;
mod route;
pub mod served;

#[cfg(any(test, feature = "model"))]
extern crate std;
