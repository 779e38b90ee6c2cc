//! The keys of a pool, and what is asked of etcd about them.
//!
//! Below the prefix, `/nsid` if nothing else is said, where POOL is the pattern in lower case:
//!
//! | key | value | lease |
//! | --- | --- | --- |
//! | `agreements/POOL` | what all claimants of the pool are given alike | none |
//! | `POOL/arrivals` | the nonce of the last to arrive; its version is how many did | none |
//! | `POOL/tickets/NONCE` | its node, and the slot that it has; the order of creation is the line's | the claimant's |
//! | `POOL/slots/SLOT` | who took it last; its revision is the fencing token | none |
//!
//! A slot is its last taker's as long as that one's ticket is there. Whoever takes it next compares both.
//!
//! While everyone who ever arrived is still there, arrivals and tickets are as many as each other, and an arrival's
//! number is its slot's: nobody has to look at the pool. Once somebody has left, they differ for good.

use std::str::FromStr;

use etcd_client::{
    Compare, CompareOp, GetOptions, GetResponse, KeyValue, PutOptions, Txn, TxnOp, TxnOpResponse, TxnResponse,
};
use serde::{Deserialize, Serialize};

use super::session::{LeaseId, incomplete};
use crate::store::order::{Record, Ticket, View};
use crate::store::{Agreement, Disagreement, Entry, Holder, Incarnation, NodeId, Nonce, Roll, Unreachable};

/// The keys of one pool.
#[derive(Clone, Debug)]
pub struct Keys {
    agreements: String,
    root: String,
    agreement: Agreement,
}

/// The value of a ticket.
#[derive(Deserialize, Serialize)]
struct TicketValue {
    node: NodeId,
    slot: Option<u32>,
}

/// The value of a slot.
#[derive(Deserialize, Serialize)]
struct RecordValue {
    #[serde(flatten)]
    holder: Holder,
    /// Its holder gave it back.
    #[serde(default)]
    released: bool,
}

/// A slot that was taken.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) slot: u32,
    /// When.
    pub(super) revision: i64,
    /// What was put there.
    pub(super) record: Vec<u8>,
}

/// How a slot that was taken is found.
#[derive(Debug)]
pub(super) enum Found {
    /// As it was put. The lease of the claimant's ticket.
    AsPut(LeaseId),
    /// Somebody else has it, or nobody.
    Lost,
    /// Somebody took it who has our nonce.
    Twin,
}

impl Keys {
    /// Of the pool of that agreement, below `prefix`.
    pub fn new(prefix: &str, agreement: Agreement) -> Self {
        let root = format!("{prefix}/{}/", agreement.pool());
        Self { agreements: format!("{prefix}/agreements/"), root, agreement }
    }

    /// Before the keys of all pools.
    pub(super) fn prefix(&self) -> String {
        self.agreements.trim_end_matches("agreements/").to_owned()
    }

    /// How many slots there are.
    pub(super) fn limit(&self) -> u32 {
        self.agreement.limit()
    }

    /// Has what all claimants are given alike.
    pub(super) fn agreement(&self) -> String {
        format!("{}{}", self.agreements, self.agreement.pool())
    }

    /// Has who took it last.
    pub fn slot(&self, slot: u32) -> String {
        format!("{}{slot}", self.slots())
    }

    fn slots(&self) -> String {
        format!("{}slots/", self.root)
    }

    /// Before each ticket. One is deleted for every claimant that leaves.
    pub(super) fn tickets(&self) -> String {
        format!("{}tickets/", self.root)
    }

    pub(super) fn ticket(&self, nonce: Nonce) -> String {
        format!("{}{nonce}", self.tickets())
    }

    fn arrivals(&self) -> String {
        format!("{}arrivals", self.root)
    }

