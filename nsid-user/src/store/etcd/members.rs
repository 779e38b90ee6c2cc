//! The members of an etcd cluster, and which of them is asked.
//!
//! Where no deadline is near, one is asked at a time. For a renewal, another one is asked as well whenever the last has not
//! answered soon, and again those that had no answer: a member may be stopped or cut off, wait for one that is, or follow a
//! leader that is none any more, and what was sent to it then is answered late or never, whereas the same is answered at once
//! by the next leader's followers. The first answer counts.

use std::collections::BTreeSet;
use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use etcd_client::Error;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::RENEWALS;
use super::cluster::Cluster;
use super::connection::{Connecting, Connection, ConnectionNumber};
use super::failure::{Failure, Meaning, meaning};
use crate::clock::BootTime;
use crate::pace::{Backoff, jittered, until, within};
use crate::store::Unreachable;

/// The shorter of a time and of a part of a lease.
struct AtMost {
    time: Duration,
    /// One divided by it.
    part: u32,
}

/// How long a member that a renewal asks may take to answer before another one is asked too.
const LATE: AtMost = AtMost { time: Duration::from_millis(300), part: 20 };

/// Which part of a lease a renewal may wait for one of its answers. Connections on which none came by then are closed: of
/// one on which packets were lost, the kernel sends them again ever more seldom.
const RENEWAL_PART: u32 = 5;

/// How long a member may take where no deadline is near and there is another one. A crowd that starts at once keeps etcd
/// busy for seconds, with connections more than with anything else: who gives up and asks again, on another one, only makes
/// it busier, until nobody is answered in time.
const UNHURRIED: AtMost = AtMost { time: Duration::from_secs(4), part: 2 };

/// The same where there is no other one.
const UNHURRIED_ALONE: AtMost = AtMost { time: Duration::from_secs(15), part: 1 };

/// How often that is doubled while nobody answers.
const DOUBLINGS: u32 = 2;

/// How soon a member is asked again that could not answer.
const AGAIN: Duration = Duration::from_millis(100);

/// So many times in a row may a member say that it has too much to do, and is asked the same again after a pause. Then
/// another one may have less.
const BUSY: u32 = 8;

/// How long a login may take. It costs etcd a tenth of a second of work (bcrypt), on purpose, and after a restart of
/// etcd everybody needs one: who gives up on it makes the next one wait longer. Where there is another member to ask, not
/// longer than a third of a lease.
const LOGIN: Duration = Duration::from_secs(10);

/// How soon an answer is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// A deadline is near.
    Renewal,
    /// None is.
    Claim,
}

/// A cluster's members.
pub(super) struct Members {
    cluster: Cluster,
    /// etcd has said that it takes no credentials.
    anonymous: bool,
    ttl: Duration,
    /// How many requests in a row nobody answered in time.
    hung: u32,
    /// How many requests in a row the member had too much to do for.
    busy: u32,
    /// Which members have refused since the last answer: one alone may be wrong, after a restart say (etcd-io/etcd#14355).
    refused: Vec<bool>,
    /// The one that answered last, or the next one.
    current: usize,
    /// Of each.
    connections: Vec<Option<Connecting>>,
    /// How many were made.
    made: u64,
}

impl AtMost {
    fn of(&self, lease: Duration) -> Duration {
        self.time.min(lease / self.part)
    }
}

/// What is done about an answer that is none.
enum Next {
    /// Nobody else is asked.
    End(Failure),
    /// Somebody else is.
    Other(Unreachable),
}

impl Members {
    /// Begins with the member at that place in the list. Nothing is sent yet.
    pub(super) fn new(cluster: Cluster, first: usize, ttl: Duration) -> Self {
        let members = cluster.endpoints.len();
        Self {
            anonymous: false,
            ttl,
            hung: 0,
            busy: 0,
            refused: vec![false; members],
            current: first % members,
            connections: vec![None; members],
            made: 0,
            cluster,
        }
    }

    /// Whether that connection is the one on which the next request is sent: what was opened on another one is not to be
    /// relied on.
    pub(super) fn is_current(&self, connection: ConnectionNumber) -> bool {
        self.connections[self.current].as_ref().is_some_and(|it| it.number() == connection)
    }

