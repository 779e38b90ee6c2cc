//! The members of an etcd cluster, asked one at a time.

use std::time::Duration;

use etcd_client::{Channel, Client, ConnectOptions, Error};
use tonic::transport::Endpoint;

use super::cluster::{Cluster, Credentials};
use super::failure::{Failure, Meaning, meaning};
use crate::clock::BootTime;
use crate::pace::within;
use crate::store::{RENEWALS, Unreachable};

/// How long a member may take to answer. A leader that was stopped keeps its connections, and a request to it hangs
/// without an error; the next member knows the next leader.
const PATIENCE: Duration = Duration::from_millis(700);

/// So many times that, where no deadline is near. A crowd that starts at once keeps etcd busy for seconds: who gives up
/// and asks again only makes it busier.
const UNHURRIED: u32 = 4;

/// How often the time that a member has is doubled while nobody answers.
const DOUBLINGS: u32 = 2;

/// A cluster's members, one of which is connected to.
pub(super) struct Members {
    cluster: Cluster,
    /// How long a renewal may wait for one of its two answers, at first and at most.
    patience: (Duration, Duration),
    /// How many requests in a row nobody answered in time.
    hung: u32,
    current: usize,
    client: Option<Client>,
}

impl Members {
    /// Begins with the member at that place in the list. Nothing is sent yet.
    ///
    /// The two answers of a renewal come, or another member is asked, before the next renewal of a lease of that length
    /// is due.
    pub(super) fn new(cluster: Cluster, first: usize, ttl: Duration) -> Self {
        let patience = (PATIENCE.min(ttl / RENEWALS / 3), ttl / RENEWALS / 2);
        let current = first % cluster.endpoints.len();
        Self { cluster, patience, hung: 0, current, client: None }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.cluster.endpoints.len()
    }

    /// Sends a request that a renewal waits for to the member that answered last. If it does not answer in time or
    /// cannot, another one is asked the next time.
    pub(super) async fn ask<T>(
        &mut self,
        request: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let (patience, most) = self.patience;
        self.ask_within(self.grown(patience).min(most), request).await
    }

    /// The same for what has no deadline.
    pub(super) async fn ask_unhurried<T>(
        &mut self,
        request: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let (patience, _) = self.patience;
        self.ask_within(self.grown(patience * UNHURRIED), request).await
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
        let failure = match answer.map(|answer| answer.map_err(|error| meaning(&error))) {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(Meaning::NoLease)) => return Err(Failure::Lost),
            Some(Err(Meaning::Refused(reason))) => {
                return Err(Failure::Refused(format!("{endpoint}: {reason}")));
            }
            Some(Err(Meaning::Busy(reason))) => {
                return Err(Unreachable::new(format!("{endpoint}: {reason}")).into());
            }
            Some(Err(Meaning::Useless(reason))) => Unreachable::new(format!("{endpoint}: {reason}")),
            None => Unreachable::new(format!("{endpoint}: no answer in {limit:?}")),
        };
        self.turn();
        Err(failure.into())
    }

    /// Has another member asked the next time; the same one by a new connection, if there is no other.
    pub(super) fn turn(&mut self) {
        self.client = None;
        self.current = (self.current + 1) % self.count();
    }

    async fn connected(&mut self) -> Result<&mut Client, Error> {
        let client = match self.client.take() {
            Some(client) => client,
            None => self.connect().await?,
        };
        Ok(self.client.insert(client))
    }

    /// A connection is made with the first request on it, which with credentials is to present them. A channel of our own:
    /// the client's would balance between members, of which it is given one.
    async fn connect(&self) -> Result<Client, Error> {
        // A member that is cut off from the others then ends the watches that it cannot serve.
        let options = ConnectOptions::new().with_require_leader(true);
        let options = match &self.cluster.credentials {
            Some(Credentials { user, password }) => {
                options.with_user(user, password.reveal()).with_auto_token_refresh(true)
            }
            None => options,
        };
        let endpoint = Endpoint::from_shared(format!("http://{}", self.cluster.endpoints[self.current]))?;
        Client::from_channel(Channel::Tonic(endpoint.connect_lazy()), Some(options)).await
    }
}
