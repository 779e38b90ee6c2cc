//! `cargo xtask`: set-up, build, run, test, bench and lint.

fn main() {}
