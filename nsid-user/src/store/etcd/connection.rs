//! Connections to members of an etcd cluster.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Channel, Client, ConnectOptions, Error};
use tokio::sync::watch;
use tokio::time::timeout;

use super::cluster::Cluster;
use super::failure::{Meaning, meaning};
use crate::store::Credentials;

/// How soon the kernel looks whether a connection that rests is still one: firewalls forget them.
const REST: Duration = Duration::from_secs(30);

/// A connection to a member.
#[derive(Clone)]
pub(super) struct Connection {
    number: ConnectionNumber,
    client: Arc<Client>,
}

/// Which connection, of all that a claimant has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConnectionNumber(pub(super) u64);

/// A connection that there is, or that is being made, whoever waits for it and for how long.
#[derive(Clone)]
pub(super) struct Connecting {
    number: ConnectionNumber,
    made: watch::Receiver<Option<Result<Connection, Meaning>>>,
}

impl Connecting {
    /// To that member. What is sent first on it connects it, which with credentials is to present them, within that time.
    pub(super) fn begin(
        number: ConnectionNumber,
        cluster: &Cluster,
        member: usize,
        login: Option<Duration>,
    ) -> Self {
        let (sender, made) = watch::channel(None);
        let made_of = move |client: Result<Client, Error>| match client {
            Ok(client) => Ok(Connection { number, client: Arc::new(client) }),
            Err(error) => Err(meaning(&error)),
        };
        let channel = match cluster.endpoint(member) {
            // A channel of our own: the client's would balance between members, of which it is given one.
            Ok(endpoint) => Channel::Tonic(endpoint.tcp_keepalive(Some(REST)).connect_lazy()),
            Err(error) => {
                sender.send_replace(Some(made_of(Err(error.into()))));
                return Self { number, made };
            }
        };
        // A member that is cut off from the others then says so, and ends the watches that it cannot serve.
        let options = ConnectOptions::new().with_require_leader(true);
        let credentials = cluster.credentials.as_ref().zip(login);
        let options = match credentials {
            Some((Credentials { user, password }, _)) => {
                options.with_user(user, password.reveal()).with_auto_token_refresh(true)
            }
            None => options,
        };
        let limit = credentials.map_or(Duration::ZERO, |(_, limit)| limit);
        let login = Client::from_channel(channel, Some(options));
        // Who waits for it may be dropped; the next one goes on with the same login.
        tokio::spawn(async move {
            // Polled once in any case, which is enough where nothing is sent.
            let late = |_| Err(Error::Internal(format!("no login in {} ms", limit.as_millis())));
            let client = timeout(limit, login).await.unwrap_or_else(late);
            sender.send_replace(Some(made_of(client)));
        });
        Self { number, made }
    }

    /// Which one it is or will be.
    pub(super) fn number(&self) -> ConnectionNumber {
        self.number
    }

    /// Whether credentials were presented, if there are any.
    pub(super) fn is_made(&self) -> bool {
        self.made.borrow().is_some()
    }

    /// Once it is made.
    pub(super) async fn made(mut self) -> Result<Connection, Meaning> {
        match self.made.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(made)) => made.clone(),
            Ok(None) | Err(_) => Err(Meaning::Useless("the login has failed".to_owned())),
        }
    }
}

impl Connection {
    /// Which one it is.
    pub(super) fn number(&self) -> ConnectionNumber {
        self.number
    }
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
