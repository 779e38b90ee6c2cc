//! A claimant's dealings with etcd. All that it has there goes with its lease.

use std::num::NonZeroU64;
use std::time::Duration;

use etcd_client::{
    Client, Error, GetResponse, LeaseGrantOptions, LeaseKeepAliveStream, LeaseKeeper, ResponseHeader, Txn,
    TxnResponse, WatchFilterType, WatchOptions,
};

use super::failure::Failure;
use super::members::Members;
use crate::clock::BootTime;
use crate::pace::within;
use crate::store::{Lease, Unreachable};

/// A lease, and the way to those who keep it.
pub(super) struct Session {
    members: Members,
    ttl: Duration,
    /// The lease. It may be over, or not granted yet.
    lease: Option<LeaseId>,
    /// Open while keepalives succeed: the answer to an earlier one must not be taken for that to a later one.
    keep_alive: Option<(LeaseKeeper, LeaseKeepAliveStream)>,
}

/// The number that etcd knows a lease by.
pub(super) type LeaseId = i64;

/// What a keepalive says.
pub(super) enum KeptAlive {
    /// The lease lasts so long from when it was sent.
    For(Duration, Term),
    /// There is no such lease.
    Over,
}

/// The raft term of the member that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Term(NonZeroU64);

impl Session {
    /// Asks for leases of that length. Nothing is sent yet.
    pub(super) fn new(members: Members, ttl: Duration) -> Self {
        Self { members, ttl, lease: None, keep_alive: None }
    }

    /// Whether there is a lease to go on with.
    pub(super) fn has_lease(&self) -> bool {
        self.lease.is_some()
    }

    /// The lease that what is put goes with.
    pub(super) fn lease(&self) -> Result<LeaseId, Failure> {
        self.lease.ok_or(Failure::Lost)
    }

    /// Goes on without a lease: what was put with the last one stays until that is over.
    pub(super) fn forget(&mut self) {
        (self.lease, self.keep_alive) = (None, None);
    }

    /// Goes on with a lease that an earlier process of this claimant was granted.
    pub(super) fn take_over(&mut self, lease: LeaseId) {
        (self.lease, self.keep_alive) = (Some(lease), None);
    }

    /// Asks for a new lease. Its number is known before the answer, which may get lost.
    pub(super) async fn grant(&mut self) -> Result<Lease, Failure> {
        let id = random_id().map_err(Unreachable::new)?;
        (self.lease, self.keep_alive) = (Some(id), None);
        let seconds = self.ttl.as_millis().div_ceil(1000).try_into().unwrap_or(i64::MAX);
        let (lease, ()) = Lease::ask(self.ttl, |_| async {
            let options = LeaseGrantOptions::new().with_id(id);
            let grant = async |etcd: &mut Client| etcd.lease_grant(seconds, Some(options)).await;
            Ok::<_, Failure>((as_duration(self.members.ask_unhurried(grant).await?.ttl()), ()))
        })
        .await?;
        Ok(lease)
    }

    /// Has the lease last longer; how long is not certain yet (see the invariant of [`super`]).
    pub(super) async fn keep_alive(&mut self) -> Result<KeptAlive, Failure> {
        let lease = self.lease()?;
        let open = self.keep_alive.take();
        let keep_alive = async |etcd: &mut Client| {
            let (mut keeper, mut answers) = match open {
                Some(open) => open,
                None => match etcd.lease_keep_alive(lease).await {
                    // etcd-client's word for a lease that the first answer says is over (src/rpc/lease.rs).
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
                Ok(KeptAlive::For(as_duration(answer.ttl()), Term::of(answer.header())?))
            }
            Some(_) | None => Ok(KeptAlive::Over),
        }
    }

    /// Ends the lease, and with it all that was put with it.
    pub(super) async fn revoke(&mut self) -> Result<(), Unreachable> {
        let Some(lease) = self.lease else { return Ok(()) };
        // The connection that there is may be dead, and then its member be asked again.
        let mut others = self.members.count();
        loop {
            let revoke = async |etcd: &mut Client| etcd.lease_revoke(lease).await;
            match self.members.ask(revoke).await {
                Ok(_) | Err(Failure::Lost) => break,
                Err(Failure::Refused(reason)) => return Err(Unreachable::new(reason)),
                Err(Failure::Unreachable(reason)) if others == 0 => return Err(reason),
                Err(Failure::Unreachable(_)) => others -= 1,
            }
        }
        self.forget();
        Ok(())
    }

    /// Reads a key as it is now: by the word of a majority, not of one member (a linearizable read).
    pub(super) async fn read(&mut self, key: String) -> Result<GetResponse, Failure> {
        self.members.ask(async |etcd| etcd.get(key, None).await).await
    }

    /// Waits until so many keys below `prefix` were deleted after that revision, or until `due`.
    pub(super) async fn watch(
        &mut self,
        prefix: String,
        revision: i64,
        deletions: usize,
        due: BootTime,
    ) -> Result<(), Failure> {
        let options = WatchOptions::new()
            .with_prefix()
            .with_filters([WatchFilterType::NoPut])
            .with_start_revision(revision + 1);
        let watch = async |etcd: &mut Client| etcd.watch(prefix, Some(options)).await;
        let mut stream = self.members.ask_unhurried(watch).await?;
        let deleted = async {
            let mut seen = 0;
            while seen < deletions {
                match stream.message().await {
                    Ok(Some(message)) if !message.canceled() => seen += message.events().len(),
                    Ok(Some(canceled)) => return Err(Unreachable::new(canceled.cancel_reason())),
                    Ok(None) => return Err(Unreachable::new("the watch has ended")),
                    Err(error) => return Err(Unreachable::new(error)),
                }
            }
            Ok(())
        };
        match within(due, deleted).await {
            Some(Ok(())) | None => Ok(()),
            Some(Err(reason)) => {
                self.members.turn();
                Err(reason.into())
            }
        }
    }

    /// What version the member is of that is connected to; nothing if that is not of interest, there being no others.
    pub(super) async fn version(&mut self) -> Result<Option<String>, Failure> {
        if self.members.count() == 1 {
            return Ok(None);
        }
        let status = self.members.ask_unhurried(async |etcd| etcd.status().await).await?;
        Ok(Some(status.version().to_owned()))
    }

    /// Does all of it or nothing.
    pub(super) async fn transact(&mut self, txn: Txn) -> Result<TxnResponse, Failure> {
        self.members.ask_unhurried(async |etcd| etcd.txn(txn).await).await
    }
}

impl Term {
    /// That of an answer.
    pub(super) fn of(header: Option<&ResponseHeader>) -> Result<Self, Unreachable> {
        let term = header.ok_or_else(incomplete)?.raft_term();
        NonZeroU64::new(term).map(Self).ok_or_else(incomplete)
    }
}

/// Any number but 0, which has etcd choose one.
fn random_id() -> Result<LeaseId, getrandom::Error> {
    Ok(i64::from_ne_bytes(getrandom::u64()?.to_ne_bytes()) & i64::MAX | 1)
}

/// Of seconds, as etcd tells them.
fn as_duration(seconds: i64) -> Duration {
    Duration::from_secs(seconds.try_into().unwrap_or(0))
}

/// No etcd answers so.
pub(super) fn incomplete() -> Unreachable {
    Unreachable::new("an answer that lacks a part")
}
