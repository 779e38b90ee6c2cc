//! `etcd://`: the slots of a pool in etcd (3.4 and later), for the nodes that reach it.
//!
//! A claimant has one lease, granted by a call of its own, and with it a ticket; a slot's record, which goes with no lease,
//! says whose ticket has the slot ([`keys`] has the keys, [`order`] whose turn it is). A slot is taken by one
//! transaction, which fails unless the ticket of who took it last is gone; the revision of that is the fencing token.
//!
//! # Why no two have a slot
//!
//! A holder relies on nothing but this: its ticket will be there until so long after the request that it counts from.
//! The ticket goes when its lease is revoked, by a member that took itself for the leader and the lease for over. So, of
//! a lease that was granted in term T of raft:
//!
//! 1. *Its grant counts, whatever happens.* Whoever counts the time of a lease has begun to after the grant was sent.
//! 2. *A keepalive counts if it was answered in term T, and then a linearizable read was, in term T as well.* The read
//!    needs a majority in its term: so no other leader had been elected when the keepalive was dealt with, which then was
//!    by the leader of T. One that is elected later counts from later, and one of an earlier term knows nothing of the
//!    lease: a member stops to count before it applies what was proposed in a term that it does not lead (`raftNode.start`,
//!    etcdserver/raft.go). So does a transaction that writes, and was answered in term T: it stands in the log before all
//!    entries of later terms, and who leads in one begins to count when it has applied the first of its own.
//!
//! A lease of an earlier term would not do. Its leader, frozen or stuck while another one was elected, can have it revoked
//! although it was kept alive with the other (etcd-io/etcd#15247, mended in 3.4.31 and 3.5.13). So after an election, and
//! whenever the term of the grant is not certain, a renewal is a new lease, to which the ticket is moved if it is
//! still there and the slot's record still the holder's.
//!
//! That a grant was of term T is certain if T was the last term that had been heard of before it was sent, and is the term
//! of its answer: terms only grow along the log.
//!
//! **Invariant:** a [`Lease`] is made of the answer to a grant, or of a keepalive and then a read, or the taking of a slot,
//! that were answered in the term of the grant. No word of etcd's on how long a lease lasts counts otherwise.
//!
//! While etcd is busy with a crowd, who arrives has its slot by that, and puts the record with its first renewal
//! ([`arriving`]). The slot is the arrival's number, which no other one has, and the key `left` was not there in that revision:
//! so nobody had taken a slot without a record but by its own number. (That nobody had left either only keeps slots dense.)
//! Before anybody takes one otherwise, it has `left` put, after which nobody comes to have a slot by its arrival, and then
//! sees, in one look, no ticket of before that is unsettled. The next process of who had a slot so takes it by its number
//! before its ticket says anything else.
//!
//! What a look shows may be told by somebody who has looked for others as well ([`dealing`]), some time before.
//!
//! Who was told of a departure ([`waiting`]) reads the last ticket of who left, which says which slot that one had: nobody
//! could take the slot before the ticket went, so it is free if its record has not changed after that.
//!
//! Who claims again what it had ([`again`]) compares the slot's record with what it put: so nobody has taken the slot since, and
//! nobody has a slot by its arrival that has a record of somebody who could take it.
//!
//! A person can revoke a lease or delete a ticket, which no deadline knows of. So a holder has its ticket's deletion told,
//! and falls silent at once; and who takes a slot that was not given back says nothing for [`NOTICE`]. A slot whose record
//! is deleted is its holder's all the same: the ticket says so too.
//!
//! A request whose answer is lost may have been carried out: tickets and records carry the claimant's nonce, by which it
//! finds its own. It may also be carried out later, by a member that was frozen say, when the claimant has gone on, or its
//! next process. So a ticket is put with a new lease, and a slot taken, only if the ticket is with the lease that it was seen
//! with last ([`Move`]). It is never put with one that it was with before: once it has moved on, nothing comes of all that
//! was asked for before. Leases that it has left end by themselves.
//!
//! **Invariant:** no lease counts while a request may move the ticket away from it, or revoke it.
//!
//! A renewal sends the same to several members while none answers ([`members`]), and goes on with the first answer. All of
//! them are sent after the clock was read that the lease counts from, and what any member answers holds for the cluster;
//! what the others carry out later is what is said above of late requests.

mod cluster;
mod connection;
mod failure;
mod members;
mod session;
mod ticket;

mod again;
mod answers;
mod arriving;
mod dealing;
mod departures;
mod keys;
pub mod order;
mod record;
mod renewing;
mod requests;
mod roll;
mod waiting;

#[cfg(feature = "without-transaction")]
mod get_then_put;

