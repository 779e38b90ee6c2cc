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

mod members;
mod order;
mod pool;

#[cfg(test)]
mod tests;

use std::time::Duration;

use etcd_client::{
    Client, Error, LeaseGrantOptions, LeaseKeepAliveStream, LeaseKeeper, ResponseHeader, Txn, TxnResponse,
    WatchFilterType, WatchOptions,
};

pub use self::members::{Credentials, Password};
use self::members::{Failure, Members};
use self::order::{Taken, Turn, View};
use self::pool::{Arrival, Keys};
use super::{ClaimError, Grant, Lease, Nonce, Progress, RenewError, Store, Unreachable};
use crate::clock::BootTime;
use crate::pace::{Backoff, jittered, until, within};

/// A claimant of a pool in etcd.
pub struct Etcd {
    members: Members,
    keys: Keys,
    nonce: Nonce,
    limit: u32,
    ttl: Duration,
    /// The lease that what we have is put with. It may be over, or not granted yet.
    lease: Option<i64>,
    /// Open while renewals succeed; an answer to an earlier request must not be taken for that to a later one.
    keep_alive: Option<(LeaseKeeper, LeaseKeepAliveStream)>,
    held: Option<Held>,
}

/// The slot that is ours, and the revision of our put.
#[derive(Clone, Copy, Debug)]
struct Held {
    slot: u32,
    revision: i64,
}

/// What a keepalive says.
enum KeptAlive {
    /// The lease lasts so long from when it was sent.
    For(Duration, Term),
    /// There is no such lease.
    Over,
}

/// The raft term of the member that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Term(u64);

impl Etcd {
    /// The claimant `nonce` of the slots below `limit` of `pool`, in the etcd whose members are at `endpoints`
    /// (`HOST:PORT`). All of a pool's claimants give the same pool; their limits and times may differ.
    pub fn new(
        endpoints: Vec<String>,
        credentials: Option<Credentials>,
        pool: &str,
        nonce: Nonce,
        limit: u32,
        ttl: Duration,
    ) -> Self {
        let members = Members::new(endpoints, credentials, ttl);
        let keys = Keys::new(pool, nonce);
        Self { members, keys, nonce, limit, ttl, lease: None, keep_alive: None, held: None }
    }

    /// Waits for a slot for as long as etcd answers.
    async fn try_to_claim(&mut self, progress: &Progress) -> Result<Grant, Failure> {
        // How long an earlier lease still lasts, a renewal will tell.
        let mut fresh = if self.lease.is_none() { Some(self.grant().await?) } else { None };
        let arrival = self.arrive().await?;
        progress.claiming();
        if let Arrival::First(slot) = arrival
            && slot < self.limit
            && let Some(held) = self.take(slot).await?
        {
            return self.granted(held, fresh).await;
        }
        loop {
            let (view, revision) = self.look().await?;
            let held = match view.turn(self.nonce, self.limit) {
                Turn::Keep(own) => self.keep(own).await?,
                Turn::Take(slot) => self.take(slot).await?,
                Turn::Wait { departures } => {
                    progress.waiting();
                    fresh = None;
                    self.wait(revision, departures).await?;
                    None
                }
                Turn::Absent => return Err(Failure::NoLease),
            };
            if let Some(held) = held {
                return self.granted(held, fresh).await;
            }
        }
    }

    async fn granted(&mut self, held: Held, fresh: Option<Lease>) -> Result<Grant, Failure> {
        let lease = match fresh {
            Some(lease) => lease,
            None => self.prolong(held).await?.ok_or(Failure::NoLease)?,
        };
        Ok(Grant { slot: held.slot, token: held.revision.unsigned_abs(), lease })
    }

    async fn grant(&mut self) -> Result<Lease, Failure> {
        let id = random_lease().map_err(Unreachable::new)?;
        (self.lease, self.keep_alive) = (Some(id), None);
        let seconds = self.ttl.as_millis().div_ceil(1000).try_into().unwrap_or(i64::MAX);
        let (lease, ()) = Lease::ask(self.ttl, |_| async {
            let options = LeaseGrantOptions::new().with_id(id);
            let grant = |mut etcd: Client| async move { etcd.lease_grant(seconds, Some(options)).await };
            Ok::<_, Failure>((as_duration(self.members.ask(grant).await?.ttl()), ()))
        })
        .await?;
        Ok(lease)
    }

    async fn arrive(&mut self) -> Result<Arrival, Failure> {
        let lease = self.lease.ok_or(Failure::NoLease)?;
        Ok(Keys::arrival(&self.transact(self.keys.arrive(lease)).await?))
    }

    async fn look(&mut self) -> Result<(View, i64), Failure> {
        let answer = self.transact(self.keys.look()).await?;
        Ok(self.keys.view(&answer).ok_or_else(incomplete)?)
    }

    async fn take(&mut self, slot: u32) -> Result<Option<Held>, Failure> {
        let lease = self.lease.ok_or(Failure::NoLease)?;
        self.put(slot, self.keys.take(slot, lease)).await
    }

    async fn keep(&mut self, own: Taken) -> Result<Option<Held>, Failure> {
        let lease = self.lease.ok_or(Failure::NoLease)?;
        self.put(own.slot, self.keys.keep(own, lease)).await
    }

    /// Nothing: the slot is not as it was seen.
    async fn put(&mut self, slot: u32, put: Txn) -> Result<Option<Held>, Failure> {
        let answer = self.transact(put).await?;
        let revision = answer.header().ok_or_else(incomplete)?.revision();
        self.held = answer.succeeded().then_some(Held { slot, revision });
        Ok(self.held)
    }

    async fn transact(&mut self, txn: Txn) -> Result<TxnResponse, Failure> {
        self.members.ask(|mut etcd| async move { etcd.txn(txn).await }).await
    }

