//! A client: an ordinary UDP socket in a namespace, connected to one server.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use crate::{
    message::{Answer, Query},
    netns::Namespace,
};

/// The port of DNS.
pub const PORT: u16 = 53;

/// How long to wait for an answer that must come.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many errors of earlier queries may wait on a socket.
const ERRORS: usize = 16;

/// The largest UDP payload.
const LARGEST: usize = 65_535;

/// One socket, that is, one client port.
#[derive(Debug)]
pub struct Client {
    socket: UdpSocket,
}

impl Client {
    /// Opens it.
    pub fn new(namespace: &Namespace, server: IpAddr) -> Self {
        let any: IpAddr = match server {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Self::from_address(namespace, any, server)
    }

    /// Opens it with one of the namespace's addresses as its source.
    pub fn from_address(namespace: &Namespace, source: IpAddr, server: IpAddr) -> Self {
        Self::between(namespace, source, SocketAddr::from((server, PORT)))
    }

    /// Opens it towards a port of the namespace's own `lo`.
    pub fn inside(namespace: &Namespace, server: SocketAddrV4) -> Self {
        Self::between(namespace, Ipv4Addr::LOCALHOST.into(), server.into())
    }

    fn between(namespace: &Namespace, source: IpAddr, server: SocketAddr) -> Self {
        let socket = namespace.enter(|| {
            let socket = UdpSocket::bind((source, 0))?;
            socket.connect(server)?;
            Ok::<_, io::Error>(socket)
        });
        Self { socket: socket.unwrap_or_else(|error| panic!("a socket towards {server}: {error}")) }
    }

    /// Asks, and panics if no answer comes.
    pub fn ask(&self, query: &Query) -> Answer {
        self.ask_within(PATIENCE, query)
            .unwrap_or_else(|| panic!("no answer within {PATIENCE:?} to {query:?}"))
    }

    /// Asks with the DNS id given, and panics if no answer comes.
    pub fn ask_as(&self, id: u16, query: &Query) -> Answer {
        self.send(id, query);
        self.receive(id, PATIENCE).unwrap_or_else(|| panic!("no answer within {PATIENCE:?} to {query:?}"))
    }

    /// Asks, and waits that long for an answer.
    pub fn ask_within(&self, patience: Duration, query: &Query) -> Option<Answer> {
        static ID: AtomicU16 = AtomicU16::new(1);
        let id = ID.fetch_add(1, Ordering::Relaxed);
        self.send(id, query);
        self.receive(id, patience)
    }

    /// Sends a query.
    pub fn send(&self, id: u16, query: &Query) {
        let message = query.encode(id);
        // An error may be that of an earlier query, and each call takes one. A query that cannot be sent at all is
        // one that nobody answers.
        for _ in 0..ERRORS {
            match self.socket.send(&message) {
                Ok(_) => return,
                Err(error) => assert!(is_silence(&error), "{error}"),
            }
        }
    }

    /// Waits that long for the answer with this id; others are passed over.
    pub fn receive(&self, id: u16, patience: Duration) -> Option<Answer> {
        let end = Instant::now() + patience;
        let mut buffer = vec![0; LARGEST];
        loop {
            let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            self.socket.set_read_timeout(Some(left)).expect("a time-out that is not zero");
            match self.socket.recv(&mut buffer) {
                Ok(length) if buffer[..length].starts_with(&id.to_be_bytes()) => {
                    return Some(Answer::decode(&buffer[..length]));
                }
                Ok(_another) => {}
                Err(error) if is_silence(&error) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Whether an error only says that nothing came yet (`recv` with a time-out is not restarted after a signal, signal(7)),
/// or that nobody answers: on that port (ICMP), or at all.
fn is_silence(error: &io::Error) -> bool {
    use ErrorKind::{
        ConnectionRefused, HostUnreachable, Interrupted, NetworkDown, NetworkUnreachable, TimedOut,
        WouldBlock,
    };
    matches!(
        error.kind(),
        ConnectionRefused
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | TimedOut
            | WouldBlock
    )
}
