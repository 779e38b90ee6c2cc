//! How many datagrams a sender may send: more than any node of a healthy cluster does.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::BootTime;

/// The time that is counted.
const WINDOW: Duration = Duration::from_secs(1);

/// Datagrams of one address in it. Hundreds of claimants may share one.
const MOST: u32 = 2000;

/// Addresses in it. With more of them, those that are new are not told apart.
const ADDRESSES: usize = 16_384;

/// One count.
#[derive(Debug, Default)]
pub(super) struct Rate {
    since: Option<BootTime>,
    count: u32,
}

impl Rate {
    /// Counts one; whether it is not too many.
    pub(super) fn admit(&mut self) -> bool {
        if is_over(&mut self.since) {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.count <= MOST
    }
}

/// One for each address.
#[derive(Debug, Default)]
pub(super) struct Rates {
    since: Option<BootTime>,
    counts: HashMap<IpAddr, u32>,
    others: u32,
}

impl Rates {
    /// Counts one; whether it is not too many.
    pub(super) fn admit(&mut self, from: IpAddr) -> bool {
        if is_over(&mut self.since) {
            self.counts.clear();
            self.others = 0;
        }
        let is_known = self.counts.contains_key(&from);
        let count = if is_known || self.counts.len() < ADDRESSES {
            self.counts.entry(from).or_insert(0)
        } else {
            &mut self.others
        };
        *count = count.saturating_add(1);
        *count <= MOST
    }
}

/// Whether the time is over that began then; another one begins.
fn is_over(since: &mut Option<BootTime>) -> bool {
    let now = BootTime::now();
    let is_over = since.is_none_or(|since| since.saturating_add(WINDOW) <= now);
    if is_over {
        *since = Some(now);
    }
    is_over
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_sends_too_much_is_not_heard_and_the_others_are() {
        let (mut rates, loud, other) = (Rates::default(), [10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        // A window may end on the way.
        let admitted = (0..3 * MOST).filter(|_| rates.admit(loud)).count();
        assert!(admitted < 3 * MOST as usize);
        assert!(rates.admit(other));
    }

    #[test]
    fn of_more_addresses_than_are_counted_one_by_one_not_all_are_heard() {
        let mut rates = Rates::default();
        let all = ADDRESSES + 2 * MOST as usize;
        let admitted =
            (0..all).filter(|n| rates.admit(u32::try_from(*n).unwrap().to_be_bytes().into())).count();
        assert!(admitted >= ADDRESSES && rates.counts.len() <= ADDRESSES);
    }
}
