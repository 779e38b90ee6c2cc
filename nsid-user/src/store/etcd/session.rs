//! A claimant's dealings with etcd. All that it has there goes with its lease.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use etcd_client::{
    Error, Event, LeaseGrantOptions, LeaseKeepAliveStream, LeaseKeeper, ResponseHeader, Txn, TxnResponse,
    WatchFilterType, WatchOptions, WatchStream,
};

use super::connection::{Connection, ConnectionNumber};
use super::failure::Failure;
use super::members::{Members, Pace};
use crate::store::{Lease, Unreachable};

/// Bytes that an answer may have: a look at a pool of 100,000 claimants. The client's own limit is a tenth of that.
const ANSWER: usize = 40 << 20;

/// Leases, and the way to those who keep them.
pub(super) struct Session {
    members: Members,
    ttl: Duration,
    /// The lease. It may be over, or not granted yet.
    lease: Option<Leased>,
    /// Leases that were asked for to take its place. What was put with one may be there, its answer being lost.
    asked_for: Vec<LeaseId>,
    /// Open while keepalives succeed: the answer to an earlier one must not be taken for that to a later one.
    keep_alive: Option<KeepAlive>,
    /// What the last answer told.
    heard: Option<Term>,
    /// Of the last transaction.
    revision: i64,
    /// What tells of a deletion, and on which connection it was opened.
    deletion: Option<(ConnectionNumber, WatchStream)>,
}

/// A stream of keepalives.
struct KeepAlive {
    connection: ConnectionNumber,
    keeper: LeaseKeeper,
    answers: LeaseKeepAliveStream,
}

/// The number that etcd knows a lease by.
pub(super) type LeaseId = i64;

/// A lease that was granted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leased {
    pub(super) id: LeaseId,
    /// In which term, if that is certain.
    term: Option<Term>,
}

/// What a keepalive says.
pub(super) enum KeptAlive {
    /// The lease lasts so long from when it was sent.
    For(Duration, Term),
    /// There is no such lease.
    Over,
}

/// The raft term of the last entry that a member had applied when it answered (`EtcdServer.apply`, server.go). An entry
/// that is proposed after that is of this term or a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Term(NonZeroU64);

impl Session {
    /// Asks for leases of that length. Nothing is sent yet.
    pub(super) fn new(members: Members, ttl: Duration) -> Self {
        Self {
            members,
            ttl,
            lease: None,
            asked_for: Vec::new(),
            keep_alive: None,
            heard: None,
            revision: 0,
            deletion: None,
        }
    }

    /// The lease that there is to go on with.
    pub(super) fn lease(&self) -> Option<LeaseId> {
        self.lease.map(|lease| lease.id)
    }

    /// The term in which the lease was granted, if that is certain.
    pub(super) fn granted_in(&self) -> Option<Term> {
        self.lease?.term
    }

    /// The lease that there is and the term in which it was granted, if that is certain, for a request whose answer may get
    /// lost. Until it is [adopted](Self::adopt) again, it is not certain any more: so it is replaced then, and what is carried
    /// out late comes to nothing.
    pub(super) fn stake(&mut self) -> Option<(Leased, Term)> {
        let lease = self.lease?;
        let term = self.lease.as_mut()?.term.take()?;
        Some((lease, term))
    }

    /// What the last answer told.
    pub(super) fn heard(&self) -> Option<Term> {
        self.heard
    }

    /// Goes on without a lease: what was put with the last one stays until that is over.
    pub(super) fn forget(&mut self) {
        (self.lease, self.keep_alive, self.deletion) = (None, None, None);
        self.asked_for.clear();
    }

    /// Goes on without the lease, which is over. A request with it or another one may be carried out late, until they are
    /// [revoked](Self::revoke_others).
    pub(super) fn lose(&mut self) {
        self.asked_for.extend(self.lease.take().map(|lease| lease.id));
        (self.keep_alive, self.deletion) = (None, None);
    }

    /// Goes on with a lease that an earlier process of this claimant was granted.
    pub(super) fn take_over(&mut self, id: LeaseId) {
        self.adopt(Leased { id, term: None });
    }

