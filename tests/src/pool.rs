//! A pool of names that no other test uses.

use std::fs;

use crate::unique::{Prefix, Unique};

const LOCAL_STORE: &str = "/run/nsid/local";

/// A pool, in whichever store; what it has in that of the host is removed on Drop.
#[derive(Debug)]
pub struct Pool(Unique);

impl Pool {
    /// A new one.
    pub fn new(prefix: Prefix) -> Self {
        Self(Unique::new(prefix))
    }

    /// The pattern, for `--pattern`.
    pub fn pattern(&self) -> String {
        format!("worker{{id}}.{}.test", self.0)
    }

    /// The name of a slot.
    pub fn name(&self, slot: u32) -> String {
        format!("worker{slot}.{}.test", self.0)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for entry in fs::read_dir(LOCAL_STORE).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().contains(self.0.as_str()) {
                let _already_gone = fs::remove_dir_all(entry.path());
            }
        }
    }
}
