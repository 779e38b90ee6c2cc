//! A claimant's session, on a connection to one server of the ensemble at a time.

use std::time::Duration;

use tokio::net::TcpStream;

use super::connection::{Connection, Error, Hello, Session as Key};
use super::ensemble::Ensemble;
use super::failure::{Failure, Meaning, meaning};
use super::heard::Heard;
use super::keep::Keep;
use super::protocol::{CloseSession, MultiRead, Read, Seen};
use crate::clock::BootTime;
use crate::pace::within;
use crate::store::{Lease, Unreachable};

/// How long a server may take to answer, at most. One that was stopped keeps its connections, and a request to it hangs
/// without an error; so does a write to one that is cut off from the others.
const PATIENCE: Duration = Duration::from_millis(700);

/// Which part of the session's time that is, at most: it is renewed every fifth, and another server asked in between.
const PATIENCE_PARTS: u32 = 9;

/// So many times that, where no deadline is near. A crowd that starts at once keeps ZooKeeper busy: who gives up and asks
/// again only makes it busier.
const UNHURRIED: u32 = 6;

/// How often the time that a server has is doubled while nobody answers.
const DOUBLINGS: u32 = 2;

/// All that the claimant has in ZooKeeper goes with it.
pub(super) struct Session {
    ensemble: Ensemble,
    /// How long it is to outlive its last sign of life.
    timeout: Duration,
    keep: Option<Keep>,
    /// The session. It may be over.
    key: Option<Key>,
    /// The last change that a server told of.
    zxid: i64,
    /// The server that is connected to, or the next one.
    current: usize,
    connected: Option<Connected>,
    /// How many requests in a row nobody answered in time.
    hung: u32,
    told_of_timeout: bool,
}

struct Connected {
    connection: Connection,
    heard: Heard,
    /// How long the session outlives what the leader heard of it last.
    timeout: Duration,
}

impl Session {
    /// Begins with the server at that place in the list, and with the session that was kept. Nothing is sent yet.
    pub(super) fn new(ensemble: Ensemble, first: usize, timeout: Duration, keep: Option<Keep>) -> Self {
        Self {
            timeout,
            key: keep.as_ref().and_then(Keep::load),
            keep,
            zxid: 0,
            current: first % ensemble.endpoints.len(),
            connected: None,
            hung: 0,
            told_of_timeout: false,
            ensemble,
        }
    }

    /// Whether there is a session to go on with.
    pub(super) fn is_open(&self) -> bool {
        self.key.is_some()
    }

    /// Goes on without a session: what was made with the last one stays until that is over.
    pub(super) fn forget(&mut self) {
        if let Some((keep, key)) = self.keep.as_ref().zip(self.key.as_ref()) {
            keep.remove(key);
        }
        (self.key, self.connected, self.zxid) = (None, None, 0);
    }