    /// Takes a ticket, if the pool is what this claimant takes it for; the first to come says what it is. A ticket that is
    /// there already, of an earlier claim or of an arrival whose answer was lost, keeps its place in line and lives as
    /// long as this lease from now on.
    pub(super) fn arrive(&self, who: &Holder, lease: LeaseId) -> Txn {
        let (agreement, ticket) = (self.agreement(), self.ticket(who.nonce));
        let agreed = || Compare::value(agreement.as_str(), CompareOp::Equal, self.agreement.to_json());
        let put_ticket = || self.put_ticket(who.nonce, &who.node, None, lease);
        let all_agreements = || TxnOp::get(self.agreements.as_str(), Some(GetOptions::new().with_prefix()));
        let arrive = || {
            let before = PutOptions::new().with_prev_key();
            let count = GetOptions::new().with_prefix().with_count_only();
            [
                TxnOp::put(self.arrivals(), who.nonce.to_string(), Some(before)),
                put_ticket(),
                TxnOp::get(self.tickets(), Some(count)),
                all_agreements(),
            ]
        };
        let again = Txn::new()
            .when([agreed()])
            .and_then([self.put_ticket_over(who, lease), all_agreements()])
            .or_else([all_agreements()]);
        let found = TxnOp::put(agreement.as_str(), self.agreement.to_json(), None);
        let first = Txn::new()
            .when([Compare::create_revision(agreement.as_str(), CompareOp::Equal, 0)])
            .and_then(arrive().into_iter().chain([found]).collect::<Vec<_>>())
            .or_else([TxnOp::txn(again)]);
        Txn::new()
            .when([agreed(), Compare::create_revision(ticket, CompareOp::Equal, 0)])
            .and_then(arrive())
            .or_else([TxnOp::txn(first)])
    }

    /// The slot of who has arrived, if that can be told without a look at the pool: nobody who arrived earlier has left.
    ///
    /// The outer nothing: no answer to [`arrive`](Keys::arrive). An error has the key by which they disagree.
    pub(super) fn arrived(
        &self,
        answer: &TxnResponse,
    ) -> Option<Result<Option<u32>, (String, Disagreement)>> {
        match &answer.op_responses()[..] {
            [TxnOpResponse::Txn(inner)] => self.arrived(inner),
            [TxnOpResponse::Put(arrivals), _, TxnOpResponse::Get(tickets), TxnOpResponse::Get(pools), ..] => {
                let before = arrivals.prev_key().map_or(0, KeyValue::version);
                let slot = if tickets.count() == before + 1 { before.try_into().ok() } else { None };
                Some(self.check_pools(pools).map(|()| slot))
            }
            [TxnOpResponse::Put(_), TxnOpResponse::Get(pools)] => {
                Some(self.check_pools(pools).map(|()| None))
            }
            [TxnOpResponse::Get(pools)] => {
                let own = pools.kvs().iter().find(|kv| kv.key() == self.agreement().as_bytes())?;
                // Equal and yet not the same, it was written by hand.
                let checked = self.agreement.check(own.value());
                let differs = checked.and_then(|()| Err(Disagreement::by_hand(own.value())));
                Some(differs.map_err(|disagreement| (self.agreement(), disagreement)))
            }
            _ => None,
        }
    }

    /// The lease of the ticket that was there when this claimant arrived again.
    pub(super) fn earlier_lease(answer: &TxnResponse) -> Option<LeaseId> {
        match &answer.op_responses()[..] {
            [TxnOpResponse::Txn(inner)] => Self::earlier_lease(inner),
            [TxnOpResponse::Put(ticket), TxnOpResponse::Get(_)] => ticket.prev_key().map(KeyValue::lease),
            _ => None,
        }
    }

    /// Of two pools that make the same name, the younger one gives way.
    fn check_pools(&self, pools: &GetResponse) -> Result<(), (String, Disagreement)> {
        let own = self.agreement();
        let is_own = |kv: &&KeyValue| kv.key() == own.as_bytes();
        let since = pools.kvs().iter().find(is_own).map_or(i64::MAX, KeyValue::create_revision);
        let mut older = pools.kvs().iter().filter(|kv| kv.create_revision() < since);
        older.try_for_each(|other| {
            let key = || String::from_utf8_lossy(other.key()).into_owned();
            self.agreement.check_beside(other.value()).map_err(|disagreement| (key(), disagreement))
        })
    }

    /// Takes a slot, if it stands as it was seen, and lives as long as that lease from now on.
    pub(super) fn take(&self, slot: u32, who: &Holder, seen: &View, lease: LeaseId) -> Txn {
        let key = self.slot(slot);
        let Some(last) = seen.record(slot) else {
            return self.put(slot, who, [Compare::create_revision(key, CompareOp::Equal, 0)], lease);
        };
        let unchanged = Compare::mod_revision(key, CompareOp::Equal, last.revision);
        // Who took another one since and is there has left this one for good.
        let gone = last.holder.as_ref().map(|holder| holder.nonce).filter(|nonce| !seen.is_present(*nonce));
        let gone = gone.map(|nonce| Compare::create_revision(self.ticket(nonce), CompareOp::Equal, 0));
        self.put(slot, who, gone.into_iter().chain([unchanged]).collect::<Vec<_>>(), lease)
    }

