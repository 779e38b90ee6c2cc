use std::collections::BTreeSet;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const LIMIT: u32 = 12;

fn nonce(number: u32) -> Nonce {
    format!("{number:032x}").parse().unwrap()
}

fn node(number: u32) -> NodeId {
    NodeId::of("machine", "default", number)
}

/// Of the claimant and the node of that number.
fn ticket(number: u32) -> Ticket {
    Ticket { nonce: nonce(number), node: Some(node(number)), slot: None, is_unsettled: false }
}

/// Taken by a claimant of a node.
fn record(slot: u32, claimant: u32, of: u32) -> Record {
    let holder =
        Holder { nonce: nonce(claimant), node: node(of), host: String::new(), since: 0, ttl: 10_000 };
    Record { slot, holder: Some(holder), released: false, revision: i64::from(slot) + 1, token: 1 }
}

prop_compose! {
    /// Claimants 0 and up hold some slots, 100 and up wait, and a stranger has a slot or none. Of the free slots, some
    /// were once had by nodes of those who wait.
    fn pool()(
        slots in btree_set(0..LIMIT, 0..=LIMIT as usize),
        stranger in any::<bool>(),
        line in 0..20_u32,
        last in vec(proptest::option::of(100..120_u32), LIMIT as usize),
        order in vec(any::<Index>(), 40),
    ) -> View {
        let is_stranger = |slot: u32| stranger && slot == 3;
        let holders = slots.iter().copied().filter(|slot| !is_stranger(*slot));
        let mut tickets: Vec<_> = holders.chain(100..100 + line).map(ticket).collect();
        for (at, index) in order.iter().enumerate().take(tickets.len()) {
            let other = index.index(tickets.len());
            tickets.swap(at, other);
        }
        let had = |slot: u32| last[slot as usize].map(|of| record(slot, 1000 + slot, of));
        let slots = (0..LIMIT).filter_map(|slot| match slots.contains(&slot) {
            true if is_stranger(slot) => Some(Record { holder: None, ..record(slot, 0, 0) }),
            true => Some(record(slot, slot, slot)),
            false => had(slot),
        });
        View { revision: 7, slots: slots.collect(), tickets, somebody_left: true, long_ago: true }
    }
}

impl View {
    fn line(&self) -> Vec<Nonce> {
        let holders: HashSet<Nonce> = self.holders().map(|(_, holder)| holder.nonce).collect();
        self.tickets.iter().map(|ticket| ticket.nonce).filter(|nonce| !holders.contains(nonce)).collect()
    }

    fn each_ones(&self) -> Vec<Turn> {
        self.line().into_iter().map(|nonce| self.turn(nonce, LIMIT)).collect()
    }

    fn free(&self) -> BTreeSet<u32> {
        let taken: HashSet<u32> = self.holders().map(|(record, _)| record.slot).collect();
        let unknown = |slot: &u32| self.record(*slot).is_some_and(|record| record.holder.is_none());
        (0..LIMIT).filter(|slot| !taken.contains(slot) && !unknown(slot)).collect()
    }

    fn take(&mut self, slot: u32, claimant: Nonce) {
        let of = self.tickets.iter().find(|ticket| ticket.nonce == claimant).unwrap().node.clone().unwrap();
        self.slots.retain(|record| record.slot != slot);
        let holder = Holder { nonce: claimant, node: of, host: String::new(), since: 0, ttl: 10_000 };
        self.slots.push(Record { slot, holder: Some(holder), released: false, revision: 99, token: 99 });
    }
}

fn slot(turn: &Turn) -> Option<u32> {
    if let Turn::Take(slot) = turn { Some(*slot) } else { None }
}

