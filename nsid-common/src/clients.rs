//! Who a client is to us: whether the kernel answers it, and whether it may see the name.
//!
//! A table of intervals of addresses, in order, each from where it begins to where the next one does. It is searched by
//! halves, so the number of intervals is filled up to a power of two. A trie of the kernel's costs 36 ns a look-up and
//! cannot be changed at once; of these tables there are two, of which the [`policy`](crate::policy) in use has one.

use crate::{
    hook::Hook,
    ip::{Headers, Ip, V4, V6},
    maps::{Address, Maps},
    memory::Word,
    pending::{self, Exchange},
    policy::{self, InUse},
};

/// Intervals of one table, at most.
pub const INTERVALS: u32 = 1 << STEPS;
/// Halvings of the largest table.
const STEPS: u32 = 10;

/// The kernel answers it.
pub const ANSWERED: u64 = 1;
/// It may see the name.
pub const NAMED: u64 = 2;
/// Its network has had its answers: says the [`rate`](crate::rate), and never the table.
pub const OVER: u64 = 4;

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

/// Whether a table begins with these intervals.
pub fn holds(places: &[Interval], intervals: &[(u128, u64)]) -> bool {
    let told = |place: &Interval| {
        let from = u128::from(place.high.get()) << 64 | u128::from(place.low.get());
        (from, place.says.get())
    };
    places.len() >= intervals.len()
        && places.iter().map(told).zip(intervals).all(|(told, wanted)| told == *wanted)
}

/// What the table in use says of an address.
#[inline(always)]
pub fn look_up<M: Maps>(maps: &M, address: Address) -> u64 {
    let Some(in_use) = maps.control().map(InUse::of) else { return 0 };
    let Some(policy) = maps.policy(in_use.index()) else { return 0 };
    let (high, low) = (address.high.swap_bytes(), address.low.swap_bytes());
    let (mut at, mut half) = (in_use.index() * INTERVALS, policy.intervals.get() as u32 / 2);
    let mut step = 0;
    while step < STEPS {
        if half == 0 {
            break;
        }
        let Some(middle) = maps.interval(at + half) else { return 0 };
        let from_high = middle.high.get();
        if from_high < high || from_high == high && middle.low.get() <= low {
            at += half;
        }
        half /= 2;
        step += 1;
    }
    maps.interval(at).map_or(0, |interval| interval.says.get())
}

/// What holds for the sender of a frame over this version of IP.
///
/// The table has no place for IPv6 that pretends to be IPv4 (RFC 4291 2.5.5.2): nothing holds for it.
#[inline(always)]
pub(crate) fn of<V: Ip, H: Hook>(frame: &H, client: Address) -> u64 {
    if client.is_v4() == (V::VERSION == 4) { frame.client(client) } else { 0 }
}

/// Forgets an exchange whose query was sent by who may not see the name; whether it was.
#[inline(always)]
pub fn forget_hidden<H: Hook>(frame: &H, tags: usize, version: usize, exchange: Exchange) -> bool {
    let client = match version {
        4 => frame.view::<Headers<<V4 as Ip>::Hdr>>(tags).map(V4::source),
        _ => frame.view::<Headers<<V6 as Ip>::Hdr>>(tags).map(V6::source).filter(|client| !client.is_v4()),
    };
    let hidden = client.is_none_or(|client| frame.client(client) & NAMED == 0);
    if hidden {
        pending::forget(frame, exchange);
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use proptest::{collection::btree_map, prelude::*};
    use std::{collections::BTreeMap, vec, vec::Vec};

    /// A model whose table is that.
    fn filled(intervals: &[(u128, u64)]) -> Option<Model> {
        let model = Model::new();
        fill(&model.intervals[..INTERVALS as usize], model.policy(), intervals).then_some(model)
    }

    fn said(model: &Model, address: u128) -> u64 {
        look_up(&model.frame(&mut vec![]), Address::v6(address.to_be_bytes()))
    }

    #[test]
    fn a_table_that_was_never_filled_says_nothing_of_anybody() {
        assert_eq!(said(&Model::new(), 1), 0);
    }

    #[test]
    fn intervals_that_do_not_fit_or_do_not_begin_at_0_are_refused() {
        assert!(filled(&[]).is_none());
        assert!(filled(&[(1, 1)]).is_none());
        let most: Vec<_> = (0..u128::from(INTERVALS)).map(|from| (from, u64::from(from % 2 == 0))).collect();
        let model = filled(&most).unwrap();
        for &(from, says) in &most {
            assert_eq!(said(&model, from), says, "{from}");
        }
        let one_more = [&most[..], &[(u128::MAX, 7)]].concat();
        assert!(filled(&one_more).is_none());
    }

    proptest! {
        #[test]
        fn an_address_is_found_in_the_interval_that_begins_last_before_it(
            others in btree_map(any::<u128>(), any::<u64>(), 0..100), first: u64, anywhere: u128,
        ) {
            let mut intervals: BTreeMap<u128, u64> = others;
            intervals.insert(0, first);
            let ordered: Vec<_> = intervals.iter().map(|(from, says)| (*from, *says)).collect();
            let model = filled(&ordered).unwrap();
            let borders = intervals.keys().flat_map(|from| [from.wrapping_sub(1), *from, from.wrapping_add(1)]);
            for address in borders.chain([anywhere, u128::MAX]) {
                let (_, expected) = intervals.range(..=address).next_back().unwrap();
                prop_assert_eq!(said(&model, address), *expected, "{:x}", address);
            }
        }
    }
}
