//! What etcd answers about a pool.

use etcd_client::{GetResponse, KeyValue, TxnOpResponse, TxnResponse};

use super::keys::Keys;
use super::order::{Record, Ticket, View};
use super::record::{SlotRecord, TicketRecord, Whole, read_whole};
use super::session::{LeaseId, incomplete};
use crate::store::{Disagreement, Nonce, Unreachable};

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
        /// At that revision none of them had left, for certain.
        nobody_left: Option<i64>,
    },
    /// It had one already.
    Before {
        /// With that lease.
        lease: LeaseId,
        /// Since that revision.
        since: i64,
    },
}

/// A pool that nobody has left.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) whole: Whole,
    /// How many had come before the one that did then, if that was asked.
    pub(super) before: Option<i64>,
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
            [Put(arrivals), Put(_), Get(takes), Get(whole), Get(pools), ..] => {
                let before = arrivals.prev_key().map_or(0, KeyValue::version);
                let changes = before + 1 + takes.kvs().first().map_or(0, KeyValue::version);
                let whole = whole.kvs().first().and_then(|whole| when_whole(whole, arrivals.prev_key()?));
                let nobody_left = before == 0 || whole.is_some_and(|whole| whole.holds_at(revision, changes));
                (Arrived::Now { before, nobody_left: nobody_left.then_some(revision) }, pools)
            }
            [Get(ticket), Get(pools)] => {
                let ticket = ticket.kvs().first()?;
                (Arrived::Before { lease: ticket.lease(), since: ticket.create_revision() }, pools)
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

    /// Of an answer to [`count`](Keys::count); nothing if somebody has left.
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
        (tickets.count() == came).then_some(Counted { whole, before })
    }

    /// Who [had arrived last](Keys::arrivals_at), and how many before it.
    pub(super) fn arrived_last(answer: &TxnResponse) -> Option<(Nonce, i64)> {
        let [TxnOpResponse::Get(arrivals)] = &answer.op_responses()[..] else { return None };
        let last = arrivals.kvs().first()?;
        Some((str::from_utf8(last.value()).ok()?.parse().ok()?, last.version() - 1))
    }

    /// The slot of who has departed, by its [last ticket](Keys::left); nothing if it was in line.
    pub(super) fn slot_left(&self, answer: &TxnResponse) -> Option<u32> {
        let [TxnOpResponse::Get(ticket)] = &answer.op_responses()[..] else { return None };
        let slot = TicketRecord::read(ticket.kvs().first()?.value())?.slot;
        slot.filter(|slot| *slot < self.limit())
    }

    /// Who had the slot before that was taken now, if anybody, and we can read it.
    pub(super) fn taken_after(answer: &TxnResponse) -> Option<SlotRecord> {
        let answers = answer.op_responses();
        let Some(TxnOpResponse::Put(slot)) = answers.first() else { return None };
        SlotRecord::read(slot.prev_key()?.value())
    }

    /// When this claimant took the slot that it could not take now.
    pub(super) fn taken_before(answer: &TxnResponse, nonce: Nonce) -> Option<i64> {
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
        let is_ours =
            |record: &KeyValue| SlotRecord::read(record.value()).is_some_and(|it| it.is_taken_by(nonce));
        Some(match (record, ticket) {
            (Some(record), ticket)
                if record.mod_revision() == held.revision && record.value() == held.record =>
            {
                ticket.map_or(Found::Lost, |ticket| Found::AsPut(ticket.lease()))
            }
            (Some(record), _) if is_ours(&record) => Found::Twin,
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
                && SlotRecord::read(record.value()).is_some_and(|it| it.holder.nonce == nonce)
        };
        Ok(record.filter(took).zip(ticket).map(|(record, ticket)| {
            (Held { slot, revision, record: record.value().to_vec() }, ticket.lease())
        }))
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

    /// Whose ticket a key is; nothing for a key that is none of ours.
    pub fn present(&self, key: &[u8], value: &[u8]) -> Option<Ticket> {
        let nonce = self.nonce_of(key)?;
        let (node, slot) =
            TicketRecord::read(value).map_or((None, None), |ticket| (Some(ticket.node), ticket.slot));
        Some(Ticket { nonce, node, slot })
    }

    /// Which slot a key is, and who took it last by its value; nothing for a key that is none of ours.
    pub fn record(&self, key: &[u8], value: &[u8], revision: i64) -> Option<Record> {
        let slot = self.slot_of(key)?;
        Some(match SlotRecord::read(value) {
            Some(SlotRecord { holder, released }) => {
                Record { slot, holder: Some(holder), released, revision }
            }
            None => Record { slot, holder: None, released: false, revision },
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

/// When the pool was found whole, by that key and the one that counts arrivals, as it was before.
fn when_whole(key: &KeyValue, arrivals: &KeyValue) -> Option<Whole> {
    read_whole(key.value()).ok()?.or_else(|| {
        // In the revision in which the pool was made, before the first came, or with the first, as earlier versions did.
        let revision = key.mod_revision();
        let changes = i64::from(arrivals.create_revision() == revision);
        (arrivals.create_revision() >= revision).then_some(Whole { revision, changes })
    })
}
