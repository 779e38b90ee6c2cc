//! Whole clusters in one thread, on a network that does everything a network can do; from a seed, and the same each time.
//!
//! `NSID_SEED=N cargo test -p nsid-peers no_name_is_said_twice` runs that seed alone, `NSID_SEEDS=N` the first N.

mod clock;
mod faults;
mod host;
mod names;
mod network;
mod promises;
mod scale;
mod world;
