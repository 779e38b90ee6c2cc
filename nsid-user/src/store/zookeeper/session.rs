//! A claimant's session, on a connection to one server of the ensemble at a time.

use std::io;
use std::time::Duration;

use super::connection::{Connection, Error, Hello, SessionKey};
use super::ensemble::Ensemble;
use super::failure::{Failure, Meaning, meaning};
use super::heard::Heard;
use super::keep::Keep;
use super::multi::{MultiRead, Read, Seen};
use super::protocol::{CloseSession, Code, WatchChildren};
use super::servers::Servers;
use super::stream;
use crate::clock::BootTime;
use crate::pace::{until, within};
use crate::store::{Lease, Unreachable};

/// How long to try to end the session: less than the driver waits for it.
const CLOSE: Duration = Duration::from_millis(1500);

/// What the tick of a server is told by that has sessions last longer than was asked for: the shortest is two, by default.
const NOT_PROOF: &str =
    ", and claims are not proof against servers that are cut off: its tick is more than a fifth of the ttl";

/// All that the claimant has in ZooKeeper goes with it.
pub(super) struct Session {
    ensemble: Ensemble,
    /// How long it is to outlive its last sign of life.
    timeout: Duration,
    keep: Option<Keep>,
    /// The session. It may be over.
    key: Option<SessionKey>,
    /// It was to be ended.
    is_closing: bool,
    /// The last change that a server told of.
    zxid: i64,
    /// The number of the last request.
    xid: i32,
    /// The one that is connected to, or the next one.
    servers: Servers,
    connected: Option<Connected>,
    /// A request is under way, or was when the future that waited for its answer was dropped.
    asking: bool,
    told_of_timeout: bool,
}

struct Connected {
    connection: Connection,
    heard: Heard,
    /// How long the session outlives what the leader heard of it last.
    timeout: Duration,
    /// The node whose deletion is told of, by its path and the change that made it.
    watched: Option<(String, i64)>,
}

