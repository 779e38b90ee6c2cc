//! What is asked of ZooKeeper and what it answers: the few requests that a claim takes (`zookeeper.jute`,
//! `ZooDefs.OpCode` and `KeeperException.Code`, ZooKeeper 3.8).

use std::fmt;

use super::jute::{Decoder, Encoder, Malformed};

/// Stands for any version of a node.
const ANY_VERSION: i32 = -1;

/// A request, and what is answered to it where it succeeds.
pub(super) trait Request {
    /// Its number in the protocol.
    const TYPE: i32;
    type Answer;

    fn write(&self, to: &mut Encoder<'_>);
    fn read(answer: &mut Decoder<'_>) -> Result<Self::Answer, Malformed>;

    /// Whether it may make what goes with the session.
    fn is_making(&self) -> bool {
        false
    }
}

/// What stands before each answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReplyHeader {
    pub(super) xid: i32,
    /// The last change that the server knows of.
    pub(super) zxid: i64,
    /// Why it failed, if it did.
    pub(super) code: Option<Code>,
}

impl ReplyHeader {
    pub(super) fn read(answer: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(Self { xid: answer.int()?, zxid: answer.long()?, code: Code::of(answer.int()?) })
    }
}

/// What a watch tells (`WatcherEvent`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The node is no longer there.
    pub(super) is_deletion: bool,
    pub(super) path: String,
}

impl Change {
    /// `Watcher.Event.EventType.NodeDeleted`
    const DELETION: i32 = 2;

    pub(super) fn read(told: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let (of_type, _state) = (told.int()?, told.int()?);
        Ok(Self { is_deletion: of_type == Self::DELETION, path: told.text()?.to_owned() })
    }
}

/// What is known of a node without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// The change that made it.
    pub(super) czxid: i64,
    /// How often its data were set.
    pub(super) version: i32,
    /// How often its children changed: came and went.
    pub(super) cversion: i32,
    /// How many it has.
    pub(super) children: i32,
}

impl Stat {
    /// How many children the node has had, in all.
    pub(super) fn children_ever(&self) -> i64 {
        // Each that is gone has been counted twice: `DataNode.copyStat`.
        i64::midpoint(self.cversion.into(), self.children.into())
    }

    fn read(answer: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let (czxid, _mzxid) = (answer.long()?, answer.long()?);
        let (_ctime, _mtime) = (answer.long()?, answer.long()?);
        let (version, cversion, _aversion) = (answer.int()?, answer.int()?, answer.int()?);
        let (_ephemeral_owner, _data_length) = (answer.long()?, answer.int()?);
        let (children, _pzxid) = (answer.int()?, answer.long()?);
        Ok(Self { czxid, version, cversion, children })
    }
}

/// Who may do what with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acl {
    /// Everybody everything.
    Open,
    /// Who makes it everything, and nobody else anything.
    Creator,
}

impl Acl {
    /// `ZooDefs.Perms.ALL`
    const ALL: i32 = 0x1f;

    fn write(self, to: &mut Encoder<'_>) {
        let (scheme, id) = match self {
            Self::Open => ("world", "anyone"),
            Self::Creator => ("auth", ""),
        };
        to.length(1).int(Self::ALL).text(scheme).text(id);
    }
}

/// For how long a node is there, and what it is called (`CreateMode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Persistent = 0,
    /// Until the session ends that made it.
    Ephemeral = 1,
    /// The same, and a number behind its name: how many children its parent had before it.
    EphemeralSequential = 3,
}

/// Makes a node; the answer is its path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Create<'a> {
    pub(super) path: &'a str,
    pub(super) data: &'a [u8],
    pub(super) acl: Acl,
    pub(super) mode: Mode,
}

impl Request for Create<'_> {
    const TYPE: i32 = 1;
    type Answer = String;

    fn write(&self, to: &mut Encoder<'_>) {
        to.text(self.path).buffer(self.data);
        self.acl.write(to);
        to.int(self.mode as i32);
    }

    fn read(answer: &mut Decoder<'_>) -> Result<String, Malformed> {
        Ok(answer.text()?.to_owned())
    }

    fn is_making(&self) -> bool {
        match self.mode {
            Mode::Persistent => false,
            Mode::Ephemeral | Mode::EphemeralSequential => true,
        }
    }
}

/// Removes a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delete<'a>(pub(super) &'a str);

impl Request for Delete<'_> {
    const TYPE: i32 = 2;
    type Answer = ();

    fn write(&self, to: &mut Encoder<'_>) {
        to.text(self.0).int(ANY_VERSION);
    }

    fn read(_answer: &mut Decoder<'_>) -> Result<(), Malformed> {
        Ok(())
    }
}

/// Whether there is a node; if not, the answer is [`Code::NoNode`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Exists<'a>(pub(super) &'a str);

impl Request for Exists<'_> {
    const TYPE: i32 = 3;
    type Answer = Stat;

    fn write(&self, to: &mut Encoder<'_>) {
        to.text(self.0).bool(false);
    }

    fn read(answer: &mut Decoder<'_>) -> Result<Stat, Malformed> {
        Stat::read(answer)
    }
}

