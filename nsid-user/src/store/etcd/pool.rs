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

use super::session::LeaseId;
use super::{Taken, View};
use crate::store::Nonce;

/// The keys of one pool, for one claimant of it.
#[derive(Clone, Debug)]
pub struct Keys {
    root: String,
    nonce: Nonce,
}

impl Keys {
    /// Of the claimant `nonce`.
    pub fn new(pool: &str, nonce: Nonce) -> Self {
        Self { root: format!("/nsid/{pool}/"), nonce }
    }

    /// Has the holder's nonce.
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

    fn ticket(&self) -> String {
        format!("{}{}", self.tickets(), self.nonce)
    }

    fn arrivals(&self) -> String {
        format!("{}arrivals", self.root)
    }

    /// Takes a ticket. One that is there already, of an earlier claim or of an arrival whose answer was lost, keeps its
    /// place in line and lives as long as this lease from now on.
    pub(super) fn arrive(&self, lease: LeaseId) -> Txn {
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

    /// The slot of who has arrived, if that can be told without a look at the pool: nobody who arrived earlier has left.
    pub(super) fn by_arrival(answer: &TxnResponse) -> Option<u32> {
        let answers = answer.op_responses();
        let [TxnOpResponse::Put(arrivals), _, TxnOpResponse::Get(tickets)] = &answers[..] else {
            return None;
        };
        let before = arrivals.prev_key().map_or(0, KeyValue::version);
        if tickets.count() == before + 1 { before.try_into().ok() } else { None }
    }

    /// Puts a slot if nobody has it.
    pub(super) fn take(&self, slot: u32, lease: LeaseId) -> Txn {
        self.put(slot, lease, Compare::create_revision(self.slot(slot), CompareOp::Equal, 0))
    }

    /// Has a slot that is this claimant's live as long as another lease.
    pub(super) fn keep(&self, own: Taken, lease: LeaseId) -> Txn {
        self.put(own.slot, lease, Compare::mod_revision(self.slot(own.slot), CompareOp::Equal, own.revision))
    }

    fn put(&self, slot: u32, lease: LeaseId, when: Compare) -> Txn {
        let options = PutOptions::new().with_lease(lease);
        Txn::new().when([when]).and_then([TxnOp::put(self.slot(slot), self.nonce.to_string(), Some(options))])
    }

    /// Whether a slot is as this claimant put it at that revision. An etcd that was restored from a snapshot counts
    /// revisions again that it had counted already.
    pub(super) fn is_as_put(&self, slot: &KeyValue, revision: i64) -> bool {
        slot.mod_revision() == revision && slot.value() == self.nonce.to_string().as_bytes()
    }

    /// Reads the pool at one revision.
    pub(super) fn look(&self) -> Txn {
        let all = || GetOptions::new().with_prefix();
        Txn::new().and_then([
            TxnOp::get(self.tickets(), Some(all().with_keys_only())),
            TxnOp::get(self.slots(), Some(all())),
        ])
    }

    /// The pool as [`look`](Keys::look) found it.
    pub(super) fn view(&self, answer: &TxnResponse) -> Option<View> {
        let [TxnOpResponse::Get(tickets), TxnOpResponse::Get(slots)] = &answer.op_responses()[..] else {
            return None;
        };
        let mut tickets: Vec<_> = tickets.kvs().iter().collect();
        tickets.sort_by_key(|ticket| ticket.create_revision());
        Some(View {
            revision: answer.header()?.revision(),
            tickets: tickets.into_iter().filter_map(|ticket| self.waiting(ticket.key())).collect(),
            slots: slots
                .kvs()
                .iter()
                .filter_map(|slot| self.taken(slot.key(), slot.value(), slot.mod_revision()))
                .collect(),
        })
    }

    /// Whose ticket a key is; nothing for a key that is none of ours.
    pub fn waiting(&self, key: &[u8]) -> Option<Nonce> {
        tail(key, &self.tickets())
    }

    /// Which slot a key is, and whose by its value; nothing for a key that is none of ours.
    pub fn taken(&self, key: &[u8], value: &[u8], revision: i64) -> Option<Taken> {
        let slot = tail(key, &self.slots())?;
        let holder = || str::from_utf8(value).ok()?.parse().ok();
        // `slots/01` is somebody's, but not slot 1.
        (key == self.slot(slot).as_bytes()).then(|| Taken { slot, holder: holder(), revision })
    }
}

/// What a key has behind its prefix.
fn tail<T: FromStr>(key: &[u8], prefix: &str) -> Option<T> {
    str::from_utf8(key).ok()?.strip_prefix(prefix)?.parse().ok()
}