    /// Takes a slot again that this claimant took at that revision.
    pub(super) fn keep(&self, slot: u32, revision: i64, who: &Holder, lease: LeaseId) -> Txn {
        let unchanged = Compare::mod_revision(self.slot(slot), CompareOp::Equal, revision);
        self.put(slot, who, [unchanged], lease)
    }

    /// Puts a slot and the claimant's ticket, which lives as long as that lease, if all that holds.
    pub(super) fn put(&self, slot: u32, who: &Holder, when: impl Into<Vec<Compare>>, lease: LeaseId) -> Txn {
        let take = TxnOp::put(self.slot(slot), who.to_json(), None);
        Txn::new().when(when).and_then([take, self.put_ticket(who.nonce, &who.node, Some(slot), lease)])
    }

    fn put_ticket(&self, nonce: Nonce, node: &NodeId, slot: Option<u32>, lease: LeaseId) -> TxnOp {
        let options = PutOptions::new().with_lease(lease);
        TxnOp::put(self.ticket(nonce), ticket_value(node, slot), Some(options))
    }

    /// The same in line, which tells of the one that was there.
    fn put_ticket_over(&self, who: &Holder, lease: LeaseId) -> TxnOp {
        let options = PutOptions::new().with_lease(lease).with_prev_key();
        TxnOp::put(self.ticket(who.nonce), ticket_value(&who.node, None), Some(options))
    }

    /// Gives a slot back, and the ticket with it, if the slot is still the claimant's.
    pub(super) fn release(&self, held: &Held, nonce: Nonce) -> Option<Txn> {
        let key = self.slot(held.slot);
        let released = RecordValue { holder: Holder::read(&held.record)?, released: true };
        let released = serde_json::to_string(&released).expect("numbers and text are JSON");
        let as_put = [
            Compare::mod_revision(key.as_str(), CompareOp::Equal, held.revision),
            Compare::value(key.as_str(), CompareOp::Equal, held.record.clone()),
        ];
        let leave = [TxnOp::put(key.as_str(), released, None), TxnOp::delete(self.ticket(nonce), None)];
        Some(Txn::new().when(as_put).and_then(leave))
    }

    /// Has the claimant's ticket live as long as another lease, if the slot is still the claimant's.
    pub(super) fn live_on(&self, held: &Held, who: &Incarnation, lease: LeaseId) -> Txn {
        let key = self.slot(held.slot);
        Txn::new()
            .when([
                Compare::mod_revision(key.as_str(), CompareOp::Equal, held.revision),
                // An etcd that was restored from a snapshot counts revisions again that it had counted already.
                Compare::value(key, CompareOp::Equal, held.record.clone()),
                Compare::create_revision(self.ticket(who.nonce), CompareOp::Greater, 0),
            ])
            .and_then([self.put_ticket(who.nonce, &who.node, Some(held.slot), lease)])
            .or_else(self.find_ops(held.slot, who.nonce))
    }

    /// Reads a slot and the claimant's ticket at one revision.
    pub(super) fn find(&self, slot: u32, nonce: Nonce) -> Txn {
        Txn::new().and_then(self.find_ops(slot, nonce))
    }

    fn find_ops(&self, slot: u32, nonce: Nonce) -> [TxnOp; 2] {
        [TxnOp::get(self.slot(slot), None), TxnOp::get(self.ticket(nonce), None)]
    }

    /// How a slot was found. Nothing: no answer to [`find`](Keys::find).
    pub(super) fn found(answer: &TxnResponse, held: &Held, nonce: Nonce) -> Option<Found> {
        let (record, ticket) = record_and_ticket(answer)?;
        let taken_by_us = |record: &KeyValue| {
            serde_json::from_slice::<RecordValue>(record.value())
                .is_ok_and(|record| !record.released && record.holder.nonce == nonce)
        };
        Some(match (record, ticket) {
            (Some(record), ticket)
                if record.mod_revision() == held.revision && record.value() == held.record =>
            {
                ticket.map_or(Found::Lost, |ticket| Found::AsPut(ticket.lease()))
            }
            (Some(record), _) if taken_by_us(&record) => Found::Twin,
            _ => Found::Lost,
        })
    }

