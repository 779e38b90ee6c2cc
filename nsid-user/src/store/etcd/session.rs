//! A claimant's dealings with etcd. Its ticket there goes with its lease.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use etcd_client::{
    Error, Event, LeaseKeepAliveStream, LeaseKeeper, ResponseHeader, Txn, TxnResponse, WatchFilterType,
    WatchOptions, WatchStream,
};

use super::connection::{Connection, ConnectionNumber};
use super::failure::Failure;
use super::members::{Members, Urgency};
use super::ticket::{LeaseId, Move, TicketAt};
use crate::store::{Lease, Unreachable};

/// Bytes that an answer may have: a look at a pool of 100,000 claimants. The client's own limit is 4 MB.
const ANSWER: usize = 80 << 20;

/// Leases, and the way to those who keep them.
pub(super) struct Session {
    members: Members,
    ttl: Duration,
    /// The lease. It may be over.
    lease: Option<Leased>,
    ticket: TicketAt,
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
            ticket: TicketAt::default(),
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

    /// Where the ticket is.
    pub(super) fn ticket(&self) -> &TicketAt {
        &self.ticket
    }

    /// The lease that there is and the term in which it was granted, if that is certain, and if the ticket is with it and
    /// stays so.
    pub(super) fn certain(&self) -> Option<(Leased, Term)> {
        let lease = self.lease.filter(|lease| self.ticket.stays_with(lease.id))?;
        Some((lease, lease.term?))
    }

    /// What the last answer told.
    pub(super) fn heard(&self) -> Option<Term> {
        self.heard
    }

    /// Goes on without a lease and a ticket: what was put with the last one stays until that is over.
    pub(super) fn forget(&mut self) {
        self.lose();
        self.ticket = TicketAt::default();
    }

    /// Goes on without the lease, which is over.
    pub(super) fn lose(&mut self) {
        (self.lease, self.keep_alive, self.deletion) = (None, None, None);
    }

    /// Goes on with the lease that an earlier process of this claimant has put the ticket with.
    pub(super) fn take_over(&mut self, id: LeaseId) {
        self.adopt(Leased { id, term: None });
        self.seen_with(id);
    }

    /// Goes on with that lease.
    pub(super) fn adopt(&mut self, lease: Leased) {
        if self.lease.replace(lease).is_some_and(|last| last.id != lease.id) {
            self.keep_alive = None;
        }
    }

    /// The ticket is to be put with that lease: [`TicketAt::moving_to`].
    pub(super) fn moving_to(&mut self, to: LeaseId) -> Move {
        self.ticket.moving_to(to)
    }

    /// It was, and this goes on with that lease.
    pub(super) fn moved(&mut self, lease: Leased) {
        self.adopt(lease);
        self.ticket.moved(lease.id);
        self.deletion = None;
    }

    /// The ticket was found with that lease.
    pub(super) fn seen_with(&mut self, lease: LeaseId) {
        self.ticket.seen_with(lease);
    }

    /// Whether that lease is this claimant's.
    pub(super) fn knows(&self, lease: LeaseId) -> bool {
        self.lease() == Some(lease) || self.ticket.may_be_with(lease)
    }

    /// Asks for a new lease, beside the one that there is. If the answer gets lost it ends by itself, and nothing with it.
    pub(super) async fn grant(&mut self, urgency: Urgency) -> Result<(Lease, Leased), Failure> {
        let before = self.heard;
        let seconds = self.ttl.as_millis().div_ceil(1000).try_into().unwrap_or(i64::MAX);
        let grant = |etcd: Connection| async move { etcd.lease_client().grant(seconds, None).await };
        let members = &mut self.members;
        let granted = Lease::ask(self.ttl, |_| async {
            let answer = members.ask(urgency, grant).await?;
            let term = Term::of(answer.header())?;
            Ok::<_, Failure>((as_duration(answer.ttl()), (answer.id(), term)))
        });
        let (lease, (id, term)) = granted.await?;
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
        match self.members.ask(Urgency::Renewal, keep_alive).await? {
            Some((answer, open)) if answer.ttl() > 0 => {
                self.keep_alive = Some(open);
                // Of before the leader was asked (`LeaseServer.leaseKeepAlive`, api/v3rpc/lease.go).
                Ok(KeptAlive::For(as_duration(answer.ttl()), Term::of(answer.header())?))
            }
            Some(_) | None => Ok(KeptAlive::Over),
        }
    }

    /// Ends the lease, and with it all that was put with it; and every other one that the ticket is with, or may be put with.
    pub(super) async fn revoke(&mut self) -> Result<(), Unreachable> {
        // Without an answer, it may be revoked later: it is not gone on with.
        if let Some(lease) = self.lease() {
            self.ticket.or_with(lease);
        }
        self.lose();
        for lease in self.ticket.leases() {
            self.revoke_one(lease).await?;
            self.ticket.not_with(lease);
        }
        self.forget();
        Ok(())
    }

    async fn revoke_one(&mut self, lease: LeaseId) -> Result<(), Unreachable> {
        // The connection that there is may be dead, and its member the only one.
        let mut again = true;
        loop {
            let revoke = |etcd: Connection| async move { etcd.lease_client().revoke(lease).await };
            match self.members.ask(Urgency::Renewal, revoke).await {
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
            self.deletion = Some(self.open_watch(Urgency::Renewal, key, &options).await?);
        }
        // It stays open if this future is dropped.
        let Some((_, stream)) = &mut self.deletion else { return Err(incomplete().into()) };
        let deleted = events(stream).await;
        self.deletion = None;
        deleted?.ok_or_else(|| Unreachable::new("what happened since was compacted"))?;
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
        urgency: Urgency,
        key: &str,
        options: &WatchOptions,
    ) -> Result<(ConnectionNumber, WatchStream), Failure> {
        let watch = |etcd: Connection| async move {
            let stream = etcd.watch_client().watch(key, Some(options.clone())).await?;
            Ok((etcd.number(), stream))
        };
        self.members.ask(urgency, watch).await
    }

    /// Does all of it or nothing. One that only reads, reads by the word of a majority, not of one member (a linearizable
    /// read).
    pub(super) async fn transact(&mut self, urgency: Urgency, txn: Txn) -> Result<TxnResponse, Failure> {
        let transact = |etcd: Connection| {
            let txn = txn.clone();
            async move { etcd.kv_client().max_decoding_message_size(ANSWER).txn(txn).await }
        };
        let answer = self.members.ask(urgency, transact).await?;
        self.heard = Some(Term::of(answer.header())?);
        self.revision = answer.header().map_or(0, ResponseHeader::revision);
        Ok(answer)
    }
}

/// What the watch tells of next; nothing if that has been compacted.
pub(super) async fn events(stream: &mut WatchStream) -> Result<Option<Vec<Event>>, Unreachable> {
    loop {
        match stream.message().await {
            Ok(Some(canceled)) if canceled.canceled() && canceled.compact_revision() > 0 => return Ok(None),
            Ok(Some(canceled)) if canceled.canceled() => {
                return Err(Unreachable::new(canceled.cancel_reason()));
            }
            Ok(Some(message)) if message.events().is_empty() => {}
            Ok(Some(message)) => return Ok(Some(message.events().to_vec())),
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

/// Of seconds, as etcd tells them.
fn as_duration(seconds: i64) -> Duration {
    Duration::from_secs(seconds.try_into().unwrap_or(0))
}

/// No etcd answers so.
pub(super) fn incomplete() -> Unreachable {
    Unreachable::new("an answer that lacks a part")
}
