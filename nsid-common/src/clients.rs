//! Who a client is to us: whether the kernel answers it, and whether it may see the name.
//!
//! A table of intervals of addresses, in order, each from where it begins to where the next one does. It is searched by
//! halves, so the number of intervals is filled up to a power of two. A trie of the kernel's costs 36 ns a look-up and
//! cannot be changed at once; of these tables there are two, of which the [`policy`](crate::policy) in use has one.

use crate::{
    ip::{Headers, Ip},
    maps::{Address, Control, Maps},
    memory::{Bytes, Word},
    policy::{self, InUse},
};

/// Intervals of one table, at most.
pub const INTERVALS: u32 = 1 << STEPS;
/// Halvings of the largest table.
const STEPS: u32 = 12;

/// The kernel answers it.
pub const ANSWERED: u64 = 1;
/// It may see the name.
pub const NAMED: u64 = 2;

/// An interval of addresses.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Interval {
    /// The first eight bytes of its first address, as a number.
    pub high: Word,
    /// The last eight bytes of its first address, as a number.
    pub low: Word,
    /// What holds for its addresses: [`ANSWERED`], [`NAMED`].
    pub says: Word,
}

const _: () = assert!(size_of::<Interval>() == 24);

impl Interval {
    /// Makes it that of these addresses.
    pub fn set(&self, from: u128, says: u64) {
        self.high.set((from >> 64) as u64);
        self.low.set(from as u64);
        self.says.set(says);
    }
}

/// Fills a table, whose places are these; `false`, and nothing done: they are too few, or there is no interval at 0.
///
/// The intervals are in order, each with its first address and what it says.
pub fn fill(places: &[Interval], policy: &policy::Policy, intervals: &[(u128, u64)]) -> bool {
    let count = intervals.len().next_power_of_two();
    let Some((&(0, _), &(_, last))) = intervals.first().zip(intervals.last()) else { return false };
    let Some(places) = places.get(..count) else { return false };
    // What fills it up begins at the last address, and says of that one what its interval says.
    let filler = core::iter::repeat((u128::MAX, last));
    for (place, (from, says)) in places.iter().zip(intervals.iter().copied().chain(filler)) {
        place.set(from, says);
    }
    policy.intervals.set(count as u64);
    true
}

/// What the table says of an address, from place `first` on, with so many intervals.
#[inline(always)]
pub fn look_up<'a>(
    place: impl Fn(u32) -> Option<&'a Interval>,
    first: u32,
    intervals: u32,
    address: Address,
) -> u64 {
    let (high, low) = (address.high.swap_bytes(), address.low.swap_bytes());
    let (mut at, mut half, mut step) = (first, intervals / 2, 0);
    while step < STEPS {
        if half == 0 {
            break;
        }
        let Some(middle) = place(at + half) else { return 0 };
        let from_high = middle.high.get();
        if from_high < high || from_high == high && middle.low.get() <= low {
            at += half;
        }
        half /= 2;
        step += 1;
    }
    place(at).map_or(0, |interval| interval.says.get())
}

/// What holds for the sender of a frame over this version of IP.
///
/// The table has no place for IPv6 that pretends to be IPv4 (RFC 4291 2.5.5.2): nothing holds for it.
#[inline(always)]
pub fn sender<V: Ip, M: Maps + Bytes>(frame: &M, tags: usize) -> u64 {
    let Some(headers) = frame.view::<Headers<V::Hdr>>(tags) else { return 0 };
    let client = V::source(headers);
    if client.is_v4() != (V::VERSION == 4) {
        return 0;
    }
    let Some(control) = frame.control() else { return 0 };
    let in_use = InUse::from_word(control.policy.get()).index();
    let Some(policy) = frame.policy(in_use) else { return 0 };
    frame.client(in_use * INTERVALS, policy.intervals.get() as u32, client)
}

/// Whether the sender of a frame over this version of IP may see the name.
#[inline(always)]
pub(crate) fn may_see<V: Ip, M: Maps + Bytes>(frame: &M, tags: usize, control: &Control) -> bool {
    !InUse::from_word(control.policy.get()).some_may_not_see() || sender::<V, M>(frame, tags) & NAMED != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Model, policy::Policy};
    use proptest::{collection::btree_map, prelude::*};
    use std::{collections::BTreeMap, vec, vec::Vec};

    fn table(places: u32) -> Vec<Interval> {
        (0..places).map(|_| Interval::default()).collect()
    }

    fn said(places: &[Interval], policy: &Policy, address: u128) -> u64 {
        let address = Address::v6(address.to_be_bytes());
        look_up(|at| places.get(at as usize), 0, policy.intervals.get() as u32, address)
    }

    #[test]
    fn a_table_that_was_never_filled_says_nothing_of_anybody() {
        let model = Model::new();
        assert_eq!(model.frame(&mut vec![]).client(0, 0, Address::v4([10, 0, 0, 1])), 0);
    }

    #[test]
    fn intervals_that_do_not_fit_or_do_not_begin_at_0_are_refused() {
        let policy = Policy::default();
        assert!(!fill(&table(4), &policy, &[]));
        assert!(!fill(&table(4), &policy, &[(1, 1)]));
        assert!(!fill(&table(3), &policy, &[(0, 1), (1, 0), (2, 1)]), "filled up to four");
        assert!(fill(&table(4), &policy, &[(0, 1), (1, 0), (2, 1)]));
        let most: Vec<_> = (0..u128::from(INTERVALS)).map(|from| (from, u64::from(from % 2 == 0))).collect();
        let places = table(INTERVALS);
        assert!(fill(&places, &policy, &most));
        for (from, says) in most {
            assert_eq!(said(&places, &policy, from), says, "{from}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_found_in_the_interval_that_begins_last_before_it(
            others in btree_map(any::<u128>(), any::<u64>(), 0..100), first: u64, anywhere: u128,
        ) {
            let mut intervals: BTreeMap<u128, u64> = others;
            intervals.insert(0, first);
            let (places, policy) = (table(128), Policy::default());
            let ordered: Vec<_> = intervals.iter().map(|(from, says)| (*from, *says)).collect();
            prop_assert!(fill(&places, &policy, &ordered));
            let borders = intervals.keys().flat_map(|from| [from.wrapping_sub(1), *from, from.wrapping_add(1)]);
            for address in borders.chain([anywhere, u128::MAX]) {
                let (_, expected) = intervals.range(..=address).next_back().unwrap();
                prop_assert_eq!(said(&places, &policy, address), *expected, "{:x}", address);
            }
        }
    }
}