#[cfg(test)]
mod tests;

use std::mem;
use std::time::{Duration, Instant};

use etcd_client::Txn;

use self::answers::{Arrived, Held};
use self::arriving::{BUSY_FROM, ByArrival};
pub use self::cluster::{Cluster, PASSWORD_VARIABLE};
use self::dealing::Seen;
use self::departures::{Ahead, Departures, FAR};
use self::failure::Failure;
pub use self::keys::Keys;
use self::members::{Members, Urgency};
use self::order::{Step, Turn, View};
use self::record::{FORMAT, SlotRecord};
use self::session::{Leased, Session, incomplete};
#[cfg(doc)]
use self::ticket::Move;
use super::{
    Agreement, ClaimError, Directory, Grant, Holder, Incarnation, Inherited, Lease, Nonce, Progress,
    RenewError, Roll, Store, Unreachable,
};
use crate::clock::BootTime;
use crate::pace::{Backoff, until, within};

/// So many tries at a renewal fit into a lease.
const RENEWALS: u32 = 3;

/// How long who takes a slot that was not given back keeps silent: its last holder may live, a person having revoked its
/// lease, and is told of that by etcd in a few milliseconds.
const NOTICE: Duration = Duration::from_millis(250);

/// The longest that a sound cluster is without a leader that serves, and 0.3 s. A leader that hears nobody goes on to be
/// heard until it looks whether a majority hears it, for up to two election timeouts, and the first of the others stands
/// for election after up to two more. The timeout is etcd's default, one second. So much is to be left of a lease when it
/// is renewed.
const LEADERLESS: Duration = Duration::from_millis(4300);

/// How often a lease is renewed in its length at most, however little is left: each time costs etcd two requests.
const OFTEN: u32 = 8;

/// And at least, however much is left.
const SELDOM: u32 = 2;

/// A claimant of a pool in etcd.
pub struct Etcd {
    session: Session,
    keys: Keys,
    incarnation: Incarnation,
    ttl: Duration,
    held: Option<Held>,
    /// What it held before this claim, if that is still to be asked for.
    last: Option<Held>,
    /// A lease that was granted in this claim, and that the ticket has not moved on from.
    fresh: Option<(Lease, Leased)>,
    /// Whether its ticket says that it may have a slot by its arrival.
    unsettled: bool,
    /// [`BUSY_FROM`].
    busy_from: Duration,
    /// The slot that an earlier process was granted at that revision, while that is looked for.
    resuming: Option<(u32, i64)>,
    /// Its ticket was once found with a lease that is none of its own.
    met_stranger: bool,
    told_of_unreadable: bool,
}

/// What came of taking a slot.
enum Taken {
    Granted(Grant),
    /// It has been already, then.
    ByOurselves {
        revision: i64,
    },
    /// It is not as it was seen.
    NotAsSeen,
}

impl Etcd {
    /// A claimant of the pool of that agreement. All of a pool's claimants give the same cluster; their times may differ.
    pub fn new(cluster: Cluster, incarnation: Incarnation, agreement: Agreement, ttl: Duration) -> Self {
        let first = incarnation.nonce.spread(cluster.endpoints.len());
        let keys = Keys::new(&cluster.prefix, agreement.kept_as(FORMAT));
        let session = Session::new(Members::new(cluster, first, ttl), ttl);
        Self {
            session,
            keys,
            incarnation,
            ttl,
            held: None,
            last: None,
            fresh: None,
            unsettled: false,
            busy_from: BUSY_FROM,
            resuming: None,
            met_stranger: false,
            told_of_unreadable: false,
        }
    }

