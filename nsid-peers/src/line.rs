//! Who is known to a witness, who is in line, and whose turn it is.
//!
//! The line is in the order in which claimants were started. As many as slots are free have their turn, each of them a
//! slot of its own that is held for it for a while: the one that its node had last, if that is free and one of the
//! lowest so many as there are claimants, or else the lowest. So claimants that ask one witness for their places meet
//! nobody at the slots that they try to take.
//!
//! It is manners, and no more: what a witness offers binds neither itself nor another.

use std::collections::{BTreeMap, btree_map};
use std::net::SocketAddr;
use std::time::Duration;

use crate::Time;
use crate::message::{Id, Number, Order, Place, Who};
use crate::slots::Slots;

/// How long a slot is held for who is offered it: until it has asked for it, more than once if need be.
const OFFER: Duration = Duration::from_secs(1);

/// How long who is in line need not be heard from: several times what it lets pass.
const IN_LINE: Duration = Duration::from_secs(5);

/// How many claimants a witness knows at a time, a few hundred bytes each.
const MOST: usize = 50_000;

/// The claimants that a witness knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    known: BTreeMap<Id, Known>,
    /// Those that wait for an offer, and how many claimants each of them expects.
    waiting: BTreeMap<Order, u32>,
    /// Those that hold a slot, are offered one or wait.
    present: usize,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Known {
    pub(crate) who: Who,
    pub(crate) address: SocketAddr,
    /// The number of its last request.
    pub(crate) number: Number,
    heard: Time,
    at: At,
}

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum At {
    /// It wants nothing.
    Nowhere,
    /// It waits for an offer.
    InLine,
    /// The slot is its to take, until then.
    Offered(u32, Time),
    /// It has the slot.
    Holds(u32),
}

/// When a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Before all that are later.
    InTime,
    /// After a later one, or a second time.
    Late,
    /// After one of a later process of the claimant.
    OfEarlierProcess,
    /// When there were more claimants than can be known.
    TooMany,
}

