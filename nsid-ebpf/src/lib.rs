//! Memory, maps and hooks of the XDP and tc programs; what is done with them is decided in `nsid-common`.
//!
//! - [`maps`]: the maps, and how the decisions read them.
//! - [`frame`]: a frame in the kernel's memory, the one place of packet pointer arithmetic.
//! - [`xdp`], [`tc`]: the two hooks: what is theirs, and their subprograms.
//! - [`subprogram`]: how a loop becomes a subprogram of its own.
//!
//! What is logged is an outcome's code; the agent tells its name. The level is a constant to the verifier, which leaves
//! the logging out where it is off.
//!
//! **Invariant:** nothing is decided here.
#![no_std]
#![feature(asm_experimental_arch)]
#![expect(clippy::inline_always, reason = "what is not inlined is a subprogram, by design or not at all")]
#![expect(clippy::cast_possible_truncation, reason = "words are packed of fields and cut into them again")]
#![expect(
    clippy::not_unsafe_ptr_arg_deref,
    reason = "contexts are the kernel's: only its entry points bring one in, and the verifier follows each use"
)]

pub mod frame;
pub mod maps;
mod subprogram;
pub mod tc;
pub mod xdp;
