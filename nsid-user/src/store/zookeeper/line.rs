//! Whose turn it is, from one look at the pool.
//!
//! Who has a ticket is in line. As many as slots are free have their turn, those who came first. Who had one of these
//! slots last, takes that one; the i-th of the others takes the i-th slot of the rest. All who look at the same state of
//! the pool so choose different slots, and when one of them has taken its slot, the choices of the others stay as they
//! were.
//!
//! **Invariant:** while nobody leaves, n claimants have the slots 0 to n - 1: a slot is somebody's own only if it is one
//! of the lowest so many as there are claimants.

use std::collections::{HashMap, HashSet};

use super::nodes::slot_called;
use crate::store::Nonce;

/// A place in line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Whose.
    nonce: Nonce,
    /// The slot that its node had last.
    pub(super) last: Option<u32>,
    /// How many had come before.
    pub(super) number: u64,
}

/// A state of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// Who is in line, the first first.
    line: Vec<Ticket>,
    taken: HashSet<u32>,
}

/// What one claimant does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is its turn, for this slot.
    Take(u32),
    /// It waits: no slot is free for it.
    Wait,
    /// It is not in line.
    Absent,
}

impl Ticket {
    /// The one whose node is called so.
    pub(super) fn called(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let (nonce, last, number) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
        let last = if last.is_empty() { None } else { Some(slot_called(last)?) };
        Some(Self { nonce, last, number: number.parse().ok()? }).filter(|_| parts.next().is_none())
    }
}

