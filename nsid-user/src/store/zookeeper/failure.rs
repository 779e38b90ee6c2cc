//! What it means for a claimant that ZooKeeper did not do what it was asked.

use super::connection::Error;
use super::protocol::Code;
use crate::store::tls::with_advice;
use crate::store::{Disagreement, RenewError, Unreachable};

/// Why a request was not carried out, or may not have been.
#[derive(Debug)]
pub(super) enum Failure {
    /// ZooKeeper will not do this, and waiting does not mend it.
    Refused(String),
    /// The pool is another one than this claimant takes it for.
    Disagrees(Disagreement),
    /// The session is over, or what was made with it is no longer there.
    Lost,
    /// A node is not as the request takes it to be.
    Otherwise(Code),
    /// Everything else, that another time or another server may mend.
    Unreachable(Unreachable),
}

impl From<Unreachable> for Failure {
    fn from(reason: Unreachable) -> Self {
        Self::Unreachable(reason)
    }
}

impl From<Disagreement> for Failure {
    fn from(disagreement: Disagreement) -> Self {
        Self::Disagrees(disagreement)
    }
}

impl From<Failure> for RenewError {
    fn from(failure: Failure) -> Self {
        match failure {
            // A slot that is not there, or that somebody else has written.
            Failure::Lost | Failure::Otherwise(_) => Self::Lost,
            other => Self::Unreachable(other.into()),
        }
    }
}

impl From<Failure> for Unreachable {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(reason) => Self::new(reason),
            Failure::Disagrees(disagreement) => Self::new(disagreement),
            Failure::Lost => Self::new(Code::SessionExpired.to_string()),
            Failure::Otherwise(code) => Self::new(code.to_string()),
            Failure::Unreachable(reason) => reason,
        }
    }
}

/// What an error says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// ZooKeeper will not.
    Refused(String),
    /// There is no such session.
    NoSession,
    /// A node is not as it was taken to be.
    Otherwise(Code),
    /// The server has too much to do, or trouble of its own; a new connection would be one thing more.
    Busy(String),
    /// The connection is of no use any more.
    Useless(String),
}

/// Of each error of a connection.
pub(super) fn meaning(error: &Error) -> Meaning {
    match error {
        Error::Io(_) | Error::Malformed(_) => Meaning::Useless(with_advice(error.to_string(), "zk://")),
        Error::Failed(code) => match code {
            Code::SessionExpired => Meaning::NoSession,
            Code::NoNode | Code::NodeExists | Code::BadVersion => Meaning::Otherwise(*code),
            Code::NoAuth | Code::InvalidAcl | Code::AuthFailed => Meaning::Refused(code.to_string()),
            Code::SessionMoved => Meaning::Useless(code.to_string()),
            Code::Other(_) => Meaning::Busy(code.to_string()),
        },
    }
}
