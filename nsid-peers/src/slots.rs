//! The slots of a pool as one witness knows them: who has which, until when, and who had it last.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::message::{Id, Who};
use crate::{Rules, Time};

/// The slots from 0 to `limit` - 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slots {
    limit: u32,
    /// The greatest token that any can have had before.
    floor: u64,
    /// Those that anybody ever had.
    records: BTreeMap<u32, Record>,
    /// Those that are held or offered.
    busy: BTreeSet<u32>,
    /// No slot below is free.
    full_below: u32,
    /// The slot that a node had last.
    last: BTreeMap<Id, u32>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Record {
    lease: Option<Lease>,
    /// The greatest token that was ever granted here.
    highest: u64,
    /// Who gave it back last, and under which token: that one does not hold it any more, whoever goes on asking.
    given_back: Option<(Id, u64)>,
    /// The node of the last holder.
    last: Option<Id>,
}

/// That a slot is somebody's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lease {
    pub(crate) who: Who,
    pub(crate) token: u64,
    /// What it asks for at a time.
    pub(crate) length: Duration,
    pub(crate) since: Time,
    /// Until when nobody else is given the slot.
    pub(crate) until: Time,
}

impl Lease {
    pub(crate) fn new(rules: Rules, who: Who, token: u64, length: Duration, now: Time) -> Self {
        Self { who, token, length, since: now, until: now.after(rules.kept(length)) }
    }

    fn nonce(&self) -> Id {
        self.who.order.nonce
    }
}

/// How a lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It had not become a claim: too few witnesses granted it.
    Yielded,
    /// Its holder gave it back.
    Released,
    /// Its time was up.
    Expired,
}

impl Slots {
    pub(crate) fn new(limit: u32, floor: u64) -> Self {
        Self {
            limit,
            floor,
            records: BTreeMap::new(),
            busy: BTreeSet::new(),
            full_below: 0,
            last: BTreeMap::new(),
        }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    pub(crate) fn lease(&self, slot: u32) -> Option<&Lease> {
        self.records.get(&slot)?.lease.as_ref()
    }

    /// Whether the slot may have had a token as great as that.
    pub(crate) fn may_have_had(&self, slot: u32, token: u64) -> bool {
        token <= self.floor || self.records.get(&slot).is_some_and(|record| token <= record.highest)
    }

    /// Whether that claimant gave it back under that token, or a greater one.
    pub(crate) fn was_given_back(&self, slot: u32, nonce: Id, token: u64) -> bool {
        let given_back = self.records.get(&slot).and_then(|record| record.given_back);
        given_back.is_some_and(|(by, under)| by == nonce && token <= under)
    }

    /// The slot is that one's from now on.
    pub(crate) fn grant(&mut self, slot: u32, lease: Lease) {
        let record = self.records.entry(slot).or_default();
        record.highest = record.highest.max(lease.token);
        record.lease = Some(lease);
        self.busy.insert(slot);
    }

    /// More time. Never less: a lease that was asked for a shorter time does not end before the one before.
    pub(crate) fn extend(&mut self, slot: u32, length: Duration, until: Time) {
        if let Some(lease) = self.records.get_mut(&slot).and_then(|record| record.lease.as_mut()) {
            lease.length = length;
            lease.until = lease.until.max(until);
        }
    }

    /// The slot is nobody's from now on.
    pub(crate) fn end(&mut self, slot: u32, end: End) {
        self.vacate(slot);
        let Some(record) = self.records.get_mut(&slot) else { return };
        let Some(lease) = record.lease.take() else { return };
        match end {
            // Whoever held it before may hold it still, by the others.
            End::Yielded => return,
            End::Released => record.given_back = Some((lease.nonce(), lease.token)),
            End::Expired => {}
        }
        let node = lease.who.order.node;
        if let Some(before) = record.last.replace(node)
            && self.last.get(&before) == Some(&slot)
        {
            self.last.remove(&before);
        }
        self.last.insert(node, slot);
    }

    /// The node says that it had the slot last. It counts if nobody is known to have had that, and the node to have had none.
    pub(crate) fn recall(&mut self, node: Id, slot: u32) {
        if slot >= self.limit || self.last.contains_key(&node) {
            return;
        }
        let record = self.records.entry(slot).or_default();
        if record.lease.is_none() && record.last.is_none() {
            record.last = Some(node);
            self.last.insert(node, slot);
        }
    }

    /// Those whose time is up.
    pub(crate) fn expired(&self, now: Time) -> Vec<(u32, Id)> {
        let expired = |(slot, lease): (u32, &Lease)| (lease.until <= now).then(|| (slot, lease.nonce()));
        self.leases(0).filter_map(expired).collect()
    }

    /// Who has which slot, from that one on.
    pub(crate) fn leases(&self, from: u32) -> impl Iterator<Item = (u32, &Lease)> {
        self.records.range(from..).filter_map(|(slot, record)| Some((*slot, record.lease.as_ref()?)))
    }

    /// The slot is held for who is to take it.
    pub(crate) fn occupy(&mut self, slot: u32) {
        self.busy.insert(slot);
    }

    /// It is not any more.
    pub(crate) fn vacate(&mut self, slot: u32) {
        self.busy.remove(&slot);
        self.full_below = self.full_below.min(slot);
    }

    /// How many are free.
    pub(crate) fn free(&self) -> usize {
        (self.limit as usize).saturating_sub(self.busy.len())
    }

    pub(crate) fn lowest_free(&mut self) -> Option<u32> {
        while self.busy.contains(&self.full_below) {
            self.full_below += 1;
        }
        Some(self.full_below).filter(|slot| *slot < self.limit)
    }

    /// The slot that the node had last, if it is free.
    pub(crate) fn last_of(&self, node: Id) -> Option<u32> {
        self.last.get(&node).copied().filter(|slot| !self.busy.contains(slot))
    }
}