    /// Goes on with that lease. What was put with another one may still be, by a request that was never answered: until the
    /// others are [revoked](Self::revoke_others).
    pub(super) fn adopt(&mut self, lease: Leased) {
        if let Some(last) = self.lease.replace(lease).filter(|last| last.id != lease.id) {
            self.keep_alive = None;
            self.asked_for.push(last.id);
        }
        self.asked_for.retain(|id| *id != lease.id);
    }

    /// Has a lease be one of the others, which an earlier process of this claimant had.
    pub(super) fn inherit(&mut self, lease: LeaseId) {
        if lease != 0 && !self.knows(lease) {
            self.asked_for.push(lease);
        }
    }

    /// Whether that lease is this claimant's.
    pub(super) fn knows(&self, lease: LeaseId) -> bool {
        self.lease() == Some(lease) || self.asked_for.contains(&lease)
    }

    /// Ends all leases but the one that there is to go on with; whether there were any. From then on, no request that was
    /// to put something with one of them can be carried out any more.
    pub(super) async fn revoke_others(&mut self) -> Result<bool, Unreachable> {
        let any = !self.asked_for.is_empty();
        while let Some(lease) = self.asked_for.last() {
            self.revoke_one(*lease).await?;
            self.asked_for.pop();
        }
        Ok(any)
    }

    /// Whether there are others.
    pub(super) fn has_others(&self) -> bool {
        !self.asked_for.is_empty()
    }

    /// Asks for a new lease, beside the one that there is. Its number is known before the answer, which may get lost. No
    /// two requests ask for the same number: the one that is carried out later, with the lease over by then, would have
    /// there be one again, and with it what else was to be put with it.
    pub(super) async fn grant(&mut self, pace: Pace) -> Result<(Lease, Leased), Failure> {
        let (before, known) = (self.heard, self.asked_for.len());
        let seconds = self.ttl.as_millis().div_ceil(1000).try_into().unwrap_or(i64::MAX);
        let asked_for = Mutex::new(&mut self.asked_for);
        // A claim asks one member, again only if nothing was begun, and so for the same.
        let first = random_id().map_err(Unreachable::new)?;
        let grant = |etcd: Connection| {
            let mut asked_for = asked_for.lock().unwrap_or_else(PoisonError::into_inner);
            let id = match pace {
                Pace::Claim => Ok(first),
                Pace::Renewal => random_id().map_err(|error| Error::Internal(error.to_string())),
            };
            if let Ok(id) = &id
                && !asked_for.contains(id)
            {
                asked_for.push(*id);
            }
            async move {
                let options = LeaseGrantOptions::new().with_id(id?);
                etcd.lease_client().grant(seconds, Some(options)).await
            }
        };
        let members = &mut self.members;
        let granted = Lease::ask(self.ttl, |_| async {
            let answer = members.ask(pace, grant).await?;
            let term = Term::of(answer.header())?;
            Ok::<_, Failure>((as_duration(answer.ttl()), (answer.id(), term)))
        });
        let granted = granted.await;
        if granted.is_err() {
            // Nothing is put with them.
            self.asked_for.truncate(known);
        }
        let (lease, (id, term)) = granted?;
        self.heard = Some(term);
        Ok((lease, Leased { id, term: Some(term).filter(|term| before == Some(*term)) }))
    }

    /// Has the lease last longer; how long is not certain yet (see the invariant of [`super`]).
    pub(super) async fn keep_alive(&mut self) -> Result<KeptAlive, Failure> {
        let lease = self.lease().ok_or(Failure::Lost)?;
        let open = Mutex::new(self.keep_alive.take());
        let keep_alive = |etcd: Connection| {
            let connection = etcd.number();
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            let open = open.take_if(|open| open.connection == connection);
            async move {
                let mut open = match open {
                    Some(open) => open,
                    None => match etcd.lease_client().keep_alive(lease).await {
                        // etcd-client's word for a lease that the first answer says is over (src/rpc/lease.rs).
                        Err(Error::LeaseKeepAliveError(_)) => return Ok(None),
                        opened => {
                            let (keeper, answers) = opened?;
                            KeepAlive { connection, keeper, answers }
                        }
                    },
                };
                open.keeper.keep_alive().await?;
                let answer = open.answers.message().await?;
                Ok(answer.map(|answer| (answer, open)))
            }
        };
        match self.members.ask(Pace::Renewal, keep_alive).await? {
            Some((answer, open)) if answer.ttl() > 0 => {
                self.keep_alive = Some(open);
                // Of before the leader was asked (`LeaseServer.leaseKeepAlive`, api/v3rpc/lease.go).
                Ok(KeptAlive::For(as_duration(answer.ttl()), Term::of(answer.header())?))
            }
            Some(_) | None => Ok(KeptAlive::Over),
        }
    }

