//! `etcd://`: the slots of a pool in etcd (3.4 and later), for the nodes that reach it.
//!
//! A claimant has one lease, granted by a call of its own, and with it a ticket and a slot ([`pool`] has the keys,
//! [`order`] whose turn it is). The slot is put by one transaction that fails if anybody has it; the revision of that
//! put is the fencing token. When the lease is over or revoked, etcd removes both in one go.
//!
//! **Invariant:** an answer to a renewal counts only if a linearizable read, sent after it, finds the slot as this
//! claimant put it, in the same raft term. etcd's leader answers keepalives alone, without the others: one that was cut
//! off does so for up to an election timeout after its successor has counted all leases anew, and promises time that
//! the successor does not know of. The read needs a majority, in that term, at a time when the keepalive had been
//! dealt with: so no successor was elected by then, and one that is elected later counts from later.
//!
//! A request whose answer is lost may have been carried out. Each is such that it can be sent again: the lease's
//! number is chosen here, and tickets and slots carry the claimant's nonce, by which it finds its own.

mod cluster;
mod failure;
mod members;
mod order;
mod pool;
mod session;
mod version;

#[cfg(test)]
mod tests;

use std::time::Duration;

use etcd_client::Txn;

pub use self::cluster::{Cluster, Credentials, PASSWORD_VARIABLE, Password};
use self::failure::Failure;
use self::members::Members;
pub use self::order::{Taken, Turn, View};
pub use self::pool::Keys;
use self::session::{KeptAlive, Session, Term, incomplete};
use super::{ClaimError, Grant, Lease, Nonce, Progress, RENEWALS, RenewError, Store, Unreachable};
use crate::clock::BootTime;
use crate::pace::{Backoff, jittered, until};

/// How long who waits in line relies on being told of departures, where its keepalives are not more frequent than
/// that: a connection can be dead without a sign of it.
const LOOK: Duration = Duration::from_secs(10);

/// A claimant of a pool in etcd.
pub struct Etcd {
    session: Session,
    keys: Keys,
    nonce: Nonce,
    limit: u32,
    ttl: Duration,
    held: Option<Held>,
    knows_version: bool,
}

/// The slot that is ours, and the revision of our put.
#[derive(Clone, Copy, Debug)]
struct Held {
    slot: u32,
    revision: i64,
}

impl Etcd {
    /// The claimant `nonce` of the slots below `limit` of `pool`. All of a pool's claimants give the same cluster and
    /// pool; their limits and times may differ.
    pub fn new(cluster: Cluster, pool: &str, nonce: Nonce, limit: u32, ttl: Duration) -> Self {
        let first = nonce.spread(cluster.endpoints.len());
        let session = Session::new(Members::new(cluster, first, ttl), ttl);
        Self { session, keys: Keys::new(pool, nonce), nonce, limit, ttl, held: None, knows_version: false }
    }

    /// Waits for a slot for as long as etcd answers.
    async fn try_to_claim(&mut self, progress: &Progress) -> Result<Grant, Failure> {
        // How long an earlier lease still lasts, a renewal will tell.
        let mut fresh = if self.session.has_lease() { None } else { Some(self.session.grant().await?) };
        self.look_at_version(progress).await;
        let arrived = self.session.transact(self.keys.arrive(self.session.lease()?)).await?;
        progress.claiming();
        if let Some(slot) = Keys::by_arrival(&arrived)
            && slot < self.limit
            && let Some(held) = self.put(slot, self.keys.take(slot, self.session.lease()?)).await?
        {
            return self.granted(held, fresh).await;
        }
        loop {
            let view = self.look().await?;
            let lease = self.session.lease()?;
            let held = match view.turn(self.nonce, self.limit) {
                Turn::Keep(own) => self.put(own.slot, self.keys.keep(own, lease)).await?,
                Turn::Take(slot) => self.put(slot, self.keys.take(slot, lease)).await?,
                Turn::Wait { departures } => {
                    progress.waiting();
                    fresh = None;
                    self.wait(view.revision, departures).await?;
                    None
                }
                Turn::Absent => return Err(Failure::Lost),
            };
            if let Some(held) = held {
                return self.granted(held, fresh).await;
            }
        }
    }

