//! Which slot is whose turn, from one look at the pool.
//!
//! Every claimant has a ticket, which lives as long as the claimant does, in the order in which they came; a slot has a
//! record of who took it last. Who took a slot and still has its ticket has that slot. The others with a ticket are the
//! line, and have their turn in their order, as many as slots are free. Whose node took one of those slots last takes
//! that one; the i-th of the others takes the i-th slot of the rest.
//!
//! All who look at the same state of the pool so choose different slots, and when one of them has taken its slot, the
//! choices of the others stay as they were.
//!
//! A slot without a record may be the unsettled one of who has not said so yet: it is free only once nobody can have a
//! slot so.
//!
//! **Invariant:** while nobody leaves, n claimants have the slots 0 to n - 1: a slot is its last node's only if it is one
//! of the lowest so many as there are claimants.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::departures::FAR;
use crate::store::{Holder, NodeId, Nonce};

/// A state of the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// When it was that, in the store's count.
    pub revision: i64,
    /// Who has a ticket, the oldest first.
    pub tickets: Vec<Ticket>,
    /// Who took which slot last.
    pub slots: Vec<Record>,
    /// Whether it is known that somebody may have left: from then on, nobody has a slot by its arrival.
    pub somebody_left: bool,
    /// And that nobody has one any more who got it so before.
    pub long_ago: bool,
}

/// A claimant that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Whose.
    pub nonce: Nonce,
    /// Of which node; none if it does not say.
    pub node: Option<NodeId>,
    /// Which slot it has, as far as it says so: the slot's record may have been deleted.
    pub slot: Option<u32>,
    /// Whether it may have the slot of its arrival's number, without a record.
    pub is_unsettled: bool,
}

/// What stands in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which.
    pub slot: u32,
    /// Who took it last. None: nobody that we know, and so nobody who can be known to have gone.
    pub holder: Option<Holder>,
    /// Whether that one gave it back.
    pub released: bool,
    /// When it was taken, in the store's count.
    pub revision: i64,
    /// The fencing token.
    pub token: i64,
}

/// What one claimant does next, and what it has to know for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Step {
    /// What it does.
    pub turn: Turn,
    /// How the slot stands that it takes; none: without a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastTaken>,
    /// Who is [so many](FAR) places before it in line, if it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<Nonce>,
}

/// How a slot stands that somebody took who has it no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct LastTaken {
    /// When it was taken, or given back.
    pub revision: i64,
    /// Who has to be gone still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Nonce>,
}

/// What one claimant does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Turn {
    /// It took that slot already, at that revision, and nobody else has since: that one is its own.
    Keep {
        /// Which.
        slot: u32,
        /// When.
        revision: i64,
    },
    /// It is its turn, for this slot.
    Take(u32),
    /// It waits until so many tickets are gone: those of holders, whose slots are free then, or of others in line.
    Wait {
        /// How many.
        departures: usize,
    },
    /// Any slot that is free may be somebody's who has not put a record yet.
    Unsettled,
    /// It is not in line.
    Absent,
}

impl View {
    /// That of the claimant `nonce`, in a pool of the slots 0 to `limit` - 1.
    pub fn turn(&self, nonce: Nonce, limit: u32) -> Turn {
        let turns = self.turns(nonce, limit);
        turns.into_iter().find(|(other, _)| *other == nonce).map_or(Turn::Absent, |(_, turn)| turn)
    }

    /// Those of the claimant `nonce`, of the others in line, in its order, and before them of those who have come again to
    /// what they took.
    pub fn turns(&self, nonce: Nonce, limit: u32) -> Vec<(Nonce, Turn)> {
        let mut turns = self.back_at_what_they_took(nonce, limit);
        let held = self.held();
        let recorded = self.slots.iter().map(|record| record.slot).filter(|slot| *slot < limit);
        let recorded: HashSet<u32> = recorded.collect();
        // Who is unsettled waits as well, if all slots have records.
        let full = recorded.len() == limit as usize;
        let settled = full || self.somebody_left && self.unsettled(nonce).is_none();
        let mut line = self.in_line(nonce, &held, full);
        if turns.iter().any(|(other, _)| *other == nonce) {
            line.retain(|ticket| ticket.nonce != nonce);
        }

        let unknown = self.slots.iter().filter(|record| record.holder.is_none()).map(|record| record.slot);
        let unrecorded = (0..limit).filter(|slot| !settled && !recorded.contains(slot));
        let taken: HashSet<u32> =
            held.values().copied().chain(unknown).chain(unrecorded).filter(|slot| *slot < limit).collect();
        let free = limit as usize - taken.len();
        let (now, later) = line.split_at(free.min(line.len()));
        let back = self.back_in_their_own(now, limit, &taken);
        let given: HashSet<u32> = taken.into_iter().chain(back.values().copied()).collect();
        let mut rest = (0..limit).filter(|slot| !given.contains(slot));
        turns.extend(now.iter().filter_map(|ticket| {
            let slot = back.get(&ticket.nonce).copied().or_else(|| rest.next())?;
            Some((ticket.nonce, Turn::Take(slot)))
        }));
        let wait = |departures| if settled { Turn::Wait { departures } } else { Turn::Unsettled };
        turns.extend(later.iter().zip(1..).map(|(ticket, departures)| (ticket.nonce, wait(departures))));
        turns
    }

