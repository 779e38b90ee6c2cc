//! Whole clusters in one thread, on a network that does everything a network can do; from a seed, and the same each time.
//!
//! `NSID_SEED=N cargo test -p nsid-peers` runs that seed alone, wherever there are many.

mod clock;
mod host;
mod names;
mod network;
mod scale;
mod world;