    /// Has another member asked the next time; the same one by a new connection, if there is no other.
    pub(super) fn turn(&mut self) {
        self.connections[self.current] = None;
        self.turn_from(self.current);
    }

    fn turn_from(&mut self, member: usize) {
        self.busy = 0;
        self.current = (member + 1) % self.count();
    }

    fn count(&self) -> usize {
        self.cluster.endpoints.len()
    }

    /// Sends a request to the member that answered last, and for a renewal to others while there is no answer. Of what is
    /// sent to several, nobody knows who carried it out, and when.
    pub(super) async fn ask<T, R>(
        &mut self,
        urgency: Urgency,
        request: impl Fn(Connection) -> R,
    ) -> Result<T, Failure>
    where
        R: Future<Output = Result<T, Error>>,
    {
        match urgency {
            Urgency::Claim => self.ask_one(request).await,
            Urgency::Renewal => self.ask_several(request).await,
        }
    }

    async fn ask_one<T, R>(&mut self, request: impl Fn(Connection) -> R) -> Result<T, Failure>
    where
        R: Future<Output = Result<T, Error>>,
    {
        let unhurried = if self.count() == 1 { UNHURRIED_ALONE } else { UNHURRIED };
        let patience = unhurried.of(self.ttl) * 2_u32.pow(self.hung.min(DOUBLINGS));
        let mut pauses = Backoff::new();
        loop {
            let (member, since) = (self.current, BootTime::now());
            let connection = self.connection(member);
            match within(since.saturating_add(patience), call(connection, &request)).await {
                Some(Ok(answer)) => return Ok(self.answered(member, answer)),
                Some(Err(Meaning::Busy(reason))) if self.busy < BUSY => {
                    log::debug!("{}: {reason}", self.cluster.endpoints[member]);
                    self.busy += 1;
                    until(pauses.next()).await;
                }
                Some(Err(meaning)) => {
                    self.hung = 0;
                    return Err(match self.failed(member, meaning) {
                        Next::End(failure) => failure,
                        Next::Other(reason) => {
                            self.turn_from(member);
                            reason.into()
                        }
                    });
                }
                None => return Err(self.hung(&[(member, since)], patience, None)),
            }
        }
    }

    async fn ask_several<T, R>(&mut self, request: impl Fn(Connection) -> R) -> Result<T, Failure>
    where
        R: Future<Output = Result<T, Error>>,
    {
        let patience = self.ttl / RENEWAL_PART;
        let late = if self.count() == 1 { patience } else { LATE.of(self.ttl) };
        let due = BootTime::now().saturating_add(patience);
        let mut calls = FuturesUnordered::new();
        // Who has not answered, and since when.
        let mut asked: Vec<(usize, BootTime)> = Vec::new();
        let (mut member, mut failures, mut failed) = (self.current, 0, None);
        loop {
            let call = call(self.connection(member), &request);
            calls.push(async move { (member, call.await) });
            asked.push((member, BootTime::now()));
            let mut next =
                if self.is_logging_in(member) { due } else { BootTime::now().saturating_add(late) };
            while let Some((answered, answer)) = within(next.min(due), one_of(&mut calls)).await {
                asked.retain(|(member, _)| *member != answered);
                let meaning = match answer {
                    Ok(answer) => {
                        self.close(&asked, late);
                        return Ok(self.answered(answered, answer));
                    }
                    Err(meaning) => meaning,
                };
                let reason = match self.failed(answered, meaning) {
                    Next::End(failure) => return Err(failure),
                    Next::Other(reason) => reason,
                };
                failures += 1;
                if calls.is_empty() && failures >= self.count() {
                    self.hung = 0;
                    self.turn_from(answered);
                    return Err(reason.into());
                }
                failed = Some(reason);
                let pause = if failures < self.count() { Duration::ZERO } else { jittered(AGAIN) };
                next = next.min(BootTime::now().saturating_add(pause));
            }
            if due.passed() {
                return Err(self.hung(&asked, patience, failed));
            }
            member = (member + 1) % self.count();
        }
    }

