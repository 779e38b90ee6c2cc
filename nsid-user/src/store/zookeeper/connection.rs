//! A connection to one server, on which one session speaks.
//!
//! A server deals with a session's requests in their order, so several can be under way. Every future may be dropped at
//! any await: what was being sent is sent on, and the answer that nobody waits for any more is skipped, by the next.

use std::io;
use std::marker::PhantomData;
use std::mem::take;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::jute::{Decoder, Encoder, LENGTH, Malformed};
use super::protocol::{Change, Code, ReplyHeader, Request};
use super::stream::Stream;
use crate::store::Credentials;

/// The number of what the server says without being asked: a watch.
const NOTIFICATION: i32 = -1;

/// The number and the type of who presents credentials.
const AUTH: (i32, i32) = (-4, 100);

/// How long a session's password is.
const PASSWORD: usize = 16;

/// The largest packet that is taken: more than the list of a million slots.
const PACKET_MAX: usize = 64 << 20;

/// The connection.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// The number of the last request.
    xid: i32,
    /// What has been received, and not read yet.
    received: Vec<u8>,
    /// What is to be sent.
    unsent: Vec<u8>,
    /// What watches have told since it was [armed](Self::arm).
    told: Vec<Change>,
    is_armed: bool,
    /// The last change that the server told of.
    zxid: i64,
    /// The session was made for it, and nothing was sent on it that may make what goes with the session.
    is_new: bool,
}

/// The session that a connection is for.
pub(super) struct Hello<'a> {
    /// The number of the last request of this session. A server knows a change that comes back from the leader by the
    /// session and the number (`CommitProcessor`), be it one that another server was sent: so none is used twice.
    pub(super) xid: i32,
    /// A server that knows less is none for this session.
    pub(super) zxid: i64,
    /// How long it is to outlive its last sign of life.
    pub(super) timeout: Duration,
    /// One that there is already.
    pub(super) session: Option<&'a SessionKey>,
    pub(super) credentials: Option<&'a Credentials>,
}

/// The session that a connection speaks for.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SessionKey {
    pub(super) id: i64,
    /// Whoever has it may go on with the session.
    pub(super) password: [u8; PASSWORD],
    /// How long it was made to outlive its last sign of life. Who takes over as leader counts with that, whatever was agreed
    /// on since (`SessionTrackerImpl`).
    pub(super) lasts: Duration,
}

/// A request that was sent.
pub(super) struct Pending<R> {
    xid: i32,
    request: PhantomData<R>,
}

/// Why there is no answer of use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("{0}")]
    Failed(Code),
}

impl Error {
    /// Whether the server said so.
    pub(super) fn is(&self, code: Code) -> bool {
        matches!(self, Self::Failed(failed) if *failed == code)
    }
}

impl Connection {
    /// Opens a session, or goes on with one; also says how long it outlives its last sign of life.
    pub(super) async fn open(
        stream: Box<dyn Stream>,
        hello: &Hello<'_>,
    ) -> Result<(Self, SessionKey, Duration), Error> {
        let (received, unsent) = (Vec::new(), Vec::new());
        let mut connection = Self {
            stream,
            xid: hello.xid,
            received,
            unsent,
            told: Vec::new(),
            is_armed: false,
            zxid: hello.zxid,
            is_new: hello.session.is_none(),
        };
        let asked = i32::try_from(hello.timeout.as_millis()).unwrap_or(i32::MAX);
        let (id, password) =
            hello.session.map_or((0, [0; PASSWORD]), |session| (session.id, session.password));
        connection.packet(|to| {
            let version = 0;
            to.int(version).long(hello.zxid).int(asked).long(id).buffer(&password).bool(false);
        });
        if let Some(Credentials { user, password }) = hello.credentials {
            let (xid, of_type) = AUTH;
            let identity = format!("{user}:{}", password.reveal());
            connection.packet(|to| {
                to.int(xid).int(of_type).int(0).text("digest").text(&identity);
            });
        }
        let answer = connection.receive_packet().await?;
        let mut answer = Decoder(&answer);
        let (_version, granted, id) = (answer.int()?, answer.int()?, answer.long()?);
        let password = answer.buffer()?.try_into().map_err(|_| Malformed)?;
        if id == 0 {
            return Err(Error::Failed(Code::SessionExpired));
        }
        let granted = Duration::from_millis(granted.max(0).unsigned_abs().into());
        let lasts = hello.session.map_or(granted, |session| session.lasts);
        Ok((connection, SessionKey { id, password, lasts }, granted))
    }

