//! What etcd answers about a pool.

use std::time::Duration;

use etcd_client::{GetResponse, KeyValue, TxnOpResponse, TxnResponse};

use super::dealing::Deal;
use super::keys::Keys;
use super::order::{Record, Ticket, View};
use super::record::{LONG_AGO, SlotRecord, TicketRecord, Whole, read_whole};
use super::session::incomplete;
use super::ticket::LeaseId;
use crate::store::{Disagreement, Holder, Nonce, Unreachable};

/// A slot that this claimant has.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) slot: u32,
    /// When its record was put; of one that is not yet, that of the arrival by which it is had.
    pub(super) revision: i64,
    /// What was put there, or is to be.
    pub(super) record: Vec<u8>,
    /// How long after the claim's beginning it is to be put, if it is not yet.
    pub(super) due: Option<Duration>,
}

/// How a slot that this claimant has is found.
#[derive(Debug)]
pub(super) enum Found {
    /// As it was, or with its record put since by a request that was not answered; and the lease of the claimant's ticket.
    Had(Held, LeaseId),
    /// Somebody else has it, or nobody.
    Lost,
    /// Somebody took it who has our nonce.
    Twin,
}

/// What came of asking for a ticket.
#[derive(Debug)]
pub(super) enum Arrival {
    /// The pool was made, and it is to be asked for again.
    Made,
    /// There is one.
    Came(Arrived),
    /// Why this claimant may not have one, and the key that says so.
    Refused(Refusal),
}

/// A claimant that has a ticket.
#[derive(Debug)]
pub(super) enum Arrived {
    /// It has come now.
    Now {
        /// How many had come before.
        before: i64,
        /// When.
        revision: i64,
        /// Whether none of them had left, if that is certain.
        all_stayed: Option<bool>,
    },
    /// It had one already.
    Before {
        /// With that lease.
        lease: LeaseId,
        /// Since that revision.
        since: i64,
        /// It says that it has that slot.
        slot: Option<u32>,
        /// It may have a slot by its arrival.
        is_unsettled: bool,
    },
}

/// A pool whose tickets were counted.
#[derive(Debug)]
pub(super) struct Counted {
    /// If nobody has left.
    pub(super) whole: Option<Whole>,
    /// How many had come before the one that did then, if that was asked and arrivals are not counted anew.
    pub(super) before: Option<i64>,
}

/// A part of a deal, and who deals.
#[derive(Debug)]
pub(super) struct DealFound {
    /// When it was found so.
    pub(super) revision: i64,
    /// When it was dealt, if not before the revision that was asked for; and what, if that can be read.
    pub(super) deal: Option<(i64, Option<Deal>)>,
    /// Since when there is a dealer, and which, if there is one.
    pub(super) dealer: Option<(i64, Option<Nonce>)>,
}

/// A key, and in what it differs from what the claimant was given.
pub(super) type Refusal = (String, Disagreement);

impl Keys {
    /// Nothing: no answer to [`arrive`](Keys::arrive).
    pub(super) fn arrived(&self, answer: &TxnResponse) -> Option<Arrival> {
        self.arrived_at(answer.header()?.revision(), answer)
    }

    fn arrived_at(&self, revision: i64, answer: &TxnResponse) -> Option<Arrival> {
        use TxnOpResponse::{Get, Put};
        let answers = answer.op_responses();
        let (arrived, pools) = match &answers[..] {
            [TxnOpResponse::Txn(inner)] => return self.arrived_at(revision, inner),
            [Put(arrivals), Put(_), Get(takes), Get(whole), Get(left), Get(pools)] => {
                let before = arrivals.prev_key().map_or(0, KeyValue::version);
                let changes = before + 1 + takes.kvs().first().map_or(0, KeyValue::version);
                let whole = whole.kvs().first().and_then(when_whole);
                let is_whole = whole.is_some_and(|whole| whole.holds_at(revision, changes));
                let all_stayed = if left.kvs().is_empty() { is_whole.then_some(true) } else { Some(false) };
                (Arrived::Now { before, revision, all_stayed }, pools)
            }
            [Get(ticket), Get(left), Get(pools)] => {
                let ticket = ticket.kvs().first()?;
                let (lease, since) = (ticket.lease(), ticket.create_revision());
                let record = TicketRecord::read(ticket.value());
                let slot = record.as_ref().and_then(|record| record.slot);
                let slot = slot.filter(|slot| *slot < self.limit());
                let is_unsettled =
                    record.is_some_and(|record| record.unsettled.is_some()) && !came_after(ticket, left);
                (Arrived::Before { lease, since, slot, is_unsettled }, pools)
            }
            [Put(_), Put(_)] => return Some(Arrival::Made),
            [Get(pools)] => return self.differs(pools).map(Arrival::Refused),
            _ => return None,
        };
        Some(match self.check_pools(pools) {
            Ok(()) => Arrival::Came(arrived),
            Err(refusal) => Arrival::Refused(refusal),
        })
    }