    /// Warns once of what etcd itself gets wrong. No claim depends on it.
    async fn look_at_version(&mut self, progress: &Progress) {
        if self.knows_version {
            return;
        }
        self.knows_version = true;
        if let Ok(Some(version)) = self.session.version().await
            && let Some(caveat) = version::caveat(&version)
        {
            log::warn!("{progress}: {caveat}");
        }
    }

    async fn look(&mut self) -> Result<View, Failure> {
        let answer = self.session.transact(self.keys.look()).await?;
        Ok(self.keys.view(&answer).ok_or_else(incomplete)?)
    }

    /// Nothing: the slot is not as it was seen.
    async fn put(&mut self, slot: u32, put: Txn) -> Result<Option<Held>, Failure> {
        let answer = self.session.transact(put).await?;
        let revision = answer.header().ok_or_else(incomplete)?.revision();
        self.held = answer.succeeded().then_some(Held { slot, revision });
        Ok(self.held)
    }

    async fn granted(&mut self, held: Held, fresh: Option<Lease>) -> Result<Grant, Failure> {
        let lease = match fresh {
            Some(lease) => lease,
            None => self.prolong(held).await?,
        };
        Ok(Grant { slot: held.slot, token: held.revision.unsigned_abs(), lease })
    }

    /// Waits in line until there were so many departures after that revision, or until it is time to look again, and
    /// keeps the lease alive.
    async fn wait(&mut self, revision: i64, departures: usize) -> Result<(), Failure> {
        let due = BootTime::now().saturating_add(jittered(LOOK.min(self.ttl / RENEWALS)));
        self.session.watch(self.keys.tickets(), revision, departures, due).await?;
        match self.session.keep_alive().await? {
            KeptAlive::For(..) => Ok(()),
            KeptAlive::Over => Err(Failure::Lost),
        }
    }

    /// Goes on with a slot, and with the lease that etcd has it with.
    async fn take_over(&mut self, held: Held) -> Result<Lease, Failure> {
        if !self.session.has_lease() {
            let answer = self.session.read(self.keys.slot(held.slot)).await?;
            let slot = answer.kvs().first().filter(|slot| self.keys.is_as_put(slot, held.revision));
            self.session.take_over(slot.ok_or(Failure::Lost)?.lease());
        }
        self.held = Some(held);
        self.prolong(held).await
    }

    /// More time for the slot, if it is still ours.
    async fn prolong(&mut self, held: Held) -> Result<Lease, Failure> {
        let (lease, ()) = Lease::ask(self.ttl, |_| async {
            let kept_alive = self.session.keep_alive().await?;
            let answer = self.session.read(self.keys.slot(held.slot)).await?;
            if !answer.kvs().first().is_some_and(|slot| self.keys.is_as_put(slot, held.revision)) {
                return Err(Failure::Lost);
            }
            let term = Term::of(answer.header())?;
            match kept_alive {
                KeptAlive::For(granted, then) if then == term => Ok((granted, ())),
                KeptAlive::For(..) => Err(Unreachable::new("a leader was elected meanwhile").into()),
                KeptAlive::Over => Err(Unreachable::new("the lease is over, the slot still there").into()),
            }
        })
        .await?;
        Ok(lease)
    }
}

impl Store for Etcd {
    async fn claim(&mut self, progress: &Progress) -> Result<Grant, ClaimError> {
        self.held = None;
        let mut backoff = Backoff::new();
        loop {
            match self.try_to_claim(progress).await {
                Ok(grant) => return Ok(grant),
                Err(Failure::Lost) => {
                    self.session.forget();
                    until(backoff.next()).await;
                }
                Err(Failure::Refused(reason)) => return Err(ClaimError::EtcdRefused { reason }),
                Err(Failure::Unreachable(reason)) => {
                    progress.unreachable(&reason);
                    until(backoff.next()).await;
                }
            }
        }
    }

    async fn renew(&mut self) -> Result<Lease, RenewError> {
        let held = self.held.ok_or(RenewError::Lost)?;
        Ok(self.prolong(held).await?)
    }

    async fn resume(&mut self, slot: u32, token: u64) -> Result<Lease, RenewError> {
        let revision = token.try_into().map_err(|_| RenewError::Lost)?;
        Ok(self.take_over(Held { slot, revision }).await?)
    }

    async fn release(&mut self) -> Result<(), Unreachable> {
        self.held = None;
        self.session.revoke().await
    }
}