impl View {
    /// Of a pool with nodes so called. Those that are called otherwise are somebody else's.
    pub(super) fn new<'a>(
        line: impl IntoIterator<Item = &'a String>,
        slots: impl IntoIterator<Item = &'a String>,
    ) -> Self {
        let mut line: Vec<Ticket> = line.into_iter().filter_map(|name| Ticket::called(name)).collect();
        line.sort_unstable_by_key(|ticket| ticket.number);
        let mut seen = HashSet::new();
        // Of a ticket whose answer was lost, there may be a second one.
        line.retain(|ticket| seen.insert(ticket.nonce));
        Self { line, taken: slots.into_iter().filter_map(|name| slot_called(name)).collect() }
    }

    /// How many are in line.
    pub(super) fn waiting(&self) -> usize {
        self.line.len()
    }

    /// The slots from 0 to `limit` - 1 that nobody has, in ascending order.
    pub(super) fn free(&self, limit: u32) -> Vec<u32> {
        (0..limit).filter(|slot| !self.taken.contains(slot)).collect()
    }

    /// What the claimant `nonce` does next, in a pool of the slots 0 to `limit` - 1.
    pub(super) fn turn(&self, nonce: Nonce, limit: u32) -> Turn {
        let Some(place) = self.line.iter().position(|ticket| ticket.nonce == nonce) else {
            return Turn::Absent;
        };
        let mut free = self.free(limit);
        if place >= free.len() {
            return Turn::Wait;
        }
        let turns = &self.line[..self.line.len().min(free.len())];
        let back = self.back_in_their_own(turns, &free);
        if let Some(slot) = back.get(&nonce) {
            return Turn::Take(*slot);
        }
        let given: HashSet<u32> = back.values().copied().collect();
        free.retain(|slot| !given.contains(slot));
        let before = turns[..place].iter().filter(|ticket| !back.contains_key(&ticket.nonce)).count();
        Turn::Take(free[before])
    }

    /// Those that take the slot which their node had last; of two claimants of one node, it is the first one's.
    fn back_in_their_own(&self, turns: &[Ticket], free: &[u32]) -> HashMap<Nonce, u32> {
        let claimants = self.taken.len() + self.line.len();
        let lowest = free.iter().copied().filter(|slot| (*slot as usize) < claimants);
        let mut own: HashSet<u32> = lowest.collect();
        turns.iter().filter_map(|ticket| Some((ticket.nonce, own.take(&ticket.last?)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    const LIMIT: u32 = 12;

    fn nonce(number: usize) -> Nonce {
        format!("{number:032x}").parse().unwrap()
    }

    prop_compose! {
        fn pool()(
            taken in btree_set(0..LIMIT, 0..=LIMIT as usize),
            lasts in vec(option::of(0..LIMIT + 2), 0..20),
        ) -> View {
            let ticket = |(at, last)| Ticket { nonce: nonce(at), last, number: at as u64 };
            View { line: lasts.into_iter().enumerate().map(ticket).collect(), taken: taken.into_iter().collect() }
        }
    }

    impl View {
        fn turns(&self) -> Vec<Turn> {
            self.line.iter().map(|ticket| self.turn(ticket.nonce, LIMIT)).collect()
        }

        fn take(&mut self, nonce: Nonce, slot: u32) {
            self.line.retain(|ticket| ticket.nonce != nonce);
            self.taken.insert(slot);
        }
    }

    proptest! {
        #[test]
        fn the_first_in_line_take_the_lowest_free_slots_or_their_own_one_each(pool in pool()) {
            let free: Vec<u32> = (0..LIMIT).filter(|slot| !pool.taken.contains(slot)).collect();
            let turns = pool.turns();
            let (first, others) = turns.split_at(turns.len().min(free.len()));
            prop_assert!(others.iter().all(|turn| *turn == Turn::Wait));
            let taken = |turn: &Turn| match turn { Turn::Take(slot) => Some(*slot), _ => None };
            let taken: Option<Vec<u32>> = first.iter().map(taken).collect();
            let taken = taken.expect("a turn each");
            let all: HashSet<u32> = taken.iter().copied().collect();
            prop_assert_eq!(all.len(), taken.len(), "one each: {:?}", taken);
            for (ticket, slot) in pool.line.iter().zip(&taken) {
                prop_assert!(free.contains(slot));
                prop_assert!(free[..first.len()].contains(slot) || ticket.last == Some(*slot));
            }
        }

        #[test]
        fn a_claimant_that_takes_its_slot_changes_nobody_elses_choice(pool in pool(), who: Index) {
            prop_assume!(!pool.line.is_empty());
            let who = pool.line[who.index(pool.line.len())].nonce;
            let Turn::Take(slot) = pool.turn(who, LIMIT) else { return Ok(()) };
            let mut after = pool.clone();
            after.take(who, slot);
            for ticket in &after.line {
                prop_assert_eq!(after.turn(ticket.nonce, LIMIT), pool.turn(ticket.nonce, LIMIT));
            }
        }

        #[test]
        fn while_nobody_leaves_the_slots_are_taken_from_below(
            lasts in vec(option::of(0..LIMIT + 2), 1..=LIMIT as usize),
            order in vec(any::<Index>(), LIMIT as usize),
        ) {
            let ticket = |(at, last)| Ticket { nonce: nonce(at), last, number: at as u64 };
            let line: Vec<Ticket> = lasts.into_iter().enumerate().map(ticket).collect();
            let claimants = line.len();
            let mut pool = View { line, taken: HashSet::new() };
            for index in order.iter().take(claimants) {
                let who = pool.line[index.index(pool.line.len())].nonce;
                let Turn::Take(slot) = pool.turn(who, LIMIT) else { panic!("every slot is free") };
                pool.take(who, slot);
            }
            let mut taken: Vec<u32> = pool.taken.into_iter().collect();
            taken.sort_unstable();
            prop_assert_eq!(taken, (0..LIMIT).take(claimants).collect::<Vec<_>>());
        }

        #[test]
        fn who_comes_back_takes_its_own_slot_if_that_is_free(pool in pool()) {
            let claimants = pool.taken.len() + pool.line.len();
            let Some(first) = pool.line.first() else { return Ok(()) };
            let Some(last) = first.last.filter(|last| *last < LIMIT) else { return Ok(()) };
            prop_assume!(!pool.taken.contains(&last) && (last as usize) < claimants);
            prop_assert_eq!(pool.turn(first.nonce, LIMIT), Turn::Take(last));
        }
    }

    #[test]
    fn a_name_is_a_tickets_or_nobodys() {
        let nonce = nonce(7);
        let called = |rest: &str| Ticket::called(&format!("{nonce}{rest}"));
        assert_eq!(called("--0000000012"), Some(Ticket { nonce, last: None, number: 12 }));
        assert_eq!(called("-3-0000000000"), Some(Ticket { nonce, last: Some(3), number: 0 }));
        for rest in ["", "-", "--", "-3-x", "-03-0", "-3-1-2", "-3"] {
            assert_eq!(called(rest), None, "{rest}");
        }
        assert_eq!(Ticket::called("--0000000012"), None);
    }

    #[test]
    fn in_line_is_who_came_first_whatever_the_order_of_the_names_and_nobody_twice() {
        let line = [(2, 30), (1, 10), (2, 20)].map(|(who, number)| format!("{}--{number:010}", nonce(who)));
        let view = View::new(&line, &["0".to_owned(), "x".to_owned(), "03".to_owned()]);
        assert_eq!(view.line.len(), 2);
        assert_eq!(view.turn(nonce(1), 3), Turn::Take(1));
        assert_eq!(view.turn(nonce(2), 3), Turn::Take(2));
        assert_eq!(view.turn(nonce(2), 2), Turn::Wait);
        assert_eq!(view.turn(nonce(3), 3), Turn::Absent);
    }
}