    /// Waits in line until there were so many departures after that revision, or for a third of a lease, and keeps the
    /// lease alive.
    async fn wait(&mut self, revision: i64, departures: usize) -> Result<(), Failure> {
        let due = BootTime::now().saturating_add(jittered(self.ttl / 3));
        let root = self.keys.root().to_owned();
        let options = WatchOptions::new()
            .with_prefix()
            .with_filters([WatchFilterType::NoPut])
            .with_start_revision(revision + 1);
        let watch = |mut etcd: Client| async move { etcd.watch(root, Some(options)).await };
        let mut stream = self.members.ask(watch).await?;
        let departed = async {
            let mut seen = 0;
            while seen < departures {
                match stream.message().await {
                    Ok(Some(message)) if !message.canceled() => seen += message.events().len(),
                    Ok(Some(canceled)) => return Err(Unreachable::new(canceled.cancel_reason())),
                    Ok(None) => return Err(Unreachable::new("the watch has ended")),
                    Err(error) => return Err(Unreachable::new(error)),
                }
            }
            Ok(())
        };
        if let Some(Err(reason)) = within(due, departed).await {
            self.members.turn();
            return Err(reason.into());
        }
        match self.keep_alive().await? {
            KeptAlive::For(..) => Ok(()),
            KeptAlive::Over => Err(Failure::NoLease),
        }
    }

    async fn keep_alive(&mut self) -> Result<KeptAlive, Failure> {
        let lease = self.lease.ok_or(Failure::NoLease)?;
        let open = self.keep_alive.take();
        let keep_alive = |mut etcd: Client| async move {
            let (mut keeper, mut answers) = match open {
                Some(open) => open,
                None => match etcd.lease_keep_alive(lease).await {
                    // In the words of the client: the first answer on the stream said so.
                    Err(Error::LeaseKeepAliveError(_)) => return Ok(None),
                    opened => opened?,
                },
            };
            keeper.keep_alive().await?;
            let answer = answers.message().await?;
            Ok(answer.map(|answer| (answer, (keeper, answers))))
        };
        match self.members.ask(keep_alive).await? {
            Some((answer, open)) if answer.ttl() > 0 => {
                self.keep_alive = Some(open);
                Ok(KeptAlive::For(as_duration(answer.ttl()), term(answer.header())?))
            }
            Some(_) | None => Ok(KeptAlive::Over),
        }
    }

    /// More time for the slot; nothing if it is no longer ours.
    async fn prolong(&mut self, held: Held) -> Result<Option<Lease>, Failure> {
        let prolonged = Lease::ask(self.ttl, |_| async {
            let kept_alive = self.keep_alive().await.map_err(Some)?;
            let slot = self.keys.slot(held.slot);
            let read = |mut etcd: Client| async move { etcd.get(slot, None).await };
            let answer = self.members.ask(read).await.map_err(Some)?;
            if answer.kvs().first().is_none_or(|slot| slot.mod_revision() != held.revision) {
                return Err(None);
            }
            let term = term(answer.header()).map_err(|reason| Some(reason.into()))?;
            match kept_alive {
                KeptAlive::For(granted, then) if then == term => Ok((granted, ())),
                KeptAlive::For(..) => Err(Some(Unreachable::new("a leader was elected meanwhile").into())),
                KeptAlive::Over => {
                    Err(Some(Unreachable::new("the lease is over, the slot still there").into()))
                }
            }
        });
        match prolonged.await {
            Ok((lease, ())) => Ok(Some(lease)),
            Err(None) => Ok(None),
            Err(Some(failure)) => Err(failure),
        }
    }
}

impl Store for Etcd {
    async fn claim(&mut self, progress: &Progress) -> Result<Grant, ClaimError> {
        self.held = None;
        let mut backoff = Backoff::new();
        loop {
            match self.try_to_claim(progress).await {
                Ok(grant) => return Ok(grant),
                Err(Failure::NoLease) => self.lease = None,
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
        match self.prolong(held).await {
            Ok(Some(lease)) => Ok(lease),
            Ok(None) | Err(Failure::NoLease) => Err(RenewError::Lost),
            Err(Failure::Refused(reason)) => Err(Unreachable::new(reason).into()),
            Err(Failure::Unreachable(reason)) => Err(reason.into()),
        }
    }

    /// By the lease, with which etcd removes slot and ticket.
    async fn release(&mut self) -> Result<(), Unreachable> {
        self.held = None;
        let Some(lease) = self.lease else { return Ok(()) };
        let mut tries = self.members.count();
        loop {
            let revoke = |mut etcd: Client| async move { etcd.lease_revoke(lease).await };
            match self.members.ask(revoke).await {
                Ok(_) | Err(Failure::NoLease) => break,
                Err(Failure::Refused(reason)) => return Err(Unreachable::new(reason)),
                Err(Failure::Unreachable(reason)) if tries == 0 => return Err(reason),
                Err(Failure::Unreachable(_)) => tries -= 1,
            }
        }
        self.lease = None;
        Ok(())
    }
}

/// Any number but 0, which has etcd choose one.
fn random_lease() -> Result<i64, getrandom::Error> {
    Ok(i64::from_ne_bytes(getrandom::u64()?.to_ne_bytes()) & i64::MAX | 1)
}

/// Of seconds, as etcd tells them.
fn as_duration(seconds: i64) -> Duration {
    Duration::from_secs(seconds.try_into().unwrap_or(0))
}

fn term(header: Option<&ResponseHeader>) -> Result<Term, Unreachable> {
    Ok(Term(header.ok_or_else(incomplete)?.raft_term()))
}

/// No etcd answers so.
fn incomplete() -> Unreachable {
    Unreachable::new("an answer that lacks a part")
}
