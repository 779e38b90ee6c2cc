//! Slots that lie idle: free at each look, and taken by nobody whose turn it is.
//!
//! That is no one's intention. But a ticket may stay though its claimant does not look any more: of a session that lives on,
//! or one that a server shows and the others do not have. Whoever is behind it would wait for as long.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::BootTime;

/// What one claimant has seen, look by look.
#[derive(Debug, Default)]
pub(super) struct Idle {
    since: HashMap<u32, BootTime>,
}

impl Idle {
    /// These are free, in ascending order, and no others.
    pub(super) fn see(&mut self, free: &[u32], now: BootTime) {
        self.since.retain(|slot, _| free.binary_search(slot).is_ok());
        for slot in free {
            self.since.entry(*slot).or_insert(now);
        }
    }

    /// The lowest that has been free at each look for so long.
    pub(super) fn for_long(&self, long: Duration, now: BootTime) -> Option<u32> {
        let long_ago = now.saturating_sub(long);
        self.since.iter().filter(|(_, since)| **since <= long_ago).map(|(slot, _)| *slot).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_idle_once_it_was_free_at_each_look_for_long() {
        const LONG: Duration = Duration::from_secs(4);
        let at = |seconds: u64| BootTime::from_nanos(seconds * 1_000_000_000);
        let mut idle = Idle::default();
        for (second, free, lowest) in [
            (10, &[3, 5][..], None),
            (12, &[5], None),
            (13, &[3, 5], None),
            (14, &[3, 5], Some(5)),
            (17, &[3, 5], Some(3)),
            (18, &[], None),
            (19, &[5], None),
        ] {
            idle.see(free, at(second));
            assert_eq!(idle.for_long(LONG, at(second)), lowest, "{second}");
        }
    }
}