    /// The last change that the server told of.
    pub(super) fn zxid(&self) -> i64 {
        self.zxid
    }

    /// The number of the last request.
    pub(super) fn xid(&self) -> i32 {
        self.xid
    }

    /// Whether its session has made nothing yet, whatever became of what was asked. To make a session is a write, and its
    /// end seen by the server that answers: so that knows what the leader knew then (unless sessions are the server's own:
    /// `localSessionsEnabled`).
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether the server has closed it, as it does when the session is over.
    pub(super) fn is_closed(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.received).now_or_never(), Some(Ok(0) | Err(_)))
    }

    /// Sends a request and waits for the answer.
    pub(super) async fn ask<R: Request>(&mut self, request: &R) -> Result<R::Answer, Error> {
        let pending = self.send(request);
        self.receive(pending).await
    }

    /// Has a request sent as soon as an answer is waited for.
    pub(super) fn send<R: Request>(&mut self, request: &R) -> Pending<R> {
        // Before it is sent: it may be carried out though it is dropped, or its answer lost.
        self.is_new &= !request.is_making();
        self.xid = self.xid.checked_add(1).unwrap_or(1);
        let xid = self.xid;
        self.packet(|to| {
            to.int(xid).int(R::TYPE);
            request.write(to);
        });
        Pending { xid, request: PhantomData }
    }

    /// Waits for an answer. Those to several requests are waited for in the order in which these were sent.
    pub(super) async fn receive<R: Request>(&mut self, pending: Pending<R>) -> Result<R::Answer, Error> {
        loop {
            let packet = self.receive_packet().await?;
            let mut answer = Decoder(&packet);
            let header = self.read_header(&mut answer)?;
            if header.xid == pending.xid {
                return match header.code {
                    None => Ok(R::read(&mut answer)?),
                    Some(code) => Err(Error::Failed(code)),
                };
            }
        }
    }

    /// Forgets what watches have told, for one that is set next.
    pub(super) fn arm(&mut self) {
        self.told.clear();
        self.is_armed = true;
    }

    /// Waits until a watch has told something since it was [armed](Self::arm). If it was not, being new, nothing would.
    pub(super) async fn fired(&mut self) -> Result<(), Error> {
        if self.is_armed { self.until_told(|_| true).await } else { Ok(()) }
    }

    /// Waits until one has told that there is no such node any more.
    pub(super) async fn deleted(&mut self, path: &str) -> Result<(), Error> {
        self.until_told(|change| change.is_deletion && change.path == path).await
    }

    async fn until_told(&mut self, what: impl Fn(&Change) -> bool) -> Result<(), Error> {
        while !self.told.iter().any(&what) {
            let packet = self.receive_packet().await?;
            self.read_header(&mut Decoder(&packet))?;
        }
        Ok(())
    }

    fn read_header(&mut self, answer: &mut Decoder<'_>) -> Result<ReplyHeader, Error> {
        let header = ReplyHeader::read(answer)?;
        self.zxid = self.zxid.max(header.zxid);
        match header {
            ReplyHeader { xid: NOTIFICATION, .. } => self.told.push(Change::read(answer)?),
            ReplyHeader { xid, code: Some(code), .. } if xid == AUTH.0 => return Err(Error::Failed(code)),
            _ => {}
        }
        Ok(header)
    }

    fn packet(&mut self, write: impl FnOnce(&mut Encoder<'_>)) {
        let mut packet = Vec::new();
        write(&mut Encoder(&mut packet));
        Encoder(&mut self.unsent).buffer(&packet);
    }

    async fn receive_packet(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            if let Some((length, _)) = self.received.split_first_chunk::<LENGTH>() {
                let length = u32::from_be_bytes(*length) as usize;
                if length > PACKET_MAX {
                    return Err(Malformed.into());
                }
                let end = LENGTH + length;
                if self.received.len() >= end {
                    let rest = self.received.split_off(end);
                    let mut packet = take(&mut self.received);
                    self.received = rest;
                    packet.drain(..LENGTH);
                    return Ok(packet);
                }
            }
            self.exchange().await?;
        }
    }

    /// Sends what is to be sent, and takes what has come.
    async fn exchange(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let sent = self.stream.write(&self.unsent).await?;
            self.unsent.drain(..sent);
        }
        self.stream.flush().await?;
        if self.stream.read_buf(&mut self.received).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"));
        }
        Ok(())
    }
}