    /// Ends the lease, and with it all that was put with it; and every other one that something may have been put with.
    pub(super) async fn revoke(&mut self) -> Result<(), Unreachable> {
        if let Some(lease) = self.lease() {
            self.revoke_one(lease).await?;
            (self.lease, self.keep_alive) = (None, None);
        }
        self.revoke_others().await?;
        self.forget();
        Ok(())
    }

    async fn revoke_one(&mut self, lease: LeaseId) -> Result<(), Unreachable> {
        // The connection that there is may be dead, and its member the only one.
        let mut again = true;
        loop {
            let revoke = |etcd: Connection| async move { etcd.lease_client().revoke(lease).await };
            match self.members.ask(Pace::Renewal, revoke).await {
                Ok(_) | Err(Failure::Lost) => return Ok(()),
                Err(Failure::Unreachable(_)) if again => again = false,
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    /// Waits until that key is deleted, if it was there in the last transaction.
    pub(super) async fn deleted(&mut self, key: &str) -> Result<(), Failure> {
        if self.deletion.as_ref().is_none_or(|(connection, _)| !self.members.is_current(*connection)) {
            let options = WatchOptions::new()
                .with_filters([WatchFilterType::NoPut])
                .with_start_revision(self.revision + 1);
            self.deletion = Some(self.open_watch(Pace::Renewal, key, &options).await?);
        }
        // It stays open if this future is dropped.
        let Some((_, stream)) = &mut self.deletion else { return Err(incomplete().into()) };
        let deleted = events(stream).await;
        self.deletion = None;
        deleted?;
        Ok(())
    }

    /// Whether what was opened on that connection is to be relied on.
    pub(super) fn is_current(&self, connection: ConnectionNumber) -> bool {
        self.members.is_current(connection)
    }

    /// Has another member asked the next time.
    pub(super) fn turn(&mut self) {
        self.members.turn();
    }

    /// Tells of what happens to a key.
    pub(super) async fn open_watch(
        &mut self,
        pace: Pace,
        key: &str,
        options: &WatchOptions,
    ) -> Result<(ConnectionNumber, WatchStream), Failure> {
        let watch = |etcd: Connection| async move {
            let stream = etcd.watch_client().watch(key, Some(options.clone())).await?;
            Ok((etcd.number(), stream))
        };
        self.members.ask(pace, watch).await
    }

    /// Does all of it or nothing. One that only reads, reads by the word of a majority, not of one member (a linearizable
    /// read).
    pub(super) async fn transact(&mut self, pace: Pace, txn: Txn) -> Result<TxnResponse, Failure> {
        let transact = |etcd: Connection| {
            let txn = txn.clone();
            async move { etcd.kv_client().max_decoding_message_size(ANSWER).txn(txn).await }
        };
        let answer = self.members.ask(pace, transact).await?;
        self.heard = Some(Term::of(answer.header())?);
        self.revision = answer.header().map_or(0, ResponseHeader::revision);
        Ok(answer)
    }
}

/// What the watch tells of next.
pub(super) async fn events(stream: &mut WatchStream) -> Result<Vec<Event>, Unreachable> {
    loop {
        match stream.message().await {
            Ok(Some(canceled)) if canceled.canceled() => {
                return Err(Unreachable::new(canceled.cancel_reason()));
            }
            Ok(Some(message)) if message.events().is_empty() => {}
            Ok(Some(message)) => return Ok(message.events().to_vec()),
            Ok(None) => return Err(Unreachable::new("the watch has ended")),
            Err(error) => return Err(Unreachable::new(error)),
        }
    }
}

impl Term {
    /// That of an answer.
    fn of(header: Option<&ResponseHeader>) -> Result<Self, Unreachable> {
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