    /// What is agreed on in the pool is not what this claimant would write.
    fn differs(&self, pools: &GetResponse) -> Option<Refusal> {
        let key = self.agreement_key();
        let own = pools.kvs().iter().find(|kv| kv.key() == key.as_bytes())?;
        // Equal and yet not the same, it was written by hand.
        let checked = self.agreement.check(own.value());
        Some((key, checked.err().unwrap_or_else(|| Disagreement::by_hand(own.value()))))
    }

    /// Of two pools that make the same name, the younger one gives way.
    fn check_pools(&self, pools: &GetResponse) -> Result<(), Refusal> {
        let own = self.agreement_key();
        let is_own = |kv: &&KeyValue| kv.key() == own.as_bytes();
        let since = pools.kvs().iter().find(is_own).map_or(i64::MAX, KeyValue::create_revision);
        let mut older = pools.kvs().iter().filter(|kv| kv.create_revision() < since);
        older.try_for_each(|other| {
            let key = || String::from_utf8_lossy(other.key()).into_owned();
            self.agreement.check_beside(other.value()).map_err(|disagreement| (key(), disagreement))
        })
    }

    /// Of an answer to [`count`](Keys::count).
    pub(super) fn counted(answer: &TxnResponse) -> Option<Counted> {
        let answers = answer.op_responses();
        let [TxnOpResponse::Get(arrivals), TxnOpResponse::Get(tickets), TxnOpResponse::Get(takes), then @ ..] =
            &answers[..]
        else {
            return None;
        };
        let version = |answer: &GetResponse| answer.kvs().first().map_or(0, KeyValue::version);
        let (came, revision) = (version(arrivals), answer.header()?.revision());
        let before = match then {
            [TxnOpResponse::Get(then)] => Some(version(then) - 1),
            _ => None,
        };
        let whole = Whole { revision, changes: came + version(takes) };
        let before = before.filter(|_| tickets.count() <= came);
        Some(Counted { whole: (tickets.count() == came).then_some(whole), before })
    }

    /// Who [had arrived last](Keys::arrivals_at), and how many before it.
    pub(super) fn arrived_last(answer: &TxnResponse) -> Option<(Nonce, i64)> {
        let [TxnOpResponse::Get(arrivals)] = &answer.op_responses()[..] else { return None };
        let last = arrivals.kvs().first()?;
        Some((str::from_utf8(last.value()).ok()?.parse().ok()?, last.version() - 1))
    }

    /// The slot of who has departed, by its [last ticket](Keys::last_ticket); nothing if it was in line.
    pub(super) fn slot_left(&self, answer: &TxnResponse) -> Option<u32> {
        let [TxnOpResponse::Get(ticket)] = &answer.op_responses()[..] else { return None };
        let slot = TicketRecord::read(ticket.kvs().first()?.value())?.slot;
        slot.filter(|slot| *slot < self.limit())
    }

    /// Who had taken the slot before that was taken now; nothing if nobody had, or it cannot be read.
    pub(super) fn previous_taker(answer: &TxnResponse) -> Option<SlotRecord> {
        let answers = answer.op_responses();
        let Some(TxnOpResponse::Put(slot)) = answers.first() else { return None };
        SlotRecord::read(slot.prev_key()?.value())
    }

    /// When this claimant took the slot itself that it could not take now; nothing if it did not.
    pub(super) fn own_take(answer: &TxnResponse, nonce: Nonce) -> Option<i64> {
        let [TxnOpResponse::Get(slot)] = &answer.op_responses()[..] else { return None };
        let slot = slot.kvs().first()?;
        let is_ours = SlotRecord::read(slot.value()).is_some_and(|record| record.is_taken_by(nonce));
        is_ours.then_some(slot.mod_revision())
    }