proptest! {
    #[test]
    fn the_first_in_line_take_the_free_slots_one_each_and_the_others_wait(pool in pool()) {
        let (free, turns) = (pool.free(), pool.each_ones());
        let takers = free.len().min(turns.len());
        let taken: BTreeSet<u32> = turns[..takers].iter().filter_map(slot).collect();
        prop_assert_eq!(taken.len(), takers, "{:?}", turns);
        prop_assert!(taken.is_subset(&free));
        for (turn, departures) in turns[takers..].iter().zip(1..) {
            prop_assert_eq!(*turn, Turn::Wait { departures });
        }
    }

    #[test]
    fn who_has_had_no_slot_takes_the_lowest_that_is_not_anothers_own(pool in pool()) {
        let mut pool = pool;
        let strangers = pool.slots.iter().filter(|record| record.holder.is_none()).count();
        pool.slots.retain(|record| record.nonce().is_none_or(|nonce| pool.tickets.iter().any(|ticket| ticket.nonce == nonce)));
        let lowest: Vec<u32> = pool.free().into_iter().take(pool.line().len()).collect();
        let taken: Vec<u32> = pool.each_ones().iter().filter_map(slot).collect();
        prop_assert_eq!(taken, lowest, "with {} strangers", strangers);
    }

    #[test]
    fn a_line_without_gaps_before_it_leaves_none(held in 0..LIMIT, pool in pool()) {
        let mut pool = pool;
        let line = pool.line();
        pool.tickets.retain(|ticket| line.contains(&ticket.nonce));
        pool.tickets.extend((0..held).map(ticket));
        pool.slots.retain(|record| record.slot >= held && record.holder.is_some());
        // Who had a slot from there on left long ago.
        for record in &mut pool.slots {
            record.holder.as_mut().unwrap().nonce = nonce(2000);
        }
        pool.slots.extend((0..held).map(|slot| record(slot, slot, slot)));
        let taken: BTreeSet<u32> = pool.each_ones().iter().filter_map(slot).collect();
        let end = (held as usize + line.len()).min(LIMIT as usize);
        prop_assert!(taken.iter().copied().eq(held..u32::try_from(end).unwrap()), "{:?}", taken);
    }

    #[test]
    fn a_claimant_that_takes_its_slot_changes_nobody_elses_choice(pool in pool(), who: Index) {
        let (line, before) = (pool.line(), pool.each_ones());
        prop_assume!(!line.is_empty());
        let who = who.index(line.len());
        let Turn::Take(slot) = before[who] else { return Ok(()) };
        let mut pool = pool;
        pool.take(slot, line[who]);
        for (nonce, choice) in line.iter().zip(before) {
            let expected = if *nonce == line[who] { Turn::Keep { slot, revision: 99 } } else { choice };
            prop_assert_eq!(pool.turn(*nonce, LIMIT), expected);
        }
    }

    #[test]
    fn a_turn_comes_with_so_many_departures_and_no_sooner(pool in pool(), leaving in vec(any::<Index>(), 32)) {
        for nonce in pool.line() {
            let Turn::Wait { departures } = pool.turn(nonce, LIMIT) else { continue };
            let mut pool = pool.clone();
            // Holders, and who came before.
            let place = pool.tickets.iter().position(|ticket| ticket.nonce == nonce).unwrap();
            let line = pool.line();
            let leaves = |(at, ticket): (usize, &Ticket)| {
                let leaves = at < place || ticket.nonce != nonce && !line.contains(&ticket.nonce);
                leaves.then_some(ticket.nonce)
            };
            let mut leavers: Vec<Nonce> = pool.tickets.iter().enumerate().filter_map(leaves).collect();
            prop_assume!(leavers.len() >= departures);
            for index in leaving.iter().take(departures) {
                let waits = matches!(pool.turn(nonce, LIMIT), Turn::Wait { .. });
                prop_assert!(waits, "before its turn");
                let leaver = leavers.swap_remove(index.index(leavers.len()));
                pool.tickets.retain(|ticket| ticket.nonce != leaver);
            }
            prop_assert!(matches!(pool.turn(nonce, LIMIT), Turn::Take(_)));
        }
    }

    #[test]
    fn a_look_shows_each_in_line_what_its_own_would(
        pool in pool(),
        unsettled in vec(any::<bool>(), 40),
        somebody_left: bool,
        looks: Index,
    ) {
        let mut pool = View { somebody_left, ..pool };
        prop_assume!(!pool.line().is_empty());
        let looks = pool.line()[looks.index(pool.line().len())];
        for (ticket, is_unsettled) in pool.tickets.iter_mut().zip(unsettled) {
            ticket.is_unsettled = is_unsettled && ticket.nonce != looks;
        }
        let shown = pool.steps(looks, LIMIT);
        let settled = |nonce: &Nonce| pool.tickets.iter().any(|ticket| ticket.nonce == *nonce && !ticket.is_unsettled);
        for (nonce, step) in shown.iter().filter(|(nonce, _)| settled(nonce)) {
            let own = pool.steps(*nonce, LIMIT).into_iter().find(|(other, _)| other == nonce);
            prop_assert_eq!(own.map(|(_, own)| own), Some(*step));
        }
        let missing = pool.line().into_iter().find(|nonce| settled(nonce) && !shown.iter().any(|(other, _)| other == nonce));
        prop_assert_eq!(missing, None);
    }

    #[test]
    fn a_holder_keeps_its_slot(pool in pool()) {
        for (own, holder) in pool.holders() {
            let Record { slot, revision, .. } = *own;
            prop_assert_eq!(pool.turn(holder.nonce, LIMIT), Turn::Keep { slot, revision });
        }
    }
}

