//! The keys of a pool.
//!
//! Below the prefix, `/nsid` if nothing else is said, where POOL is the pattern in lower case:
//!
//! | key | value | lease |
//! | --- | --- | --- |
//! | `agreements/POOL` | what all claimants of the pool are given alike | none |
//! | `POOL/arrivals` | the nonce of the last to arrive; its version is how many did | none |
//! | `POOL/tickets/NONCE` | its node, and the slot that it has; the order of creation is the line's | the claimant's |
//! | `POOL/slots/SLOT` | who took it last; its revision is the fencing token | none |
//! | `POOL/takes` | the nonce of the last to take a slot; its version is how often one was taken | none |
//! | `POOL/whole` | the last revision at which somebody found that nobody had left; arrivals and takes by then | none |
//! | `POOL/left` | there once somebody may have left; `long ago` once that concerns nobody any more | none |
//! | `POOL/dealer` | the nonce of who looks at the pool for all of a crowd | the claimant's |
//! | `POOL/dealt/PART` | what the last such look has shown for some of them | none |
//!
//! A slot is its last taker's as long as that one's ticket is there. Whoever takes it next compares both.
//!
//! While everyone who ever arrived is still there, an arrival's number is its slot's: nobody has to look at the pool. That
//! is so if arrivals and tickets are as many as each other; once somebody has left, they differ for good. But etcd counts
//! tickets one by one, which of a crowd of thousands each would have it do. So who has counted says when that was, in
//! `whole`: as long as there was no revision since but by arrivals and takes, which count themselves, no lease has ended, and
//! everyone is still there. Where others change etcd as well, tickets are counted more often, and who takes a slot by that
//! compares.
//!
//! While etcd is busy with a crowd, who is told so by its arrival has its slot by that, and puts the record later: until then
//! its ticket says that it may have a slot, and not which. So nobody takes a slot without a record but whose number it is, or
//! who sees in one look that `left` is there and no such ticket of before; with `left`, nobody comes to have a slot so. Neither
//! `arrivals` nor `left` may be deleted while agents live.

use std::str::FromStr;

use crate::store::{Agreement, Nonce};

/// The keys of one pool.
#[derive(Clone, Debug)]
pub struct Keys {
    agreements: String,
    root: String,
    pub(super) agreement: Agreement,
}

impl Keys {
    /// Of the pool of that agreement, below `prefix`.
    pub fn new(prefix: &str, agreement: Agreement) -> Self {
        let root = format!("{prefix}/{}/", agreement.pool());
        Self { agreements: format!("{prefix}/agreements/"), root, agreement }
    }

    /// How many slots there are.
    pub(super) fn limit(&self) -> u32 {
        self.agreement.limit()
    }

    /// Before the keys of all pools.
    pub(super) fn prefix(&self) -> String {
        self.agreements.trim_end_matches("agreements/").to_owned()
    }

    /// Before what is agreed on in each pool.
    pub(super) fn agreements(&self) -> &str {
        &self.agreements
    }

    /// Has what all claimants are given alike.
    pub(super) fn agreement_key(&self) -> String {
        format!("{}{}", self.agreements, self.agreement.pool())
    }

    /// Counts who arrived.
    pub(super) fn arrivals(&self) -> String {
        format!("{}arrivals", self.root)
    }

    /// Counts who took a slot.
    pub(super) fn takes(&self) -> String {
        format!("{}takes", self.root)
    }

    /// When nobody had left yet.
    pub(super) fn whole(&self) -> String {
        format!("{}whole", self.root)
    }

    /// Is there once somebody may have left.
    pub(super) fn somebody_left(&self) -> String {
        format!("{}left", self.root)
    }

    /// Who looks at the pool for everybody.
    pub(super) fn dealer(&self) -> String {
        format!("{}dealer", self.root)
    }

    /// A part of what it has dealt.
    pub(super) fn dealt(&self, part: usize) -> String {
        format!("{}dealt/{part}", self.root)
    }

    /// Before each ticket. One is deleted for every claimant that leaves.
    pub(super) fn tickets(&self) -> String {
        format!("{}tickets/", self.root)
    }

    pub(super) fn ticket(&self, nonce: Nonce) -> String {
        format!("{}{nonce}", self.tickets())
    }

    /// Before each slot.
    pub(super) fn slots(&self) -> String {
        format!("{}slots/", self.root)
    }

    /// Has who took it last.
    pub fn slot(&self, slot: u32) -> String {
        format!("{}{slot}", self.slots())
    }

    /// Whose ticket a key is; nothing for a key that is none.
    pub(super) fn nonce_of(&self, key: &[u8]) -> Option<Nonce> {
        tail(key, &self.tickets())
    }

    /// Which slot a key is; nothing for a key that is none.
    pub(super) fn slot_of(&self, key: &[u8]) -> Option<u32> {
        // `slots/01` is somebody's, but not slot 1.
        tail(key, &self.slots()).filter(|slot| key == self.slot(*slot).as_bytes())
    }
}

/// What a key has behind its prefix.
fn tail<T: FromStr>(key: &[u8], prefix: &str) -> Option<T> {
    str::from_utf8(key).ok()?.strip_prefix(prefix)?.parse().ok()
}
