//! Which slot is whose turn, from one look at the pool.
//!
//! Every claimant has a ticket: a key that lives as long as its lease, in the order in which they came. Those without
//! a slot are the line; the i-th in line takes the i-th free slot. All who look at the same state of the pool so choose
//! different slots, and when one of them has taken its slot, the choices of the others stay as they were.

use std::collections::HashSet;

use crate::store::Nonce;

/// A state of the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// When it was that, in etcd's count.
    pub revision: i64,
    /// Who has a ticket, the oldest first.
    pub tickets: Vec<Nonce>,
    /// The slots that are taken.
    pub slots: Vec<Taken>,
}

/// A slot that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub slot: u32,
    /// None: nobody that we know.
    pub holder: Option<Nonce>,
    /// When it was taken, in etcd's count.
    pub revision: i64,
}

/// What one claimant does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It has a slot already, from an earlier claim: that one is its own.
    Keep(Taken),
    /// It is its turn, for this slot.
    Take(u32),
    /// It waits until so many tickets are gone: those of holders, whose slots are free then, or of others in line.
    Wait {
        /// How many.
        departures: usize,
    },
    /// It is not in line.
    Absent,
}

impl View {
    /// That of the claimant `nonce`, in a pool of the slots 0 to `limit` - 1.
    pub fn turn(&self, nonce: Nonce, limit: u32) -> Turn {
        // Where limits differ, others hold slots beyond ours, and are in no line. Our own from before the pool was made
        // smaller is none.
        let within = |taken: &&Taken| taken.slot < limit;
        if let Some(own) = self.slots.iter().filter(within).find(|taken| taken.holder == Some(nonce)) {
            return Turn::Keep(*own);
        }
        let mut holders: HashSet<Nonce> = self.slots.iter().filter_map(|taken| taken.holder).collect();
        holders.remove(&nonce);
        let mut line = self.tickets.iter().filter(|ticket| !holders.contains(ticket));
        let Some(before) = line.position(|ticket| *ticket == nonce) else { return Turn::Absent };
        let taken: HashSet<u32> = self.slots.iter().filter(within).map(|taken| taken.slot).collect();
        let mut free = (0..limit).filter(|slot| !taken.contains(slot));
        match free.nth(before) {
            Some(slot) => Turn::Take(slot),
            None => Turn::Wait { departures: before + 1 - (limit as usize - taken.len()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    const LIMIT: u32 = 12;

    fn nonce(number: u32) -> Nonce {
        format!("{number:032x}").parse().unwrap()
    }

    fn taken(slot: u32, holder: Option<u32>) -> Taken {
        Taken { slot, holder: holder.map(nonce), revision: i64::from(slot) + 1 }
    }

    prop_compose! {
        /// Claimants 0 and up hold some slots, 100 and up wait, and a stranger has a slot or none.
        fn pool()(
            slots in btree_set(0..LIMIT, 0..=LIMIT as usize),
            stranger in any::<bool>(),
            line in 0..20_u32,
            order in vec(any::<Index>(), 40),
        ) -> View {
            let holders = slots.iter().copied();
            let mut tickets: Vec<Nonce> =
                holders.clone().filter(|slot| !stranger || *slot != 3).chain(100..100 + line).map(nonce).collect();
            for (at, index) in order.iter().enumerate().take(tickets.len()) {
                let other = index.index(tickets.len());
                tickets.swap(at, other);
            }
            let slots = holders.map(|slot| taken(slot, (!stranger || slot != 3).then_some(slot))).collect();
            View { revision: 7, tickets, slots }
        }
    }

    impl View {
        fn line(&self) -> Vec<Nonce> {
            let held = |nonce: &Nonce| self.slots.iter().any(|taken| taken.holder == Some(*nonce));
            self.tickets.iter().copied().filter(|nonce| !held(nonce)).collect()
        }

        fn turns(&self) -> Vec<Turn> {
            self.line().into_iter().map(|nonce| self.turn(nonce, LIMIT)).collect()
        }
    }

    proptest! {
        #[test]
        fn the_line_takes_the_lowest_free_slots_one_each(pool in pool()) {
            let free = (0..LIMIT).filter(|slot| pool.slots.iter().all(|taken| taken.slot != *slot));
            let turns = pool.turns();
            let takers = turns.iter().filter(|turn| matches!(turn, Turn::Take(_))).count();
            prop_assert_eq!(&turns[..takers], free.map(Turn::Take).take(turns.len()).collect::<Vec<_>>());
            for (turn, departures) in turns[takers..].iter().zip(1..) {
                prop_assert_eq!(*turn, Turn::Wait { departures });
            }
        }

        #[test]
        fn a_claimant_that_takes_its_slot_changes_nobody_elses_choice(pool in pool(), who: Index) {
            let (line, before) = (pool.line(), pool.turns());
            prop_assume!(!line.is_empty());
            let who = who.index(line.len());
            let Turn::Take(slot) = before[who] else { return Ok(()) };
            let mut pool = pool;
            pool.slots.push(Taken { slot, holder: Some(line[who]), revision: 99 });
            for (nonce, choice) in line.iter().zip(before) {
                let expected = if *nonce == line[who] { Turn::Keep(*pool.slots.last().unwrap()) } else { choice };
                prop_assert_eq!(pool.turn(*nonce, LIMIT), expected);
            }
        }

        #[test]
        fn a_turn_comes_with_so_many_departures_and_no_sooner(pool in pool(), leaving in vec(any::<Index>(), 32)) {
            for nonce in pool.line() {
                let Turn::Wait { departures } = pool.turn(nonce, LIMIT) else { continue };
                let mut pool = pool.clone();
                // Holders, and who came before.
                let place = pool.tickets.iter().position(|ticket| *ticket == nonce).unwrap();
                let line = pool.line();
                let leaves = |(at, ticket): (usize, &Nonce)| {
                    (at < place || *ticket != nonce && !line.contains(ticket)).then_some(*ticket)
                };
                let mut leavers: Vec<Nonce> = pool.tickets.iter().enumerate().filter_map(leaves).collect();
                prop_assume!(leavers.len() >= departures);
                for index in leaving.iter().take(departures) {
                    let waits = matches!(pool.turn(nonce, LIMIT), Turn::Wait { .. });
                    prop_assert!(waits, "before its turn");
                    let leaver = leavers.swap_remove(index.index(leavers.len()));
                    pool.tickets.retain(|ticket| *ticket != leaver);
                    pool.slots.retain(|taken| taken.holder != Some(leaver));
                }
                prop_assert!(matches!(pool.turn(nonce, LIMIT), Turn::Take(_)));
            }
        }

        #[test]
        fn a_holder_keeps_its_slot(pool in pool()) {
            for own in &pool.slots {
                if let Some(holder) = own.holder {
                    prop_assert_eq!(pool.turn(holder, LIMIT), Turn::Keep(*own));
                }
            }
        }
    }

    #[test]
    fn a_slot_beyond_the_limit_is_neither_kept_nor_counted() {
        let pool =
            View { revision: 7, tickets: vec![nonce(1)], slots: vec![taken(7, Some(1)), taken(0, Some(2))] };
        assert_eq!(pool.turn(nonce(1), 8), Turn::Keep(taken(7, Some(1))));
        assert_eq!(pool.turn(nonce(1), 7), Turn::Take(1));
        assert_eq!(pool.turn(nonce(1), 1), Turn::Wait { departures: 1 });
        assert_eq!(pool.turn(nonce(3), 8), Turn::Absent);
    }

    #[test]
    fn who_holds_a_slot_beyond_our_limit_is_not_in_line_before_us() {
        let tickets = vec![nonce(1), nonce(2), nonce(3)];
        let pool = View { revision: 7, tickets, slots: vec![taken(2, Some(1)), taken(3, Some(2))] };
        assert_eq!(pool.turn(nonce(3), 2), Turn::Take(0));
    }
}