impl Session {
    /// Begins with the server at that place in the list, and with the session that was kept. Nothing is sent yet.
    pub(super) fn new(ensemble: Ensemble, first: usize, timeout: Duration, keep: Option<Keep>) -> Self {
        Self {
            timeout,
            key: keep.as_ref().and_then(Keep::load),
            keep,
            is_closing: false,
            zxid: 0,
            xid: first_xid(),
            servers: Servers::new(ensemble.endpoints.len(), first, timeout),
            connected: None,
            asking: false,
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
        self.disconnect();
        (self.key, self.is_closing, self.zxid) = (None, false, 0);
    }

    /// For a claim: with no session that was to be [ended](Self::close). Whether it is, nobody knows without an answer, nor
    /// when: of this alone, a leader does not look from which server it comes, and a connection that was given up may deliver
    /// it late (`PrepRequestProcessor`).
    pub(super) fn begin(&mut self) {
        if self.is_closing {
            self.forget();
        }
    }

    /// Takes also a server that knows less than this claimant has seen. If ZooKeeper's data were lost, or older ones put
    /// back, there is no other, and none says so: each closes the connection at once (`ZooKeeperServer`,
    /// `CLIENT_ZXID_AHEAD`). One that only lags behind is found by what a claim begins with, a [`Sync`](super::Sync).
    pub(super) fn take_any_server(&mut self) {
        if self.connected.is_none() {
            self.zxid = 0;
        }
    }

    /// Has the session write something to renew a lease, and the lease that the answer stands for: the leader has looked
    /// whether the session is over, and a majority of servers keeps what was written.
    pub(super) async fn write<T>(
        &mut self,
        ttl: Duration,
        request: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<(Lease, T), Failure> {
        let patience = self.servers.patience();
        self.write_within(patience, ttl, request).await
    }

    /// The same where no lease is under way.
    pub(super) async fn write_unhurried<T>(
        &mut self,
        ttl: Duration,
        request: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<(Lease, T), Failure> {
        let patience = self.servers.unhurried();
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
            let behind = Lease::by_the_stores_clock(Duration::from_nanos(behind));
            Ok::<_, Failure>((timeout.saturating_sub(behind), answer))
        })
        .await
    }

    /// Sends what a renewal waits for to the server that answered last. If it does not answer in time or cannot, another
    /// one is asked the next time.
    pub(super) async fn ask<T>(
        &mut self,
        request: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let patience = self.servers.patience();
        self.ask_within(patience, request).await
    }

    /// The same for what has no deadline.
    pub(super) async fn ask_unhurried<T>(
        &mut self,
        request: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let patience = self.servers.unhurried();
        self.ask_within(patience, request).await
    }

    /// What is read of several nodes at one point in time.
    pub(super) async fn look(&mut self, reads: &[Read<'_>]) -> Result<Vec<Seen>, Failure> {
        self.ask_unhurried(async |server| server.ask(&MultiRead(reads)).await).await
    }

    /// Whether a watch fires, that was set since the connection was [armed](Connection::arm), before it is `due`; or would not
    /// tell, since the connection is another one.
    pub(super) async fn fires(&mut self, due: BootTime) -> Result<bool, Failure> {
        let connected = self.connected.as_mut().ok_or_else(closed)?;
        match within(due, connected.connection.fired()).await {
            Some(Ok(())) => Ok(true),
            Some(Err(error)) => Err(self.failure(&error)),
            None => Ok(false),
        }
    }

    /// Waits until the node is deleted that the change `czxid` made. An error says nothing of it: who asks does so again when
    /// there is a connection.
    pub(super) async fn deleted(&mut self, path: &str, czxid: i64) -> Result<(), Error> {
        let Some(Connected { connection, watched, .. }) = &mut self.connected else {
            return Err(Error::Io(io::ErrorKind::NotConnected.into()));
        };
        let node = (path.to_owned(), czxid);
        if watched.as_ref() != Some(&node) {
            connection.arm();
            match connection.ask(&WatchChildren(path)).await {
                Ok(_) => *watched = Some(node),
                Err(error) if error.is(Code::NoNode) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        connection.deleted(path).await
    }

    /// Ends the session, and with it all that was made with it.
    pub(super) async fn close(&mut self) -> Result<(), Unreachable> {
        let end = BootTime::now().saturating_add(CLOSE);
        self.is_closing = true;
        if let Some((keep, key)) = self.keep.as_ref().zip(self.key.as_ref()) {
            keep.remove(key);
        }
        while self.is_open() {
            match self.ask(async |server| server.ask(&CloseSession).await).await {
                Ok(()) | Err(Failure::Lost) => self.forget(),
                Err(Failure::Unreachable(_)) if !end.passed() => self.pause().await,
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(())
    }

    /// Until it is time to ask again after a failure.
    pub(super) fn pause(&self) -> impl Future<Output = ()> + use<> {
        until(self.servers.again())
    }

    async fn ask_within<T>(
        &mut self,
        limit: Duration,
        request: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        // Whoever dropped it had no answer in time.
        if self.asking {
            self.disconnect();
            self.servers.hung();
        }
        self.asking = true;
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
        self.asking = false;
        match answer {
            Some(Ok(answer)) => {
                let took = BootTime::now().as_nanos().saturating_sub(sent.as_nanos());
                self.servers.answered(Duration::from_nanos(took));
                Ok(answer)
            }
            Some(Err(error)) => Err(self.failure(&error)),
            None => {
                let failure = self.unreachable(&format!("no answer in {} ms", limit.as_millis()));
                self.disconnect();
                self.servers.hung();
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
            Meaning::Busy(reason) => {
                self.servers.busy();
                self.unreachable(&reason).into()
            }
            Meaning::Useless(reason) => self.turn_away(&reason),
        }
    }

    /// Has another server asked the next time, since that one is not as the others are.
    pub(super) fn turn_away(&mut self, reason: &str) -> Failure {
        let failure = self.unreachable(reason);
        self.disconnect();
        self.servers.refused();
        failure.into()
    }

    fn unreachable(&self, reason: &str) -> Unreachable {
        Unreachable::new(format!("{}: {reason}", self.endpoint()))
    }

    fn endpoint(&self) -> &str {
        &self.ensemble.endpoints[self.servers.current()]
    }

    fn disconnect(&mut self) {
        if let Some(Connected { connection, .. }) = self.connected.take() {
            self.zxid = self.zxid.max(connection.zxid());
            self.xid = connection.xid();
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
        let stream = stream::open(self.endpoint(), self.ensemble.tls.as_ref()).await?;
        let hello = Hello {
            xid: self.xid,
            zxid: self.zxid,
            timeout: self.timeout,
            session: self.key.as_ref(),
            credentials: self.ensemble.credentials.as_ref(),
        };
        let (connection, key, granted) = Connection::open(stream, &hello).await?;
        let timeout = granted.min(key.lasts);
        if self.key.as_ref() != Some(&key) {
            if let Some(keep) = &self.keep {
                keep.store(&key);
            }
            self.key = Some(key);
        }
        self.tell_of(granted);
        Ok(Connected { connection, heard: Heard::by_connecting(now, timeout), timeout, watched: None })
    }

    /// Of a time that is not what was asked for, once.
    fn tell_of(&mut self, granted: Duration) {
        if granted != self.timeout && !self.told_of_timeout {
            self.told_of_timeout = true;
            log::warn!(
                "{} has sessions last {granted:?} where {:?} was asked for, and so long may a dead node's name stay out of \
                 use{}; change the ttl, or its tickTime, minSessionTimeout or maxSessionTimeout",
                self.endpoint(),
                self.timeout,
                if granted > self.timeout { NOT_PROOF } else { "" },
            );
        }
    }
}

/// Of a session that an earlier process may have had, the numbers are to go on too; where they ended nobody knows.
fn first_xid() -> i32 {
    let random = getrandom::u32().unwrap_or(0) >> 2;
    random.try_into().unwrap_or(0)
}

fn closed() -> Failure {
    Unreachable::new("not connected").into()
}

#[cfg(test)]
mod tests {
    use super::super::multi::{Multi, Op};
    use super::super::protocol::{Acl, Create, Mode};
    use super::super::tests::server::Server;
    use super::*;

    impl Session {
        /// The number of the last request.
        pub(in super::super) fn last_number(&self) -> i32 {
            self.connected.as_ref().map_or(self.xid, |connected| connected.connection.xid())
        }
    }

    fn session(server: &Server) -> Session {
        let (endpoints, path) = (vec![server.endpoint()], String::new());
        let ensemble = Ensemble { endpoints, path, credentials: None, tls: None };
        Session::new(ensemble, 0, Duration::from_secs(10), None)
    }

    #[tokio::test]
    async fn no_number_is_used_twice_in_a_session() {
        let server = Server::start();
        let mut session = session(&server);
        let mut numbers = Vec::new();
        let mut keys = Vec::new();
        for _ in 0..3 {
            session.look(&[Read::Children("/")]).await.unwrap();
            numbers.push(session.last_number());
            keys.push(session.key.clone().unwrap().id);
            session.disconnect();
        }
        assert_eq!(numbers, [numbers[0], numbers[0] + 1, numbers[0] + 2]);
        assert_eq!(keys, [keys[0]; 3], "it is one session");
    }

    #[tokio::test]
    async fn a_session_is_new_on_its_first_connection_until_what_may_make_something_of_its_own_is_to_be_sent()
    {
        let server = Server::start();
        let mut session = session(&server);
        let is_new = |session: &Session| session.connected.as_ref().unwrap().connection.is_new();
        let look = [Read::Children("/")];
        session.look(&look).await.unwrap();
        session.look(&look).await.unwrap();
        assert!(is_new(&session));
        session.disconnect();
        session.look(&look).await.unwrap();
        assert!(!is_new(&session), "nobody knows what was sent before");
        let create = |mode| Create { path: "/a/b", data: b"", acl: Acl::Open, mode };
        for is_whole in [true, false] {
            session.forget();
            session.look(&look).await.unwrap();
            assert!(is_new(&session));
            let connection = &mut session.connected.as_mut().unwrap().connection;
            connection.send(&Multi(&[Op::Create(create(Mode::Persistent))]));
            assert!(connection.is_new(), "that is not its own");
            if is_whole {
                connection.send(&Multi(&[Op::Create(create(Mode::Ephemeral))]));
            } else {
                connection.send(&create(Mode::EphemeralSequential));
            }
            assert!(!is_new(&session), "before anything is sent");
            session.look(&look).await.unwrap();
            assert!(!is_new(&session), "for good");
        }
    }
}