    /// The lease of the ticket that was read alone; nothing if there is none.
    pub(super) fn ticket_lease(answer: &TxnResponse) -> Option<LeaseId> {
        let [TxnOpResponse::Get(ticket)] = &answer.op_responses()[..] else { return None };
        Some(ticket.kvs().first()?.lease())
    }

    /// The lease of that claimant's ticket in an answer to [`look`](Keys::look).
    pub(super) fn ticket_lease_in(&self, answer: &TxnResponse, nonce: Nonce) -> Option<LeaseId> {
        let answers = answer.op_responses();
        let Some(TxnOpResponse::Get(tickets)) = answers.first() else { return None };
        let key = self.ticket(nonce);
        Some(tickets.kvs().iter().find(|ticket| ticket.key() == key.as_bytes())?.lease())
    }

    /// How a slot was found. Nothing: no answer to [`find`](Keys::find).
    pub(super) fn found(answer: &TxnResponse, held: &Held, nonce: Nonce) -> Option<Found> {
        let (record, ticket) = record_and_ticket(answer)?;
        // An etcd that was restored from a snapshot has an earlier one of our own.
        let is_twins = |record: &KeyValue| {
            let is_later = record.mod_revision() > held.revision && record.value() != held.record;
            is_later && SlotRecord::read(record.value()).is_some_and(|it| it.is_taken_by(nonce))
        };
        Some(match (record, ticket) {
            (Some(record), ticket)
                if held.is_put()
                    && record.mod_revision() == held.revision
                    && record.value() == held.record =>
            {
                ticket.map_or(Found::Lost, |ticket| Found::Had(held.clone(), ticket.lease()))
            }
            (None, Some(ticket)) if !held.is_put() && unsettled_since(&ticket, held.revision).is_some() => {
                Found::Had(held.clone(), ticket.lease())
            }
            (Some(record), Some(ticket))
                if !held.is_put() && is_of_arrival(&record, nonce, held.revision) =>
            {
                Found::Had(held_by(held.slot, &record), ticket.lease())
            }
            (Some(record), _) if is_twins(&record) => Found::Twin,
            _ => Found::Lost,
        })
    }

    /// The slot that an earlier process of a claimant was granted at that revision, and the lease of its ticket; nothing if it
    /// has it no more.
    pub(super) fn inherited(
        answer: &TxnResponse,
        slot: u32,
        revision: i64,
        nonce: Nonce,
    ) -> Result<Option<(Held, LeaseId)>, Unreachable> {
        let (record, ticket) = record_and_ticket(answer).ok_or_else(incomplete)?;
        let Some(ticket) = ticket else { return Ok(None) };
        let is_its = |record: &KeyValue| {
            is_of_arrival(record, nonce, revision)
                || record.mod_revision() == revision
                    && SlotRecord::read(record.value()).is_some_and(|it| it.holder.nonce == nonce)
        };
        let held = match record {
            Some(record) => is_its(&record).then(|| held_by(slot, &record)),
            None => unsettled_since(&ticket, revision)
                .map(|who| Held::by_arrival(slot, revision, who, Duration::ZERO)),
        };
        Ok(held.map(|held| (held, ticket.lease())))
    }

    /// Of an answer to [`find_deal`](Keys::find_deal).
    pub(super) fn deal_found(answer: &TxnResponse) -> Option<DealFound> {
        let [TxnOpResponse::Get(part), TxnOpResponse::Get(dealer)] = &answer.op_responses()[..] else {
            return None;
        };
        let nonce = |dealer: &KeyValue| str::from_utf8(dealer.value()).ok()?.parse().ok();
        let deal = part.kvs().first();
        let dealer = dealer.kvs().first();
        Some(DealFound {
            revision: answer.header()?.revision(),
            deal: deal.map(|deal| (deal.mod_revision(), Deal::read(deal.value()))),
            dealer: dealer.map(|dealer| (dealer.create_revision(), nonce(dealer))),
        })
    }

