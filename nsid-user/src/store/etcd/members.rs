//! The members of an etcd cluster, asked one at a time.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use etcd_client::{Client, ConnectOptions, Error};
use tonic::{Code, Status};

use crate::clock::BootTime;
use crate::pace::within;
use crate::store::Unreachable;

/// How long a member may take to answer. A leader that was stopped keeps its connections, and a request to
/// it hangs without an error; the next member knows the next leader.
const PATIENCE: Duration = Duration::from_millis(700);

/// How much longer where no deadline is near. A crowd that starts at once keeps etcd busy for seconds: who gives up and
/// asks again only makes it busier.
const PATIENTLY: u32 = 4;

/// How often that doubles while nobody answers.
const PATIENCE_DOUBLINGS: u32 = 2;

/// Who a claimant is to an etcd with access control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Password,
}

/// A password, which is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// A cluster's members, one of which is connected to.
pub(super) struct Members {
    endpoints: Vec<String>,
    credentials: Option<Credentials>,
    /// How long a member that answers may take to.
    patience: Duration,
    /// How many requests in a row nobody answered in time.
    hung: u32,
    current: usize,
    client: Option<Client>,
}

/// Why there is no answer to a request.
#[derive(Debug)]
pub(super) enum Failure {
    /// etcd will not do this, and waiting does not mend it.
    Refused(String),
    /// The lease is over, or what was put with it is no longer there.
    Lost,
    /// Everything else, that another time or another member may mend.
    Unreachable(Unreachable),
}

impl Members {
    /// Those at `endpoints` (`HOST:PORT`, at least one). Each has a ninth of `ttl` to answer: a renewal, which takes
    /// two answers, is then over before the next is due. Nothing is sent yet.
    pub(super) fn new(endpoints: Vec<String>, credentials: Option<Credentials>, ttl: Duration) -> Self {
        let patience = PATIENCE.min(ttl / 9);
        Self { endpoints, credentials, patience, hung: 0, current: 0, client: None }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.endpoints.len()
    }

    /// Sends a request that a renewal depends on to the member that answered last. If it does not answer in time or
    /// cannot, another one is asked the next time.
    pub(super) async fn ask<T>(
        &mut self,
        request: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        self.ask_within(self.patience, request).await
    }

    /// The same for what has no deadline.
    pub(super) async fn ask_patiently<T>(
        &mut self,
        request: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        self.ask_within(self.patience * PATIENTLY, request).await
    }

    async fn ask_within<T>(
        &mut self,
        patience: Duration,
        request: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let endpoint = self.endpoints[self.current].clone();
        let limit = patience * 2_u32.pow(self.hung.min(PATIENCE_DOUBLINGS));
        // On the heap: a call of the client takes kilobytes, which every claim would have to reserve.
        let call = Box::pin(async { request(self.connected().await?).await });
        let answer = within(BootTime::now().saturating_add(limit), call).await;
        self.hung = if answer.is_none() { self.hung.saturating_add(1) } else { 0 };
        let reason = match answer {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(Error::GRpcStatus(status))) => match meaning(&status) {
                Meaning::Refused => {
                    return Err(Failure::Refused(format!("{endpoint}: {}", status.message())));
                }
                Meaning::NoLease => return Err(Failure::Lost),
                Meaning::Busy => {
                    return Err(Unreachable::new(format!("{endpoint}: {}", status.message())).into());
                }
                Meaning::Other => with_causes(&status),
            },
            Some(Err(error)) => error.to_string(),
            None => format!("no answer in {limit:?}"),
        };
        self.turn();
        Err(Unreachable::new(format!("{endpoint}: {reason}")).into())
    }

    /// Has another member asked the next time; the same one by a new connection, if there is no other.
    pub(super) fn turn(&mut self) {
        self.client = None;
        self.current = (self.current + 1) % self.endpoints.len();
    }

    async fn connected(&mut self) -> Result<&mut Client, Error> {
        let client = match self.client.take() {
            Some(client) => client,
            None => self.connect().await?,
        };
        Ok(self.client.insert(client))
    }

    /// A connection is made with the first request on it, which with credentials is to present them.
    async fn connect(&self) -> Result<Client, Error> {
        // A member that is cut off from the others then ends the watches that it cannot serve.
        let options = ConnectOptions::new().with_require_leader(true);
        let options = match &self.credentials {
            Some(Credentials { user, password: Password(password) }) => {
                options.with_user(user, password).with_auto_token_refresh(true)
            }
            None => options,
        };
        Client::connect([&self.endpoints[self.current]], Some(options)).await
    }
}

impl From<Unreachable> for Failure {
    fn from(reason: Unreachable) -> Self {
        Self::Unreachable(reason)
    }
}

/// What a status is to a claimant.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    Refused,
    NoLease,
    /// The member has too much to do. A new connection would be one thing more.
    Busy,
    Other,
}

/// etcd's own errors and their codes: its api/v3rpc/rpctypes/error.go. Those that it does not list there, "too many
/// requests" among them, arrive as `Unknown`; so do those of the connection, in other words.
fn meaning(status: &Status) -> Meaning {
    let message = status.message();
    match status.code() {
        Code::PermissionDenied => Meaning::Refused,
        // A wrong password, no user where one is needed; but also a token from before the last change of any user.
        Code::InvalidArgument if message != "etcdserver: revision of auth store is old" => Meaning::Refused,
        Code::FailedPrecondition if message == "etcdserver: authentication is not enabled" => {
            Meaning::Refused
        }
        Code::NotFound if message == "etcdserver: requested lease not found" => Meaning::NoLease,
        Code::Unknown if message.starts_with("etcdserver: ") => Meaning::Busy,
        _ => Meaning::Other,
    }
}

/// "transport error" alone does not tell a person anything.
fn with_causes(status: &Status) -> String {
    let mut told = status.message().to_owned();
    let mut cause = status.source();
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}

impl Password {
    /// Of that text.
    pub fn new(password: String) -> Self {
        Self(password)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_waiting_mends_is_a_refusal() {
        for (code, message, meant) in [
            (Code::PermissionDenied, "etcdserver: permission denied", Meaning::Refused),
            (
                Code::InvalidArgument,
                "etcdserver: authentication failed, invalid user ID or password",
                Meaning::Refused,
            ),
            (Code::InvalidArgument, "etcdserver: user name is empty", Meaning::Refused),
            (Code::InvalidArgument, "etcdserver: revision of auth store is old", Meaning::Other),
            (Code::FailedPrecondition, "etcdserver: authentication is not enabled", Meaning::Refused),
            (Code::NotFound, "etcdserver: requested lease not found", Meaning::NoLease),
            (Code::Unknown, "etcdserver: too many requests", Meaning::Busy),
            (Code::Unknown, "transport error", Meaning::Other),
            (Code::Unavailable, "etcdserver: leader changed", Meaning::Other),
            (Code::Unauthenticated, "etcdserver: invalid auth token", Meaning::Other),
        ] {
            assert_eq!(meaning(&Status::new(code, message)), meant, "{message}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let credentials = Credentials { user: "nsid".into(), password: Password::new("secret".into()) };
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