    /// Has the session write something to renew a lease, and the lease that the answer stands for: the leader has looked
    /// whether the session is over, and a majority of servers keeps what was written.
    pub(super) async fn write<T>(
        &mut self,
        ttl: Duration,
        request: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<(Lease, T), Failure> {
        let patience = self.patience();
        self.write_within(patience, ttl, request).await
    }

    /// The same where no lease is under way.
    pub(super) async fn write_unhurried<T>(
        &mut self,
        ttl: Duration,
        request: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<(Lease, T), Failure> {
        let patience = self.unhurried();
        self.write_within(patience, ttl, request).await
    }

    async fn write_within<T>(
        &mut self,
        limit: Duration,
        ttl: Duration,
        request: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<(Lease, T), Failure> {
        Lease::ask(ttl, |sent| async move {
            let answer = self.ask_within(limit, request).await?;
            let Connected { heard, timeout, .. } = self.connected.as_ref().ok_or_else(closed)?;
            // Of a connection that was made meanwhile, the leader has heard later than that.
            let behind = sent.as_nanos().saturating_sub(heard.since().as_nanos());
            Ok::<_, Failure>((timeout.saturating_sub(Duration::from_nanos(behind)), answer))
        })
        .await
    }

    /// Sends what a renewal waits for to the server that answered last. If it does not answer in time or cannot, another
    /// one is asked the next time.
    pub(super) async fn ask<T>(
        &mut self,
        request: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let patience = self.patience();
        self.ask_within(patience, request).await
    }

    /// The same for what has no deadline.
    pub(super) async fn ask_unhurried<T>(
        &mut self,
        request: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let patience = self.unhurried();
        self.ask_within(patience, request).await
    }

    /// What is read of several nodes at one point in time.
    pub(super) async fn look(&mut self, reads: &[Read<'_>]) -> Result<Vec<Seen>, Failure> {
        self.ask_unhurried(async |server| server.ask(&MultiRead(reads)).await).await
    }

    /// Whether a watch fires, that was set since the connection was [armed](Connection::arm), before it is `due`.
    pub(super) async fn fires(&mut self, due: BootTime) -> Result<bool, Failure> {
        let connected = self.connected.as_mut().ok_or_else(closed)?;
        match within(due, connected.connection.fired()).await {
            Some(Ok(())) => Ok(true),
            Some(Err(error)) => Err(self.failure(&error)),
            None => Ok(false),
        }
    }

    /// Ends the session, and with it all that was made with it.
    pub(super) async fn close(&mut self) -> Result<(), Unreachable> {
        // The connection that there is may be dead, and then its server be asked again.
        let mut others = self.ensemble.endpoints.len();
        while self.is_open() {
            match self.ask(async |server| server.ask(&CloseSession).await).await {
                Ok(()) | Err(Failure::Lost) => self.forget(),
                Err(Failure::Unreachable(_)) if others > 0 => others -= 1,
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(())
    }

    fn patience(&self) -> Duration {
        (PATIENCE * self.growth()).min(self.timeout / PATIENCE_PARTS)
    }

    fn unhurried(&self) -> Duration {
        PATIENCE.min(self.timeout / PATIENCE_PARTS) * UNHURRIED * self.growth()
    }

    fn growth(&self) -> u32 {
        2_u32.pow(self.hung.min(DOUBLINGS))
    }

    async fn ask_within<T>(
        &mut self,
        limit: Duration,
        request: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let sent = BootTime::now();
        // On the heap: every claim would have to reserve what this takes.
        let call = Box::pin(async {
            let connected = self.connected(sent).await?;
            let answer = request(&mut connected.connection).await;
            // What failed was answered as well.
            if matches!(answer, Ok(_) | Err(Error::Failed(_))) {
                connected.heard.answered(sent);
            }
            answer
        });
        let answer = within(sent.saturating_add(limit), call).await;
        self.hung = if answer.is_none() { self.hung.saturating_add(1) } else { 0 };
        match answer {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Err(self.failure(&error)),
            None => {
                let failure = self.unreachable(&format!("no answer in {} ms", limit.as_millis()));
                self.turn();
                Err(failure.into())
            }
        }
    }

    /// What it means that this failed; if the connection is of no use any more, there is none afterwards.
    pub(super) fn failure(&mut self, error: &Error) -> Failure {
        match meaning(error) {
            Meaning::Refused(reason) => {
                let user = match &self.ensemble.credentials {
                    Some(credentials) => format!("for the user {:?} and its password", credentials.user),
                    None => "without a user".to_owned(),
                };
                Failure::Refused(format!("{}: {reason} {user}", self.endpoint()))
            }
            Meaning::NoSession => {
                self.forget();
                Failure::Lost
            }
            Meaning::Otherwise(code) => Failure::Otherwise(code),
            Meaning::Busy(reason) => self.unreachable(&reason).into(),
            Meaning::Useless(reason) => {
                let failure = self.unreachable(&reason);
                self.turn();
                failure.into()
            }
        }
    }

    fn unreachable(&self, reason: &str) -> Unreachable {
        Unreachable::new(format!("{}: {reason}", self.endpoint()))
    }

    fn endpoint(&self) -> &str {
        &self.ensemble.endpoints[self.current]
    }

    /// Has another server asked the next time; the same one by a new connection, if there is no other.
    fn turn(&mut self) {
        self.disconnect();
        self.current = (self.current + 1) % self.ensemble.endpoints.len();
    }

    fn disconnect(&mut self) {
        if let Some(Connected { connection, .. }) = self.connected.take() {
            self.zxid = self.zxid.max(connection.zxid());
        }
    }

    async fn connected(&mut self, now: BootTime) -> Result<&mut Connected, Error> {
        if let Some(connected) = &mut self.connected
            && connected.connection.is_closed()
        {
            self.disconnect();
        }
        let connected = match self.connected.take() {
            Some(connected) => connected,
            None => self.connect(now).await?,
        };
        Ok(self.connected.insert(connected))
    }

    async fn connect(&mut self, now: BootTime) -> Result<Connected, Error> {
        let endpoint = self.endpoint().to_owned();
        let stream = TcpStream::connect(endpoint).await?;
        stream.set_nodelay(true)?;
        let hello = Hello {
            zxid: self.zxid,
            timeout: self.timeout,
            session: self.key.as_ref(),
            credentials: self.ensemble.credentials.as_ref(),
        };
        let (connection, key, timeout) = Connection::open(Box::new(stream), &hello).await?;
        if self.key.as_ref() != Some(&key) {
            if let Some(keep) = &self.keep {
                keep.store(&key);
            }
            self.key = Some(key);
        }
        self.tell_of(timeout);
        Ok(Connected { connection, heard: Heard::by_connecting(now, timeout), timeout })
    }

    /// Of a time that is not what was asked for, once.
    fn tell_of(&mut self, granted: Duration) {
        if granted != self.timeout && !self.told_of_timeout {
            self.told_of_timeout = true;
            log::warn!(
                "{} has sessions last {granted:?} where {:?} was asked for, and so long may a dead node's name stay out \
                 of use; change the ttl, or its tickTime, minSessionTimeout or maxSessionTimeout",
                self.endpoint(),
                self.timeout
            );
        }
    }
}

fn closed() -> Failure {
    Unreachable::new("not connected").into()
}
