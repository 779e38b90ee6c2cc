//! The keys of a pool, and what is asked of etcd about them.
//!
//! Below `/nsid/POOL/`, where POOL is the pattern in lower case:
//!
//! | key | value | lease |
//! | --- | --- | --- |
//! | `arrivals` | the nonce of the last to arrive; its version is how many did | none |
//! | `tickets/NONCE` | nothing; the order of creation is the line's | the claimant's |
//! | `slots/SLOT` | the holder's nonce; its revision is the fencing token | the holder's |
//!
//! While everyone who ever arrived is still there, arrivals and tickets are as many as each other, and an arrival's
//! number is its slot's: nobody has to look at the pool. Once somebody has left, they differ for good.

use std::str::FromStr;

use etcd_client::{
    Compare, CompareOp, GetOptions, KeyValue, PutOptions, Txn, TxnOp, TxnOpResponse, TxnResponse,
};

use super::order::{Taken, View};
use crate::store::Nonce;

/// The keys of one pool, for one claimant of it.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    root: String,
    nonce: Nonce,
}

/// What comes of arriving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// As the n-th of all that ever did, from 0, none of whom has left.
    First(u32),
    /// Somebody has left, or this claimant was there already.
    Later,
}

impl Keys {
    pub(super) fn new(pool: &str, nonce: Nonce) -> Self {
        Self { root: format!("/nsid/{pool}/"), nonce }
    }

    /// All keys of the pool begin with this.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    pub(super) fn slot(&self, slot: u32) -> String {
        format!("{}{slot}", self.slots())
    }

    fn slots(&self) -> String {
        format!("{}slots/", self.root)
    }

    fn tickets(&self) -> String {
        format!("{}tickets/", self.root)
    }

    fn ticket(&self) -> String {
        format!("{}{}", self.tickets(), self.nonce)
    }

    fn arrivals(&self) -> String {
        format!("{}arrivals", self.root)
    }

    /// Takes a ticket. One that is there already, of an earlier claim or of an arrival whose answer was lost, keeps its
    /// place in line and lives as long as this lease from now on.
    pub(super) fn arrive(&self, lease: i64) -> Txn {
        let ticket = || TxnOp::put(self.ticket(), "", Some(PutOptions::new().with_lease(lease)));
        let tickets = GetOptions::new().with_prefix().with_count_only();
        Txn::new()
            .when([Compare::create_revision(self.ticket(), CompareOp::Equal, 0)])
            .and_then([
                TxnOp::put(self.arrivals(), self.nonce.to_string(), Some(PutOptions::new().with_prev_key())),
                ticket(),
                TxnOp::get(self.tickets(), Some(tickets)),
            ])
            .or_else([ticket()])
    }

    pub(super) fn arrival(answer: &TxnResponse) -> Arrival {
        let [TxnOpResponse::Put(arrivals), _, TxnOpResponse::Get(tickets)] = &answer.op_responses()[..]
        else {
            return Arrival::Later;
        };
        let before = arrivals.prev_key().map_or(0, KeyValue::version);
        match u32::try_from(before) {
            Ok(slot) if tickets.count() == before + 1 => Arrival::First(slot),
            Ok(_) | Err(_) => Arrival::Later,
        }
    }

    /// Puts a slot if nobody has it.
    pub(super) fn take(&self, slot: u32, lease: i64) -> Txn {
        self.put(slot, lease, Compare::create_revision(self.slot(slot), CompareOp::Equal, 0))
    }

    /// Has a slot that is this claimant's live as long as another lease.
    pub(super) fn keep(&self, own: Taken, lease: i64) -> Txn {
        self.put(own.slot, lease, Compare::mod_revision(self.slot(own.slot), CompareOp::Equal, own.revision))
    }

    fn put(&self, slot: u32, lease: i64, when: Compare) -> Txn {
        let options = PutOptions::new().with_lease(lease);
        Txn::new().when([when]).and_then([TxnOp::put(self.slot(slot), self.nonce.to_string(), Some(options))])
    }

    /// Reads the pool at one revision.
    pub(super) fn look(&self) -> Txn {
        let all = || GetOptions::new().with_prefix();
        Txn::new().and_then([
            TxnOp::get(self.tickets(), Some(all().with_keys_only())),
            TxnOp::get(self.slots(), Some(all())),
        ])
    }

    /// The pool as [`look`](Keys::look) found it, and the revision.
    pub(super) fn view(&self, answer: &TxnResponse) -> Option<(View, i64)> {
        let [TxnOpResponse::Get(tickets), TxnOpResponse::Get(slots)] = &answer.op_responses()[..] else {
            return None;
        };
        let mut tickets: Vec<_> = tickets.kvs().iter().collect();
        tickets.sort_by_key(|ticket| ticket.create_revision());
        let tickets = tickets.into_iter().filter_map(|ticket| tail(ticket, &self.tickets())).collect();
        let slots = slots.kvs().iter().filter_map(|slot| {
            Some(Taken {
                slot: tail(slot, &self.slots())?,
                holder: slot.value_str().ok().and_then(|holder| holder.parse().ok()),
                revision: slot.mod_revision(),
            })
        });
        Some((View { tickets, slots: slots.collect() }, answer.header()?.revision()))
    }
}

/// What a key has behind its prefix; nothing for a key that is none of ours.
fn tail<T: FromStr>(key: &KeyValue, prefix: &str) -> Option<T> {
    key.key_str().ok()?.strip_prefix(prefix)?.parse().ok()
}
