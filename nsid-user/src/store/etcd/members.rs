//! The members of an etcd cluster, asked one at a time.

use std::time::Duration;

use etcd_client::{Channel, Client, ConnectOptions, Error};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::RENEWALS;
use super::cluster::{Cluster, Credentials};
use super::failure::{Failure, Meaning, meaning};
use crate::clock::BootTime;
use crate::pace::within;
use crate::store::Unreachable;

/// How long a member may take to answer. A leader that was stopped keeps its connections, and a request to it hangs
/// without an error; the next member knows the next leader.
const PATIENCE: Duration = Duration::from_millis(700);

/// So many times that, where no deadline is near. A crowd that starts at once keeps etcd busy for seconds: who gives up
/// and asks again only makes it busier.
const UNHURRIED: u32 = 4;

/// So many times in a row may a member say that it has too much to do. Then another one may have less.
const BUSY: u32 = 4;

/// How often the time that a member has is doubled while nobody answers.
const DOUBLINGS: u32 = 2;

/// How long a login may take. It costs etcd a tenth of a second of work (bcrypt), on purpose, and after a restart of
/// etcd everybody needs one: who gives up on it makes the next one wait longer. Where there is another member to ask, not
/// longer than a renewal.
const LOGIN: Duration = Duration::from_secs(10);

/// How soon the kernel looks whether a connection that rests is still one: firewalls forget them.
const REST: Duration = Duration::from_secs(30);

/// What an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// A deadline is near.
    Renewal,
    /// None is.
    Claim,
}

/// A cluster's members, one of which is connected to.
pub(super) struct Members {
    cluster: Cluster,
    /// etcd has said that it takes no credentials.
    anonymous: bool,
    /// How long a renewal may wait for one of its two answers, at first and at most.
    patience: (Duration, Duration),
    /// How long a login may take.
    login: Duration,
    /// How many requests in a row nobody answered in time.
    hung: u32,
    /// How many requests in a row the member had too much to do for.
    busy: u32,
    /// How many members have refused since the last answer: one alone may be wrong, after a restart say
    /// (etcd-io/etcd#14355).
    refusals: usize,
    current: usize,
    /// How often another one was turned to.
    turns: u64,
    client: Option<Client>,
    /// A connection that is being made, whoever waits for it and for how long.
    connecting: Option<JoinHandle<Result<Client, Error>>>,
}

impl Members {
    /// Begins with the member at that place in the list. Nothing is sent yet.
    ///
    /// The two answers of a renewal come, or another member is asked, before the next renewal of a lease of that length
    /// is due.
    pub(super) fn new(cluster: Cluster, first: usize, ttl: Duration) -> Self {
        let patience = (PATIENCE.min(ttl / RENEWALS / 3), ttl / RENEWALS / 2);
        let members = cluster.endpoints.len();
        Self {
            anonymous: false,
            patience,
            login: if members > 1 { LOGIN.min(ttl / RENEWALS) } else { LOGIN },
            hung: 0,
            busy: 0,
            refusals: 0,
            current: first % members,
            turns: 0,
            client: None,
            connecting: None,
            cluster,
        }
    }

    /// How often another one was turned to: what was opened before that is not to be relied on.
    pub(super) fn turns(&self) -> u64 {
        self.turns
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.cluster.endpoints.len()
    }

    /// Sends a request to the member that answered last. If it does not answer in time or cannot, another one is asked the
    /// next time.
    pub(super) async fn ask<T>(
        &mut self,
        pace: Pace,
        request: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let (patience, most) = self.patience;
        let limit = match pace {
            Pace::Renewal => self.grown(patience).min(most),
            Pace::Claim => self.grown(patience * UNHURRIED),
        };
        self.ask_within(limit, request).await
    }

    fn grown(&self, patience: Duration) -> Duration {
        patience * 2_u32.pow(self.hung.min(DOUBLINGS))
    }