    fn answered<T>(&mut self, member: usize, answer: T) -> T {
        (self.hung, self.busy) = (0, 0);
        self.refused.fill(false);
        self.current = member;
        answer
    }

    /// Those did not answer in that time, and another one failed so, if any did.
    fn hung(
        &mut self,
        asked: &[(usize, BootTime)],
        patience: Duration,
        failed: Option<Unreachable>,
    ) -> Failure {
        self.hung = self.hung.saturating_add(1);
        self.close(asked, Duration::ZERO);
        let who: BTreeSet<&str> = asked.iter().map(|(member, _)| &*self.cluster.endpoints[*member]).collect();
        let who = who.into_iter().collect::<Vec<_>>().join(", ");
        let failed = failed.map(|failed| failed.to_string());
        let hung = (!who.is_empty()).then(|| format!("{who}: no answer in {} ms", patience.as_millis()));
        let reason = failed.into_iter().chain(hung).collect::<Vec<_>>().join("; ");
        self.turn_from(self.current);
        Unreachable::new(reason).into()
    }

    /// Of those who were asked longer ago than that and have not answered, the next request is sent on new connections; a
    /// login goes on.
    fn close(&mut self, asked: &[(usize, BootTime)], late: Duration) {
        for (member, since) in asked {
            let connection = &mut self.connections[*member];
            if connection.as_ref().is_some_and(Connecting::is_made) && since.saturating_add(late).passed() {
                *connection = None;
            }
        }
    }

    /// What to do when that member has answered that.
    fn failed(&mut self, member: usize, meaning: Meaning) -> Next {
        let endpoint = &self.cluster.endpoints[member];
        let unreachable = |reason: String| Unreachable::new(format!("{endpoint}: {reason}"));
        let reason = match meaning {
            Meaning::NoLease => return Next::End(Failure::Lost),
            Meaning::Busy(reason) | Meaning::NotNow(reason) => return Next::Other(unreachable(reason)),
            Meaning::Useless(reason) => unreachable(reason),
            Meaning::NoAccessControl(reason) => {
                self.anonymous = true;
                unreachable(format!("{reason}, going on without credentials"))
            }
            Meaning::NoUser(reason) if self.cluster.credentials.is_some() => {
                self.anonymous = false;
                unreachable(format!("{reason}, going on with credentials"))
            }
            Meaning::Refused(reason) | Meaning::NoUser(reason) => {
                self.refused[member] = true;
                if self.refused.iter().all(|refused| *refused) {
                    self.connections[member] = None;
                    return Next::End(Failure::Refused(format!("{endpoint}: {reason}")));
                }
                unreachable(reason)
            }
        };
        self.connections[member] = None;
        Next::Other(reason)
    }

    /// Another login would make that one take longer.
    fn is_logging_in(&self, member: usize) -> bool {
        let connecting = self.connections[member].as_ref().filter(|_| self.login().is_some());
        connecting.is_some_and(|connecting| !connecting.is_made())
    }

    /// How long a login may take; nothing if there is none.
    fn login(&self) -> Option<Duration> {
        self.cluster.credentials.as_ref().filter(|_| !self.anonymous)?;
        Some(if self.count() > 1 { LOGIN.min(self.ttl / RENEWALS) } else { LOGIN })
    }

    fn connection(&mut self, member: usize) -> Connecting {
        let login = self.login();
        let Self { cluster, made, .. } = self;
        let connection = self.connections[member].get_or_insert_with(|| {
            *made += 1;
            Connecting::begin(ConnectionNumber(*made), cluster, member, login)
        });
        connection.clone()
    }
}

/// On the heap: a call of the client takes kilobytes, which every claim would have to reserve.
fn call<T, R>(
    connection: Connecting,
    request: &impl Fn(Connection) -> R,
) -> Pin<Box<impl Future<Output = Result<T, Meaning>>>>
where
    R: Future<Output = Result<T, Error>>,
{
    Box::pin(async move { request(connection.made().await?).await.map_err(|error| meaning(&error)) })
}

/// The next of them that ends.
async fn one_of<F: Future>(calls: &mut FuturesUnordered<F>) -> F::Output {
    match calls.next().await {
        Some(answer) => answer,
        None => pending().await,
    }
}