    /// Waits for a slot for as long as etcd answers.
    async fn try_to_claim(&mut self, progress: &Progress) -> Result<Grant, Failure> {
        let began = Instant::now();
        let who = SlotRecord::taken(Holder::new(&self.incarnation, self.ttl));
        // How long an earlier one still lasts, nobody knows.
        self.fresh = None;
        let arrived = self.arrive(&who.holder).await?;
        progress.claiming();
        if let Some(grant) = self.take_again(&arrived, &who).await? {
            return Ok(grant);
        }
        let (Arrived::Now { revision: mut since, .. } | Arrived::Before { mut since, .. }) = arrived;
        let by_arrival = self.by_arrival(arrived).await?;
        #[cfg(feature = "without-transaction")]
        if let Some(grant) = self.get_then_put(&who, progress).await? {
            return Ok(grant);
        }
        let (number, mut in_line) = match by_arrival {
            Some(ByArrival::Had(slot, since)) => {
                if let Some(grant) = self.hold_by_arrival((slot, since), &who.holder, began) {
                    return Ok(grant);
                }
                (Some((slot, None)), None)
            }
            Some(ByArrival::Slot(slot, whole)) => (Some((slot, whole)), None),
            Some(ByArrival::InLine { since, departures, ahead }) => {
                (None, Some(Departures::after(since, departures, who.holder.nonce, ahead)))
            }
            None => (None, None),
        };
        if let Some((slot, whole)) = number
            && let Some(grant) = self.take_by_arrival(slot, whole, &who).await?
        {
            return Ok(grant);
        }
        let mut in_crowd = began.elapsed() >= self.busy_from;
        loop {
            if let Some(departures) = in_line.take() {
                if let Some(grant) = self.take_after(departures, &who, progress).await? {
                    return Ok(grant);
                }
                // It may have been replaced meanwhile.
                self.fresh = None;
                in_crowd = false;
            }
            if self.unsettled {
                let (_, leased) = self.fresh_lease().await?;
                self.move_in_line(leased, None).await?;
            }
            let dealt = if in_crowd { self.dealt(since).await? } else { None };
            let Seen { revision, long_ago, step } = match dealt {
                Some(seen) => seen,
                None => self.look(in_crowd).await?,
            };
            since = revision + 1;
            let (slot, lease, take) = match step.turn {
                Turn::Keep { slot, revision } => {
                    let lease = self.fresh_lease().await?;
                    let ticket = self.session.moving_to(lease.1.id);
                    (slot, lease, self.keys.keep(slot, revision, &who, ticket))
                }
                Turn::Take(slot) => {
                    let lease = self.fresh_lease().await?;
                    let ticket = self.session.moving_to(lease.1.id);
                    (slot, lease, self.keys.take(slot, &who, step.last, ticket))
                }
                Turn::Wait { departures } => {
                    let ahead = step.ahead.map(|nonce| Ahead { nonce, places: FAR as usize });
                    in_line = Some(Departures::after(revision, departures, who.holder.nonce, ahead));
                    continue;
                }
                Turn::Unsettled | Turn::Absent => return Err(Failure::Lost),
            };
            if let Taken::Granted(grant) = self.take(slot, take, &who, lease).await? {
                if matches!(step, Step { turn: Turn::Take(_), last: None, .. }) && !long_ago {
                    // Somebody may have had it by its arrival.
                    until(BootTime::now().saturating_add(NOTICE)).await;
                    let long_ago = self.session.transact(Urgency::Claim, self.keys.put_long_ago());
                    // Or the next one says it.
                    let _said = within(BootTime::now().saturating_add(NOTICE), long_ago).await;
                }
                return Ok(grant);
            }
        }
    }

    /// What the pool shows this claimant, once that can be told; and the others, if it is the dealer.
    async fn look(&mut self, is_dealer: bool) -> Result<Seen, Failure> {
        let nonce = self.incarnation.nonce;
        loop {
            let answer = self.session.transact(Urgency::Claim, self.keys.look()).await?;
            let view = self.keys.view(&answer).ok_or_else(incomplete)?;
            self.tell_of_unreadable(&view);
            if let Some(lease) = self.keys.ticket_lease_in(&answer, nonce) {
                self.session.seen_with(lease);
                // It was with the other one before.
                self.fresh = self.fresh.filter(|_| self.session.lease() == Some(lease));
            }
            let steps = view.steps(nonce, self.keys.limit());
            let own = steps.iter().find(|(other, _)| *other == nonce);
            let step = own.map(|(_, step)| *step).ok_or(Failure::Lost)?;
            let is_settled = step.turn != Turn::Unsettled;
            if is_dealer {
                self.deal(&view, steps, !is_settled).await;
            }
            if !is_settled {
                self.settle_pool(&view, nonce).await?;
                self.fresh = None;
                continue;
            }
            return Ok(Seen { revision: view.revision, long_ago: view.long_ago, step });
        }
    }

    /// Says so once: nobody takes what may be somebody's, and so a name is out of use.
    fn tell_of_unreadable(&mut self, view: &View) {
        let unreadable = view.slots.iter().find(|record| record.holder.is_none());
        if let Some(record) = unreadable.filter(|_| !mem::replace(&mut self.told_of_unreadable, true)) {
            log::warn!(
                "{} in etcd is no record of this version, so that nobody takes that slot; delete it if no agent has it",
                self.keys.slot(record.slot)
            );
        }
    }

    /// A lease whose time has just begun.
    async fn fresh_lease(&mut self) -> Result<(Lease, Leased), Failure> {
        let is_fresh =
            |(lease, _): &(Lease, Leased)| !lease.sent().saturating_add(self.ttl / RENEWALS).passed();
        if let Some(fresh) = self.fresh.filter(is_fresh) {
            return Ok(fresh);
        }
        Ok(*self.fresh.insert(self.session.grant(Urgency::Claim).await?))
    }