    /// The slot that an earlier process of a claimant took at that revision, and the lease of its ticket; nothing if it has
    /// it no more.
    pub(super) fn inherited(
        answer: &TxnResponse,
        slot: u32,
        revision: i64,
        nonce: Nonce,
    ) -> Result<Option<(Held, LeaseId)>, Unreachable> {
        let (record, ticket) = record_and_ticket(answer).ok_or_else(incomplete)?;
        let took = |record: &KeyValue| {
            record.mod_revision() == revision
                && Holder::read(record.value()).is_some_and(|holder| holder.nonce == nonce)
        };
        Ok(record.filter(took).zip(ticket).map(|(record, ticket)| {
            (Held { slot, revision, record: record.value().to_vec() }, ticket.lease())
        }))
    }

    /// Reads the pool at one revision.
    pub(super) fn look(&self) -> Txn {
        let all = || Some(GetOptions::new().with_prefix());
        Txn::new().and_then([
            TxnOp::get(self.tickets(), all()),
            TxnOp::get(self.slots(), all()),
            TxnOp::get(self.agreement(), None),
        ])
    }

    /// The pool as [`look`](Keys::look) found it.
    pub(super) fn view(&self, answer: &TxnResponse) -> Option<View> {
        let [TxnOpResponse::Get(tickets), TxnOpResponse::Get(slots), _] = &answer.op_responses()[..] else {
            return None;
        };
        let mut tickets: Vec<_> = tickets.kvs().iter().collect();
        tickets.sort_by_key(|ticket| ticket.create_revision());
        Some(View {
            revision: answer.header()?.revision(),
            tickets: tickets
                .into_iter()
                .filter_map(|ticket| self.present(ticket.key(), ticket.value()))
                .collect(),
            slots: slots
                .kvs()
                .iter()
                .filter_map(|slot| self.record(slot.key(), slot.value(), slot.mod_revision()))
                .collect(),
        })
    }

    /// The same for people.
    pub(super) fn roll(&self, answer: &TxnResponse) -> Option<Roll> {
        let view = self.view(answer)?;
        let mut holders: Vec<_> = view
            .holders()
            .map(|(record, holder)| Entry {
                slot: record.slot,
                token: record.revision.unsigned_abs(),
                holder: holder.clone(),
            })
            .collect();
        holders.sort_by_key(|entry| entry.slot);
        holders.retain(|entry| entry.slot < self.limit());
        let [_, _, TxnOpResponse::Get(agreement)] = &answer.op_responses()[..] else { return None };
        let agreement = agreement.kvs().first().and_then(|kv| serde_json::from_slice(kv.value()).ok());
        Some(Roll { waiting: view.tickets.len().saturating_sub(holders.len()), holders, agreement })
    }

    /// Whose ticket a key is; nothing for a key that is none of ours.
    pub fn present(&self, key: &[u8], value: &[u8]) -> Option<Ticket> {
        let nonce = tail(key, &self.tickets())?;
        let (node, slot) = match serde_json::from_slice(value) {
            Ok(TicketValue { node, slot }) => (Some(node), slot),
            Err(_) => (None, None),
        };
        Some(Ticket { nonce, node, slot })
    }

    /// Which slot a key is, and who took it last by its value; nothing for a key that is none of ours.
    pub fn record(&self, key: &[u8], value: &[u8], revision: i64) -> Option<Record> {
        let slot = tail(key, &self.slots())?;
        // `slots/01` is somebody's, but not slot 1.
        (key == self.slot(slot).as_bytes()).then(|| match serde_json::from_slice(value) {
            Ok(RecordValue { holder, released }) => Record { slot, holder: Some(holder), released, revision },
            Err(_) => Record { slot, holder: None, released: false, revision },
        })
    }
}

fn ticket_value(node: &NodeId, slot: Option<u32>) -> String {
    let value = TicketValue { node: node.clone(), slot };
    serde_json::to_string(&value).expect("numbers and text are JSON")
}

/// Of an answer to [`Keys::find`].
fn record_and_ticket(answer: &TxnResponse) -> Option<(Option<KeyValue>, Option<KeyValue>)> {
    let [TxnOpResponse::Get(record), TxnOpResponse::Get(ticket)] = &answer.op_responses()[..] else {
        return None;
    };
    Some((record.kvs().first().cloned(), ticket.kvs().first().cloned()))
}

/// What a key has behind its prefix.
fn tail<T: FromStr>(key: &[u8], prefix: &str) -> Option<T> {
    str::from_utf8(key).ok()?.strip_prefix(prefix)?.parse().ok()
}