#[test]
fn a_node_that_is_back_gets_its_own_slot_if_it_is_free_and_is_not_far_out() {
    // Nodes 1, 3 and 4 have left, and 3 is back under another nonce.
    let slots = (0..5).map(|slot| record(slot, slot, slot)).collect();
    let back = Ticket { node: Some(node(3)), ..ticket(300) };
    let mut pool = View {
        revision: 7,
        tickets: vec![ticket(0), ticket(2), back.clone()],
        slots,
        somebody_left: true,
        long_ago: true,
    };
    // Of three claimants, none has slot 3.
    assert_eq!(pool.turn(back.nonce, 8), Turn::Take(1));
    pool.tickets.push(ticket(4));
    assert_eq!(pool.turn(back.nonce, 8), Turn::Take(3));
    // Its twin: there is one own slot.
    let twin = Ticket { nonce: nonce(301), ..back.clone() };
    pool.tickets.push(twin.clone());
    assert_eq!([back.nonce, twin.nonce].map(|nonce| pool.turn(nonce, 8)), [Turn::Take(3), Turn::Take(1)]);
    // It is somebody else's by now.
    pool.take(3, twin.nonce);
    assert_eq!(pool.turn(back.nonce, 8), Turn::Take(1));
}

#[test]
fn a_slot_whose_record_was_deleted_is_its_holders_as_long_as_that_lives() {
    let held = Ticket { slot: Some(0), ..ticket(0) };
    let mut pool = View {
        revision: 7,
        tickets: vec![held, ticket(1)],
        slots: vec![],
        somebody_left: true,
        long_ago: true,
    };
    assert_eq!(pool.turn(nonce(1), 8), Turn::Take(1));
    assert_eq!(pool.turn(nonce(1), 1), Turn::Wait { departures: 1 });
    // It is in line itself when it has noticed.
    assert_eq!(pool.turn(nonce(0), 8), Turn::Take(1));
    pool.tickets[0].slot = None;
    assert_eq!([0, 1].map(|number| pool.turn(nonce(number), 8)), [Turn::Take(0), Turn::Take(1)]);
}

#[test]
fn of_two_slots_that_a_claimant_took_the_later_is_its_own_and_the_other_free() {
    let (earlier, later) = (record(0, 5, 5), Record { revision: 9, ..record(2, 5, 5) });
    let pool = View {
        revision: 9,
        tickets: vec![ticket(5), ticket(6)],
        slots: vec![earlier, later],
        somebody_left: true,
        long_ago: true,
    };
    assert_eq!(pool.turn(nonce(5), 8), Turn::Keep { slot: 2, revision: 9 });
    assert_eq!(pool.turn(nonce(6), 8), Turn::Take(0));
}