    async fn take(
        &mut self,
        slot: u32,
        take: Txn,
        who: &SlotRecord,
        (lease, leased): (Lease, Leased),
    ) -> Result<Taken, Failure> {
        let answer = self.session.transact(Urgency::Claim, take).await?;
        let revision = answer.header().ok_or_else(incomplete)?.revision();
        if !answer.succeeded() {
            let own = Keys::own_take(&answer, who.holder.nonce);
            return Ok(own.map_or(Taken::NotAsSeen, |revision| Taken::ByOurselves { revision }));
        }
        self.session.moved(leased);
        self.unsettled = false;
        self.held = Some(Held::by_taking(slot, revision, who));
        let previous = Keys::previous_taker(&answer);
        if previous.is_some_and(|previous| left_without_a_word(&previous, who.holder.nonce)) {
            until(BootTime::now().saturating_add(NOTICE)).await;
        }
        Ok(Taken::Granted(Grant { slot, token: revision.unsigned_abs(), lease }))
    }
}

impl Taken {
    fn granted(self) -> Option<Grant> {
        if let Self::Granted(grant) = self { Some(grant) } else { None }
    }
}

fn left_without_a_word(previous: &SlotRecord, nonce: Nonce) -> bool {
    !previous.released && previous.holder.nonce != nonce
}

impl Store for Etcd {
    fn renewals(&self) -> u32 {
        RENEWALS
    }

    fn rhythm(&self, ttl: Duration) -> Duration {
        // Less an eighth, for the jitter and for the fence's margin.
        let renewed = (ttl.saturating_sub(LEADERLESS) * 7 / 8).clamp(ttl / OFTEN, ttl / SELDOM);
        let record_due = self.held.as_ref().and_then(|held| held.due);
        record_due.map_or(renewed, |due| renewed.min(due))
    }

    async fn claim(&mut self, progress: &Progress) -> Result<Grant, ClaimError> {
        self.last = self.held.take().or(self.last.take());
        (self.resuming, self.met_stranger) = (None, false);
        let mut backoff = Backoff::new();
        loop {
            match self.try_to_claim(progress).await {
                Ok(grant) => return Ok(grant),
                Err(Failure::Lost) => {
                    self.session.lose();
                    until(backoff.next()).await;
                }
                Err(Failure::Refused(reason)) => {
                    return Err(ClaimError::EtcdRefused { reason, prefix: self.keys.prefix() });
                }
                Err(Failure::Disagrees(store, disagreement)) => {
                    if let Err(error) = self.session.revoke().await {
                        log::debug!("{progress}: the ticket stays for as long as a claim lasts: {error}");
                    }
                    return Err(ClaimError::Disagrees { store, disagreement });
                }
                Err(Failure::Unreachable(reason)) => {
                    progress.unreachable(&reason);
                    until(backoff.next()).await;
                }
            }
        }
    }

    async fn renew(&mut self) -> Result<Lease, RenewError> {
        let held = self.held.clone().ok_or(RenewError::Lost)?;
        Ok(self.prolong(&held).await?)
    }

    async fn resume(&mut self, Inherited { slot, token, .. }: Inherited) -> Result<Lease, RenewError> {
        let revision = token.try_into().map_err(|_| RenewError::Lost)?;
        self.resuming = Some((slot, revision));
        let held = self.take_over(slot, revision).await?;
        Ok(self.prolong(&held).await?)
    }

    async fn lost(&mut self) {
        let ticket = self.keys.ticket(self.incarnation.nonce);
        let mut backoff = Backoff::new();
        while self.session.deleted(&ticket).await.is_err() {
            until(backoff.next()).await;
        }
    }

    async fn release(&mut self) -> Result<(), Unreachable> {
        if let Some((slot, revision)) = self.resuming
            && let Err(Failure::Unreachable(reason)) = self.take_over(slot, revision).await
        {
            return Err(reason);
        }
        if let Some(release) = self.held.take().and_then(|held| self.keys.release(&held)) {
            // Without its answer, the end of the lease does what it does, and leaves the next one waiting a little longer.
            let _answer = self.session.transact(Urgency::Renewal, release).await;
        }
        self.session.revoke().await
    }
}

impl Directory for Etcd {
    async fn names(&mut self) -> Result<Roll, Unreachable> {
        let answer = self.session.transact(Urgency::Claim, self.keys.look()).await?;
        self.keys.roll(&answer).ok_or_else(incomplete)
    }
}