impl Line {
    /// A request came from that claimant.
    pub(crate) fn hear(&mut self, who: &Who, address: SocketAddr, number: Number, now: Time) -> Heard {
        if self.known.len() >= MOST && !self.known.contains_key(&who.order.nonce) {
            return Heard::TooMany;
        }
        let known = match self.known.entry(who.order.nonce) {
            btree_map::Entry::Vacant(vacant) => {
                vacant.insert(Known { who: who.clone(), address, number, heard: now, at: At::Nowhere });
                return Heard::InTime;
            }
            btree_map::Entry::Occupied(known) => known.into_mut(),
        };
        if number.process < known.number.process {
            return Heard::OfEarlierProcess;
        }
        // One that comes a second time is late, too: whoever asks again does so under another number.
        if number <= known.number {
            return Heard::Late;
        }
        if known.who != *who {
            // Of a process that was started anew under its nonce: it is in line as itself.
            self.waiting.remove(&known.who.order);
            if known.at == At::InLine {
                known.at = At::Nowhere;
                self.present -= 1;
            }
            known.who = who.clone();
        }
        (known.address, known.number, known.heard) = (address, number, now);
        Heard::InTime
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(crate) fn at(&self, nonce: Id) -> At {
        self.known.get(&nonce).map_or(At::Nowhere, |known| known.at)
    }

    /// It waits for an offer, or goes on waiting.
    pub(crate) fn wait(&mut self, nonce: Id, expected: u32, slots: &mut Slots) {
        self.put(nonce, At::InLine, slots);
        if let Some(known) = self.known.get(&nonce) {
            self.waiting.insert(known.who.order, expected);
        }
    }

    /// What is offered to it, it can still take for a while.
    pub(crate) fn stand_by(&mut self, nonce: Id, now: Time) {
        if let Some(Known { at: At::Offered(_, until), .. }) = self.known.get_mut(&nonce) {
            *until = now.after(OFFER);
        }
    }

    /// It is there from now on; what was held for it elsewhere is free.
    pub(crate) fn put(&mut self, nonce: Id, at: At, slots: &mut Slots) {
        let Some(known) = self.known.get_mut(&nonce) else { return };
        match known.at {
            At::InLine => {
                self.waiting.remove(&known.who.order);
            }
            At::Offered(slot, _) if slots.lease(slot).is_none() => slots.vacate(slot),
            At::Offered(..) | At::Holds(_) | At::Nowhere => {}
        }
        self.present -= usize::from(known.at != At::Nowhere);
        self.present += usize::from(at != At::Nowhere);
        known.at = at;
    }

    /// Offers what is free to those whose turn it is.
    pub(crate) fn offer(&mut self, slots: &mut Slots, now: Time) -> Vec<Id> {
        let free = slots.free();
        if free == 0 || self.waiting.is_empty() {
            return Vec::new();
        }
        let present = u32::try_from(self.present).unwrap_or(u32::MAX);
        let turn = self.waiting.iter().filter(|(_, expected)| **expected <= present).take(free);
        let turn: Vec<Order> = turn.map(|(order, _)| *order).collect();
        let mut others = Vec::new();
        let until = now.after(OFFER);
        for order in &turn {
            match slots.last_of(order.node).filter(|slot| *slot < present) {
                Some(slot) => self.hold_for(order.nonce, slot, until, slots),
                None => others.push(order.nonce),
            }
        }
        for nonce in others {
            let Some(slot) = slots.lowest_free() else { break };
            self.hold_for(nonce, slot, until, slots);
        }
        turn.into_iter().map(|order| order.nonce).collect()
    }

    fn hold_for(&mut self, nonce: Id, slot: u32, until: Time, slots: &mut Slots) {
        self.put(nonce, At::Offered(slot, until), slots);
        slots.occupy(slot);
    }

    /// Forgets who has not been heard from, `memory` after who wants nothing wanted something.
    pub(crate) fn forget(&mut self, now: Time, memory: Duration, slots: &mut Slots) {
        let gone = |known: &Known| match known.at {
            At::InLine => known.heard.after(IN_LINE) <= now,
            At::Offered(_, until) => until <= now,
            At::Nowhere | At::Holds(_) => false,
        };
        let left: Vec<Id> =
            self.known.iter().filter(|(_, known)| gone(known)).map(|(nonce, _)| *nonce).collect();
        for nonce in left {
            self.put(nonce, At::Nowhere, slots);
        }
        self.known.retain(|_, known| known.at != At::Nowhere || known.heard.after(memory) > now);
    }

    /// When there is something to [forget](Self::forget), at the earliest.
    pub(crate) fn forgets(&self, memory: Duration) -> Option<Time> {
        let forgets = |known: &Known| match known.at {
            At::InLine => Some(known.heard.after(IN_LINE)),
            At::Offered(_, until) => Some(until),
            At::Nowhere => Some(known.heard.after(memory)),
            At::Holds(_) => None,
        };
        self.known.values().filter_map(forgets).min()
    }

    pub(crate) fn known(&self, nonce: Id) -> Option<&Known> {
        self.known.get(&nonce)
    }

    /// What who seeks a slot is told.
    pub(crate) fn place(&self, nonce: Id, slots: &Slots) -> Place {
        let before = |known: &Known| self.waiting.range(..known.who.order).count();
        match self.known.get(&nonce) {
            Some(Known { at: At::Holds(slot), .. }) => {
                Place::Has { slot: *slot, token: slots.lease(*slot).map_or(0, |lease| lease.token) }
            }
            Some(Known { at: At::Offered(slot, _), .. }) => Place::Offered { slot: *slot },
            Some(known) if slots.free() == 0 => {
                Place::Waits { before: u32::try_from(before(known)).unwrap_or(u32::MAX) }
            }
            _ => Place::Early { seen: u32::try_from(self.present).unwrap_or(u32::MAX) },
        }
    }

    /// How many have no slot.
    pub(crate) fn without_a_slot(&self) -> usize {
        self.known.values().filter(|known| matches!(known.at, At::InLine | At::Offered(..))).count()
    }
}