    /// Each one's [turn](Self::turns), and what it has to know for it.
    pub fn steps(&self, nonce: Nonce, limit: u32) -> Vec<(Nonce, Step)> {
        let present: HashSet<Nonce> = self.tickets.iter().map(|ticket| ticket.nonce).collect();
        let records: HashMap<u32, &Record> = self.slots.iter().map(|record| (record.slot, record)).collect();
        let last_taken = |record: &&Record| LastTaken {
            revision: record.revision,
            // Who took another one since and is there has left this one for good.
            gone: record.holder.as_ref().map(|holder| holder.nonce).filter(|nonce| !present.contains(nonce)),
        };
        let turns = self.turns(nonce, limit);
        let line = turns.iter().position(|(_, turn)| !matches!(turn, Turn::Keep { .. })).unwrap_or_default();
        let step = |(place, (nonce, turn)): (usize, &(Nonce, Turn))| {
            let (last, ahead) = match turn {
                Turn::Take(slot) => (records.get(slot).map(last_taken), None),
                Turn::Wait { .. } => {
                    let ahead = place.checked_sub(FAR as usize).filter(|ahead| *ahead >= line);
                    (None, ahead.map(|ahead| turns[ahead].0))
                }
                Turn::Keep { .. } | Turn::Unsettled | Turn::Absent => (None, None),
            };
            (*nonce, Step { turn: *turn, last, ahead })
        };
        turns.iter().enumerate().map(step).collect()
    }

    /// The last to come of the others who may have slots by their arrivals.
    pub fn unsettled(&self, nonce: Nonce) -> Option<Nonce> {
        let unsettled =
            self.tickets.iter().rev().find(|ticket| ticket.is_unsettled && ticket.nonce != nonce)?;
        Some(unsettled.nonce)
    }

    /// What stands in a slot.
    pub fn record(&self, slot: u32) -> Option<&Record> {
        self.slots.iter().find(|record| record.slot == slot)
    }

    /// Whether that claimant lives.
    pub fn is_present(&self, nonce: Nonce) -> bool {
        self.tickets.iter().any(|ticket| ticket.nonce == nonce)
    }

    /// The records of who has a slot: no claimant has two.
    pub fn holders(&self) -> impl Iterator<Item = (&Record, &Holder)> {
        let held = self.held();
        self.slots.iter().filter_map(move |record| {
            let holder = record.holder.as_ref()?;
            (held.get(&holder.nonce) == Some(&record.slot)).then_some((record, holder))
        })
    }

    /// Of that claimant, and of all whose tickets say nothing of it, who took a slot that nobody has taken since.
    fn back_at_what_they_took(&self, nonce: Nonce, limit: u32) -> Vec<(Nonce, Turn)> {
        let mut took: HashMap<Nonce, &Record> = HashMap::new();
        for record in self.slots.iter().filter(|record| record.slot < limit) {
            let Some(nonce) = record.nonce() else { continue };
            let last = took.entry(nonce).or_insert(record);
            if last.revision < record.revision {
                *last = record;
            }
        }
        let back = self.tickets.iter().filter(|ticket| ticket.nonce == nonce || ticket.slot.is_none());
        let keep = |record: &Record| Turn::Keep { slot: record.slot, revision: record.revision };
        back.filter_map(|ticket| Some((ticket.nonce, keep(took.get(&ticket.nonce)?)))).collect()
    }

    /// Who has a ticket and no slot, with or without those who may have one by their arrivals; and that claimant.
    fn in_line(&self, nonce: Nonce, held: &HashMap<Nonce, u32>, with_unsettled: bool) -> Vec<&Ticket> {
        let counts = |ticket: &Ticket| with_unsettled || !ticket.is_unsettled;
        let has_none = |ticket: &Ticket| counts(ticket) && !held.contains_key(&ticket.nonce);
        let in_line = |ticket: &&Ticket| ticket.nonce == nonce || has_none(ticket);
        self.tickets.iter().filter(in_line).collect()
    }

    /// Who has which slot: of those that it took, the last.
    fn held(&self) -> HashMap<Nonce, u32> {
        let recorded: HashSet<u32> = self.slots.iter().map(|record| record.slot).collect();
        let mut held: HashMap<Nonce, (i64, u32)> = HashMap::new();
        for ticket in &self.tickets {
            if let Some(slot) = ticket.slot.filter(|slot| !recorded.contains(slot)) {
                held.insert(ticket.nonce, (0, slot));
            }
        }
        let present: HashSet<Nonce> = self.tickets.iter().map(|ticket| ticket.nonce).collect();
        for record in &self.slots {
            let Some(nonce) = record.nonce().filter(|nonce| present.contains(nonce)) else { continue };
            let last = held.entry(nonce).or_insert((record.revision, record.slot));
            *last = (*last).max((record.revision, record.slot));
        }
        held.into_iter().map(|(nonce, (_, slot))| (nonce, slot)).collect()
    }

    /// Those of the line that take the slot which their node took last.
    fn back_in_their_own(&self, line: &[&Ticket], limit: u32, taken: &HashSet<u32>) -> HashMap<Nonce, u32> {
        let present = self.tickets.len();
        let free = |record: &&Record| {
            record.slot < limit && (record.slot as usize) < present && !taken.contains(&record.slot)
        };
        let mut last: HashMap<&NodeId, &Record> = HashMap::new();
        for record in self.slots.iter().filter(free) {
            let Some(holder) = &record.holder else { continue };
            let newest = last.entry(&holder.node).or_insert(record);
            if newest.revision < record.revision {
                *newest = record;
            }
        }
        // Removed: of two claimants of one node, it is the first one's.
        let own = |ticket: &&Ticket| Some((ticket.nonce, last.remove(ticket.node.as_ref()?)?.slot));
        line.iter().filter_map(own).collect()
    }
}

impl Record {
    /// Who took it last, and did not give it back.
    fn nonce(&self) -> Option<Nonce> {
        self.holder.as_ref().filter(|_| !self.released).map(|holder| holder.nonce)
    }
}
