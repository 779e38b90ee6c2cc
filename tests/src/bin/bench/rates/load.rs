//! The load: a client that keeps as many queries on their way as it may, and compares every answer with the first.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use nsid_tests::{
    client::{Client, PORT},
    message::Query,
    netns::Namespace,
};

/// Queries on their way: enough that the server never waits, few enough for the buffers of both sockets.
const WINDOW: u32 = 32;

/// When an answer is lost.
const LOST: Duration = Duration::from_secs(1);

/// Octets of a message's ID (RFC 1035 4.1.1).
const ID: usize = 2;

/// Room for an answer.
const ROOM: usize = 1232;

/// A client of one server, with one query.
#[derive(Debug)]
pub(crate) struct Load {
    socket: UdpSocket,
    query: Vec<u8>,
    /// Behind its ID.
    answer: Vec<u8>,
}

/// What came back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    pub(crate) answered: u32,
    pub(crate) lost: u32,
}

impl Load {
    /// Opens it, and asks for the answer that all others must be like: it carries this NSID.
    pub(crate) fn new(client: &Namespace, server: IpAddr, query: &Query, nsid: Option<&str>) -> Result<Self> {
        let answer = Client::new(client, server).ask(query);
        ensure!(answer.nsid().as_deref() == nsid, "NSID is {:?}, not {nsid:?}", answer.nsid());
        ensure!(!answer.message().answers.is_empty(), "an answer without a record: {answer:?}");
        let socket = client.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
        socket.connect((server, PORT))?;
        socket.set_read_timeout(Some(LOST))?;
        Ok(Self { socket, query: query.encode(0), answer: answer.bytes()[ID..].to_vec() })
    }

    /// Asks for as long as that, and then waits for the answers that are missing.
    pub(crate) fn run(&mut self, time: Duration) -> Result<Tally> {
        let mut awaited = vec![false; 1 << u16::BITS];
        let mut ids = (0..=u16::MAX).cycle();
        let (mut asked, mut answered) = (0, 0);
        let mut buffer = [0; ROOM];
        let end = Instant::now() + time;
        loop {
            while asked - answered < WINDOW && Instant::now() < end {
                let id = ids.next().expect("a cycle has no end");
                self.query[..ID].copy_from_slice(&id.to_be_bytes());
                self.socket.send(&self.query)?;
                awaited[usize::from(id)] = true;
                asked += 1;
            }
            if asked == answered {
                break;
            }
            let length = match self.socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => bail!("the server: {error}"),
            };
            let Some((id, answer)) = buffer[..length].split_first_chunk::<ID>() else {
                bail!("an answer of {length} bytes")
            };
            ensure!(answer == self.answer, "not the answer that came before: {answer:02x?}");
            let awaited = &mut awaited[usize::from(u16::from_be_bytes(*id))];
            ensure!(*awaited, "an answer to no query, or the second one");
            *awaited = false;
            answered += 1;
        }
        Ok(Tally { answered, lost: asked - answered })
    }
}