/// What a node's data are.
#[derive(Clone, Copy, Debug)]
pub(super) struct GetData<'a>(pub(super) &'a str);

impl Request for GetData<'_> {
    const TYPE: i32 = 4;
    type Answer = (Vec<u8>, Stat);

    fn write(&self, to: &mut Encoder<'_>) {
        to.text(self.0).bool(false);
    }

    fn read(answer: &mut Decoder<'_>) -> Result<(Vec<u8>, Stat), Malformed> {
        Ok((answer.buffer()?.to_owned(), Stat::read(answer)?))
    }
}

/// Sets a node's data, if they are of that version.
#[derive(Clone, Copy, Debug)]
pub(super) struct SetData<'a> {
    pub(super) path: &'a str,
    pub(super) data: &'a [u8],
    pub(super) version: Option<i32>,
}

impl Request for SetData<'_> {
    const TYPE: i32 = 5;
    type Answer = Stat;

    fn write(&self, to: &mut Encoder<'_>) {
        to.text(self.path).buffer(self.data).int(self.version.unwrap_or(ANY_VERSION));
    }

    fn read(answer: &mut Decoder<'_>) -> Result<Stat, Malformed> {
        Stat::read(answer)
    }
}

/// The names of a node's children, and word of the next change of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct WatchChildren<'a>(pub(super) &'a str);

impl Request for WatchChildren<'_> {
    const TYPE: i32 = 8;
    type Answer = Vec<String>;

    fn write(&self, to: &mut Encoder<'_>) {
        to.text(self.0).bool(true);
    }

    fn read(answer: &mut Decoder<'_>) -> Result<Vec<String>, Malformed> {
        answer.texts()
    }
}

/// Has the server know what the leader knows, before it deals with what this session asks next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sync<'a>(pub(super) &'a str);

impl Request for Sync<'_> {
    const TYPE: i32 = 9;
    type Answer = ();

    fn write(&self, to: &mut Encoder<'_>) {
        to.text(self.0);
    }

    fn read(_answer: &mut Decoder<'_>) -> Result<(), Malformed> {
        Ok(())
    }
}

/// Which nodes with paths that begin so are this session's, and go with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct GetEphemerals<'a>(pub(super) &'a str);

impl Request for GetEphemerals<'_> {
    const TYPE: i32 = 103;
    type Answer = Vec<String>;

    fn write(&self, to: &mut Encoder<'_>) {
        to.text(self.0);
    }

    fn read(answer: &mut Decoder<'_>) -> Result<Vec<String>, Malformed> {
        answer.texts()
    }
}

/// Ends the session, and removes its nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct CloseSession;

impl Request for CloseSession {
    const TYPE: i32 = -11;
    type Answer = ();

    fn write(&self, _to: &mut Encoder<'_>) {}

    fn read(_answer: &mut Decoder<'_>) -> Result<(), Malformed> {
        Ok(())
    }
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    NoNode,
    NoAuth,
    BadVersion,
    NodeExists,
    SessionExpired,
    InvalidAcl,
    AuthFailed,
    SessionMoved,
    /// One that means nothing in particular to a claim.
    Other(i32),
}

impl Code {
    /// None: success.
    pub(super) fn of(code: i32) -> Option<Self> {
        Some(match code {
            0 => return None,
            -101 => Self::NoNode,
            -102 => Self::NoAuth,
            -103 => Self::BadVersion,
            -110 => Self::NodeExists,
            // `UNKNOWNSESSION`, a server's word where it is alone (`SessionTrackerImpl.checkSession`).
            -12 | -112 => Self::SessionExpired,
            -114 => Self::InvalidAcl,
            -115 => Self::AuthFailed,
            -118 => Self::SessionMoved,
            other => Self::Other(other),
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNode => f.write_str("there is no such node"),
            Self::NoAuth => f.write_str("no rights"),
            Self::BadVersion => f.write_str("the node has another version"),
            Self::NodeExists => f.write_str("the node is there already"),
            Self::SessionExpired => f.write_str("the session has expired"),
            Self::InvalidAcl => f.write_str("an ACL without anybody in it"),
            Self::AuthFailed => f.write_str("authentication failed"),
            Self::SessionMoved => f.write_str("the session is another connection's"),
            Self::Other(-6) => f.write_str("it cannot do that; is it older than 3.6?"),
            Self::Other(-124) => f.write_str("it wants clients to log in by SASL, which nsid does not do"),
            Self::Other(code) => write!(f, "error {code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(cversion: i32, children: i32) -> Stat {
        Stat { czxid: 1, version: 0, cversion, children }
    }

    #[test]
    fn children_are_counted_once_whether_they_are_gone_or_not() {
        for (ever, gone) in [(0, 0), (1, 0), (1, 1), (7, 3)] {
            // Each coming is a change, and each going.
            assert_eq!(stat(ever + gone, ever - gone).children_ever(), i64::from(ever));
        }
    }
}
