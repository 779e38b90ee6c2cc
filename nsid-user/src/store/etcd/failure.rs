//! What it means for a claimant that etcd did not do what it was asked.

use std::error::Error as StdError;

use etcd_client::Error;
use tonic::Code;

use crate::store::tls::with_advice;
use crate::store::{Disagreement, RenewError, Unreachable};

/// Why a request was not carried out, or may not have been.
#[derive(Debug)]
pub(super) enum Failure {
    /// etcd will not do this, and waiting does not mend it.
    Refused(String),
    /// The pool is not what this claimant takes it for, by that key.
    Disagrees(String, Disagreement),
    /// The lease is over, or what was put with it is no longer there.
    Lost,
    /// Everything else, that another time or another member may mend.
    Unreachable(Unreachable),
}

impl From<Unreachable> for Failure {
    fn from(reason: Unreachable) -> Self {
        Self::Unreachable(reason)
    }
}

impl From<Failure> for RenewError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Lost => Self::Lost,
            other => Self::Unreachable(other.into()),
        }
    }
}

/// Of a request that nothing is lost by.
impl From<Failure> for Unreachable {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(reason) => Self::new(reason),
            Failure::Disagrees(_, disagreement) => Self::new(disagreement),
            Failure::Lost => Self::new("the lease is over"),
            Failure::Unreachable(reason) => reason,
        }
    }
}

/// What an error of the client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// etcd will not.
    Refused(String),
    /// etcd wants credentials, and was given none.
    NoUser(String),
    /// There is no such lease.
    NoLease,
    /// etcd has no access control (any more), and takes no credentials.
    NoAccessControl(String),
    /// The member has too much to do, and has not begun with this; a new connection would be one thing more.
    Busy(String),
    /// The member could not at present, having no leader say, or may have; its connection is sound.
    NotNow(String),
    /// The connection is of no use.
    Useless(String),
}

/// Of each error that the client can return for a request of ours.
///
/// etcd's own errors and their codes: its `api/v3rpc/rpctypes/error.go`. Those that it does not list there arrive as
/// `Unknown`; so do those of the connection, in other words.
pub(super) fn meaning(error: &Error) -> Meaning {
    let status = match error {
        Error::GRpcStatus(status) => status,
        // etcd-client's word for a stream that has ended (src/rpc/lease.rs, `LeaseKeeper::keep_alive`).
        Error::LeaseKeepAliveError(_) => return Meaning::Useless("the connection was closed".to_owned()),
        other => return Meaning::Useless(other.to_string()),
    };
    let message = status.message();
    match (status.code(), message) {
        // A token from before the last change of any user; a JWT stays that, so it takes another one.
        (Code::InvalidArgument, "etcdserver: revision of auth store is old") => {
            Meaning::Useless(message.to_owned())
        }
        (Code::InvalidArgument, "etcdserver: user name is empty") => Meaning::NoUser(message.to_owned()),
        // No right to the keys; a wrong password.
        (Code::PermissionDenied | Code::InvalidArgument, _) => Meaning::Refused(message.to_owned()),
        (Code::FailedPrecondition, "etcdserver: authentication is not enabled") => {
            Meaning::NoAccessControl(message.to_owned())
        }
        (Code::NotFound, "etcdserver: requested lease not found") => Meaning::NoLease,
        // Before it is proposed (`processInternalRaftRequestOnce`, v3_server.go); in 3.4 and 3.5 not listed.
        (Code::Unknown | Code::ResourceExhausted, "etcdserver: too many requests") => {
            Meaning::Busy(message.to_owned())
        }
        // Also of what was at a revision that has been compacted, which no other member has either.
        // And of no space that is left, or data that are damaged.
        (
            Code::Unknown | Code::Unavailable | Code::OutOfRange | Code::ResourceExhausted | Code::DataLoss,
            told,
        ) if told.starts_with("etcdserver: ") => Meaning::NotNow(message.to_owned()),
        _ => Meaning::Useless(with_advice(with_causes(message, status.source()), "etcd://")),
    }
}

/// "transport error" alone does not tell a person anything; and what a cause tells again, once is enough.
fn with_causes(message: &str, mut cause: Option<&dyn StdError>) -> String {
    let mut told = message.to_owned();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[test]
    fn only_what_no_waiting_mends_is_a_refusal() {
        let refused: fn(String) -> Meaning = Meaning::Refused;
        for (code, message, meant) in [
            (Code::PermissionDenied, "etcdserver: permission denied", refused),
            (
                Code::InvalidArgument,
                "etcdserver: authentication failed, invalid user ID or password",
                Meaning::Refused,
            ),
            (Code::InvalidArgument, "etcdserver: user name is empty", Meaning::NoUser),
            (Code::InvalidArgument, "etcdserver: revision of auth store is old", Meaning::Useless),
            (Code::FailedPrecondition, "etcdserver: authentication is not enabled", Meaning::NoAccessControl),
            (Code::FailedPrecondition, "etcdserver: lease already exists", Meaning::Useless),
            (Code::NotFound, "etcdserver: requested lease not found", |_| Meaning::NoLease),
            (Code::Unknown, "etcdserver: too many requests", Meaning::Busy),
            (Code::Unknown, "transport error", Meaning::Useless),
            (Code::ResourceExhausted, "etcdserver: too many requests", Meaning::Busy),
            (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded", Meaning::NotNow),
            (Code::DataLoss, "etcdserver: corrupt cluster", Meaning::NotNow),
            (Code::ResourceExhausted, "received message larger than max", Meaning::Useless),
            (Code::Unknown, "etcdserver: request timed out", Meaning::NotNow),
            (Code::Unavailable, "etcdserver: leader changed", Meaning::NotNow),
            (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted", Meaning::NotNow),
            (Code::Unavailable, "transport error", Meaning::Useless),
            (Code::Unauthenticated, "etcdserver: invalid auth token", Meaning::Useless),
        ] {
            let status = Status::new(code, message);
            assert_eq!(meaning(&Error::GRpcStatus(status)), meant(message.to_owned()), "{message}");
        }
    }
}
