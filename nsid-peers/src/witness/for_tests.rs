//! What only the model and the simulator ask of a witness.

use super::{Terms, Witness};
use crate::Time;
use crate::message::{Id, Number, Outgoing};
use crate::pool::Pool;

/// Terms that are nothing but how many slots the one pool has.
pub(crate) struct Limit;

impl Terms for Limit {
    fn read(terms: &str) -> Option<(String, u32)> {
        Some((String::new(), terms.parse().ok()?))
    }

    fn collide(_: &str, _: &str) -> bool {
        false
    }
}

impl Witness {
    /// Calls the others.
    pub(crate) fn call_all(&self, now: Time, out: &mut Vec<Outgoing>) {
        self.standing.call_all(now, out);
    }

    /// Whether a request of that number would change nothing.
    pub(crate) fn heard_later(&self, nonce: Id, number: Number) -> bool {
        self.pools.values().any(|pool: &Pool| pool.heard_later(nonce, number))
    }
}
