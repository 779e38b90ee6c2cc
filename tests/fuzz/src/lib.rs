//! What the fuzz targets share: how their input is read, and what they start from.
//!
//! Each target is a program of its own in `targets/`, linked with libFuzzer, and `cargo xtask fuzz` runs them.

pub mod frame;
pub mod host;
pub mod seeds;