#[test]
fn a_slot_beyond_the_limit_is_neither_kept_nor_counted() {
    let slots = vec![record(7, 1, 1), record(0, 2, 2)];
    let pool =
        View { revision: 7, tickets: vec![ticket(1), ticket(2)], slots, somebody_left: true, long_ago: true };
    assert_eq!(pool.turn(nonce(1), 8), Turn::Keep { slot: 7, revision: 8 });
    assert_eq!(pool.turn(nonce(1), 7), Turn::Take(1));
    assert_eq!(pool.turn(nonce(1), 1), Turn::Wait { departures: 1 });
    assert_eq!(pool.turn(nonce(3), 8), Turn::Absent);
}

#[test]
fn a_slot_without_a_record_is_free_once_nobody_can_have_it_by_its_arrival() {
    let unsettled = Ticket { is_unsettled: true, ..ticket(0) };
    let slots = vec![record(1, 7, 7)];
    let tickets = vec![unsettled, ticket(1), ticket(2)];
    let mut pool = View { revision: 7, tickets, slots, somebody_left: false, long_ago: false };
    for _ in 0..2 {
        // One that has a record is.
        assert_eq!([1, 2].map(|number| pool.turn(nonce(number), 8)), [Turn::Take(1), Turn::Unsettled]);
        pool.somebody_left = true;
    }
    pool.tickets[0].is_unsettled = false;
    assert_eq!([0, 1, 2].map(|number| pool.turn(nonce(number), 8)), [0, 1, 2].map(Turn::Take));
    pool.somebody_left = false;
    assert_eq!(pool.turn(nonce(2), 8), Turn::Unsettled);
    // All have records: there is nothing to wait for but departures.
    pool.slots = (0..2).map(|slot| record(slot, slot, slot)).collect();
    assert_eq!(pool.turn(nonce(2), 2), Turn::Wait { departures: 1 });
}

#[test]
fn who_waits_is_shown_who_is_so_many_places_before_it_in_line() {
    let holder = record(0, 0, 0);
    // Claimant 500 has come again to what it took.
    let slots = vec![holder, record(1, 500, 500)];
    let tickets = [0, 500].into_iter().chain(100..100 + 2 * FAR).map(ticket).collect();
    let pool = View { revision: 7, tickets, slots, somebody_left: true, long_ago: true };
    let ahead: Vec<_> =
        pool.steps(nonce(100), 2).into_iter().map(|(nonce, step)| (nonce, step.ahead)).collect();
    let line = (0..2 * FAR)
        .map(|place| (nonce(100 + place), place.checked_sub(FAR).map(|ahead| nonce(100 + ahead))));
    assert_eq!(
        ahead,
        [0, 500].map(|number| (nonce(number), None)).into_iter().chain(line).collect::<Vec<_>>()
    );
}

#[test]
fn who_takes_a_slot_is_shown_how_it_stands() {
    let released = Record { released: true, ..record(0, 100, 100) };
    let later = Record { revision: 9, ..record(3, 7, 7) };
    // Claimant 7 has left slot 1 for slot 3, 8 is gone, and 100 gave slot 0 back and waits again.
    let slots = vec![released, record(1, 7, 7), record(2, 8, 8), later];
    let tickets = [7, 100, 101, 102, 103].map(ticket).to_vec();
    let pool = View { revision: 9, tickets, slots, somebody_left: true, long_ago: true };
    let last = |revision, gone: Option<u32>| Some(LastTaken { revision, gone: gone.map(nonce) });
    let expected = [
        (Turn::Keep { slot: 3, revision: 9 }, None),
        (Turn::Take(0), last(1, None)),
        (Turn::Take(1), last(2, None)),
        (Turn::Take(2), last(3, Some(8))),
        (Turn::Take(4), None),
    ];
    let shown: Vec<_> =
        pool.steps(nonce(100), 8).into_iter().map(|(_, step)| (step.turn, step.last)).collect();
    assert_eq!(shown, expected);
}