    /// The pool as [`look`](Keys::look) found it.
    pub(super) fn view(&self, answer: &TxnResponse) -> Option<View> {
        use TxnOpResponse::Get;
        let [Get(tickets), Get(slots), _, Get(left), _] = &answer.op_responses()[..] else { return None };
        let mut tickets: Vec<_> = tickets.kvs().iter().collect();
        tickets.sort_by_key(|ticket| ticket.create_revision());
        let present = |ticket: &KeyValue| {
            let present = self.present(ticket.key(), ticket.value())?;
            let is_unsettled = present.is_unsettled && !came_after(ticket, left);
            Some(Ticket { is_unsettled, ..present })
        };
        let left = left.kvs().first();
        Some(View {
            revision: answer.header()?.revision(),
            somebody_left: left.is_some(),
            long_ago: left.is_some_and(|left| left.value() == LONG_AGO.as_bytes()),
            tickets: tickets.into_iter().filter_map(present).collect(),
            slots: slots
                .kvs()
                .iter()
                .filter_map(|slot| self.record(slot.key(), slot.value(), slot.mod_revision()))
                .collect(),
        })
    }

    /// Whose ticket a key is; nothing for a key that is none of ours.
    pub fn present(&self, key: &[u8], value: &[u8]) -> Option<Ticket> {
        let nonce = self.nonce_of(key)?;
        let Some(TicketRecord { node, slot, unsettled, .. }) = TicketRecord::read(value) else {
            return Some(Ticket { nonce, node: None, slot: None, is_unsettled: false });
        };
        Some(Ticket { nonce, node: Some(node), slot, is_unsettled: unsettled.is_some() })
    }

    /// Which slot a key is, and who took it last by its value; nothing for a key that is none of ours.
    pub fn record(&self, key: &[u8], value: &[u8], revision: i64) -> Option<Record> {
        let slot = self.slot_of(key)?;
        Some(match SlotRecord::read(value) {
            Some(SlotRecord { holder, released, arrival }) => {
                Record { slot, holder: Some(holder), released, revision, token: arrival.unwrap_or(revision) }
            }
            None => Record { slot, holder: None, released: false, revision, token: revision },
        })
    }
}

/// Of an answer to [`Keys::find`].
fn record_and_ticket(answer: &TxnResponse) -> Option<(Option<KeyValue>, Option<KeyValue>)> {
    let [TxnOpResponse::Get(record), TxnOpResponse::Get(ticket)] = &answer.op_responses()[..] else {
        return None;
    };
    Some((record.kvs().first().cloned(), ticket.kvs().first().cloned()))
}

/// When the pool was found whole, by that key: in the revision in which it was made, before anybody came, or later.
fn when_whole(key: &KeyValue) -> Option<Whole> {
    let made = || Whole { revision: key.mod_revision(), changes: 0 };
    Some(read_whole(key.value()).ok()?.unwrap_or_else(made))
}

/// The slot of that record.
fn held_by(slot: u32, record: &KeyValue) -> Held {
    Held { slot, revision: record.mod_revision(), record: record.value().to_vec(), due: None }
}

/// Whether a claimant that arrived then has put that record.
fn is_of_arrival(record: &KeyValue, nonce: Nonce, arrival: i64) -> bool {
    SlotRecord::read(record.value()).is_some_and(|it| it.is_taken_by(nonce) && it.arrival == Some(arrival))
}

/// Whether the claimant with that ticket came when nobody came to have a slot by its arrival any more.
fn came_after(ticket: &KeyValue, left: &GetResponse) -> bool {
    left.kvs().first().is_some_and(|left| ticket.create_revision() > left.create_revision())
}

/// Who arrived then, if that is still the ticket of that.
fn unsettled_since(ticket: &KeyValue, arrival: i64) -> Option<Holder> {
    TicketRecord::read(ticket.value())?.unsettled.filter(|_| ticket.create_revision() == arrival)
}

impl Held {
    /// What who has taken a slot in that revision has by that.
    pub(super) fn by_taking(slot: u32, revision: i64, who: &SlotRecord) -> Self {
        Self { slot, revision, record: who.to_json().into_bytes(), due: None }
    }

    /// What who arrived then has by that, with a record that is due so long after the claim's beginning.
    pub(super) fn by_arrival(slot: u32, revision: i64, who: Holder, due: Duration) -> Self {
        let record = SlotRecord::had_since(who, revision).to_json().into_bytes();
        Self { slot, revision, record, due: Some(due) }
    }

    /// Whether its record is put.
    pub(super) fn is_put(&self) -> bool {
        self.due.is_none()
    }
}