    async fn ask_within<T>(
        &mut self,
        limit: Duration,
        request: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        // On the heap: a call of the client takes kilobytes, which every claim would have to reserve.
        let call = Box::pin(async { request(self.connected().await?).await });
        let answer = within(BootTime::now().saturating_add(limit), call).await;
        self.hung = if answer.is_none() { self.hung.saturating_add(1) } else { 0 };
        let endpoint = &self.cluster.endpoints[self.current];
        let unreachable = |reason: String| Unreachable::new(format!("{endpoint}: {reason}")).into();
        let failure = match answer.map(|answer| answer.map_err(|error| meaning(&error))) {
            Some(Ok(answer)) => {
                (self.refusals, self.busy) = (0, 0);
                return Ok(answer);
            }
            Some(Err(Meaning::NoLease)) => return Err(Failure::Lost),
            Some(Err(Meaning::Busy(reason))) => {
                self.busy += 1;
                let failure = unreachable(reason);
                if self.busy < BUSY || self.count() == 1 {
                    return Err(failure);
                }
                failure
            }
            Some(Err(Meaning::Useless(reason))) => unreachable(reason),
            Some(Err(Meaning::NoAccessControl(reason))) => {
                self.anonymous = true;
                unreachable(format!("{reason}, going on without credentials"))
            }
            Some(Err(Meaning::NoUser(reason))) if self.cluster.credentials.is_some() => {
                self.anonymous = false;
                unreachable(format!("{reason}, going on with credentials"))
            }
            Some(Err(Meaning::Refused(reason) | Meaning::NoUser(reason))) => {
                self.refusals += 1;
                if self.refusals < self.cluster.endpoints.len() {
                    unreachable(reason)
                } else {
                    Failure::Refused(format!("{endpoint}: {reason}"))
                }
            }
            None => {
                let failure = unreachable(format!("no answer in {} ms", limit.as_millis()));
                if self.connecting.is_some() {
                    return Err(failure);
                }
                failure
            }
        };
        self.turn();
        Err(failure)
    }

    /// Has another member asked the next time; the same one by a new connection, if there is no other.
    pub(super) fn turn(&mut self) {
        (self.client, self.busy) = (None, 0);
        self.turns += 1;
        if let Some(connecting) = self.connecting.take() {
            connecting.abort();
        }
        self.current = (self.current + 1) % self.count();
    }

    async fn connected(&mut self) -> Result<&mut Client, Error> {
        let client = if let Some(client) = self.client.take() {
            client
        } else {
            let connect = self.connect()?;
            // This future may be dropped; the next one goes on with the same connection.
            let connected = self.connecting.get_or_insert_with(|| tokio::spawn(connect)).await;
            self.connecting = None;
            connected.map_err(|panic| Error::Internal(panic.to_string()))??
        };
        Ok(self.client.insert(client))
    }

    /// A connection is made with the first request on it, which with credentials is to present them. A channel of our own:
    /// the client's would balance between members, of which it is given one.
    fn connect(&self) -> Result<impl Future<Output = Result<Client, Error>> + Send + 'static, Error> {
        // A member that is cut off from the others then ends the watches that it cannot serve.
        let options = ConnectOptions::new().with_require_leader(true);
        let options = match &self.cluster.credentials {
            Some(Credentials { user, password }) if !self.anonymous => {
                options.with_user(user, password.reveal()).with_auto_token_refresh(true)
            }
            Some(_) | None => options,
        };
        let endpoint = self.cluster.endpoint(self.current)?;
        let endpoint = endpoint.connect_timeout(PATIENCE).tcp_keepalive(Some(REST));
        let (channel, limit) = (Channel::Tonic(endpoint.connect_lazy()), self.login);
        Ok(async move {
            let login = Client::from_channel(channel, Some(options));
            let late = |_| Error::Internal(format!("no login in {} ms", limit.as_millis()));
            timeout(limit, login).await.map_err(late)?
        })
    }
}
