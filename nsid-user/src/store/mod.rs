//! Claim stores: who has which slot of a pool.
//!
//! A store gives a claimant one slot that nobody else has, a fencing token and a lease; nothing else crosses.
//!
//! **Invariant:** no store knows a map, a packet or how a name is spelt.
//!
//! A name given by hand (`static:`) is no store: there is no line to wait in, nothing to renew and nothing to
//! lose, so [`claim::fixed`](crate::claim::fixed) says it, and no [`Grant`] has to do without a slot, a token or
//! a lease.

mod agreement;
mod any;
#[cfg(test)]
mod authority;
#[cfg(test)]
#[macro_use]
mod behaviour;
mod credentials;
mod directory;
pub mod etcd;
mod holder;
mod incarnation;
mod lease;
mod local;
mod nonce;
pub mod peers;
#[cfg(test)]
mod program;
mod progress;
mod tls;
pub mod zookeeper;

use std::error::Error;
use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use agreement::{Agreement, Disagreement};
pub use any::{AnyStore, Place};
pub use credentials::{Credentials, Password};
pub use directory::{Directory, Entry, Roll};
pub use etcd::{Cluster, Etcd};
pub use holder::Holder;
pub use incarnation::{Incarnation, NodeId};
pub use lease::Lease;
pub use local::Local;
pub use nonce::{Nonce, NonceError};
pub use peers::{ClusterKey, ClusterKeyError, Peers, Quorum};
pub use progress::{ClaimStatus, Kind, Progress, State, StoreStatus};
pub use tls::{Tls, TlsError};
pub use zookeeper::{Ensemble, ZooKeeper};

use crate::clock::BootTime;
use crate::plain::Plain;

/// One claimant's side of a store.
///
/// Every future may be dropped at any await: a request that was under way may then have been carried out or not,
/// and the next call finds out which before it does anything else. The lease of a call that was dropped is lost,
/// which is the safe side.
///
/// Calls may come in any order. [`claim`](Store::claim) while a slot is held (the claimant let its lease pass, and
/// cannot know what became of the slot) begins anew, and may well return the same slot.
pub trait Store: Send {
    /// So many tries at a renewal fit into a lease: none takes longer than that part of it. A store that has to give up on one
    /// who does not answer, and ask another, has to do so in a fraction of that time.
    fn renewals(&self) -> u32 {
        3
    }

    /// A lease of that length is renewed so long after it was asked for.
    fn rhythm(&self, ttl: Duration) -> Duration {
        ttl / self.renewals()
    }

    /// Waits for a slot, for ever if need be, and says through `progress` what it waits for.
    ///
    /// The lowest free slot is taken, in a crowd the i-th lowest by the i-th claimant; a claimant whose last lease
    /// still runs gets its own slot back, and one whose node had a slot last, under another nonce, gets that one if it is
    /// free and below the number of claimants, unless a store says otherwise. The token is greater than that of every grant
    /// that had been made when this claim began, and in one slot greater than all before.
    fn claim(&mut self, progress: &Progress) -> impl Future<Output = Result<Grant, ClaimError>> + Send;

    /// Asks for more time for the slot that [`claim`](Store::claim) returned.
    ///
    /// `Ok` is a statement about the past as well as the future: since the claim, nobody else was given the slot,
    /// and until the lease's time is up nobody will be. A store that cannot tell says [`RenewError::Unreachable`].
    ///
    /// The driver drops a call that takes too long. A store that has to act on silence, by asking another endpoint
    /// say, keeps a shorter limit of its own.
    fn renew(&mut self) -> impl Future<Output = Result<Lease, RenewError>> + Send;

    /// Ends when the store tells, unasked, that the slot is no longer this claimant's. A store that never does so leaves it
    /// to the next renewal.
    fn lost(&mut self) -> impl Future<Output = ()> + Send {
        pending()
    }

    /// Goes on with what an earlier process of this claimant was granted, under the same token, and asks for more time for
    /// it, as [`renew`](Store::renew) does.
    ///
    /// [`RenewError::Lost`]: it is not held under that token any more; who asks may [`claim`](Store::claim).
    fn resume(&mut self, inherited: Inherited) -> impl Future<Output = Result<Lease, RenewError>> + Send;

    /// Gives back whatever this claimant holds, or may hold after a call that was dropped, so that the next in
    /// line gets it at once. Nothing to give back is no error.
    fn release(&mut self) -> impl Future<Output = Result<(), Unreachable>> + Send;
}

/// What a claim yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The place in the pool, from 0.
    pub slot: u32,
    /// The fencing token: who has the slot later has the greater one.
    pub token: u64,
    /// For how long.
    pub lease: Lease,
}

/// What an earlier process of the claimant was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// The place in the pool.
    pub slot: u32,
    /// The fencing token.
    pub token: u64,
    /// Until when it holds that by what it was granted, renewals counted: the deadline that the kernel was told.
    pub until: BootTime,
}

/// Why claiming ends. A store that does not answer is no reason: it is asked again for ever.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The local store's directory cannot be used, and waiting does not mend it.
    #[error("cannot keep claims in {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The pool is not what this claimant was told it is.
    #[error(
        "{disagreement}, by {store}; give this agent what the others of its pool have, and no name of another pool, or \
         delete that if no agent goes by it any more"
    )]
    Disagrees {
        /// Where in the store that is.
        store: String,
        /// In what they differ.
        disagreement: Disagreement,
    },
    /// etcd does not let this claimant do what a claim takes.
    #[error(
        "etcd refuses the claim ({reason}); name a user that may read and write below {prefix} (etcd://USER@HOST:PORT), \
         and give the right password, by --password-file or in the environment as {variable}",
        reason = Plain(reason),
        variable = etcd::PASSWORD_VARIABLE
    )]
    EtcdRefused {
        /// Before the pool's keys.
        prefix: String,
        /// Which member, and what it said.
        reason: String,
    },
    /// ZooKeeper does not let this claimant do what a claim takes.
    #[error(
        "ZooKeeper refuses the claim ({reason}); name a user that may read, create, write and delete below {path} \
         (zk://USER@HOST:PORT/PATH), and give the right password, by --password-file or in the environment as {}",
        zookeeper::PASSWORD_VARIABLE,
        reason = Plain(reason)
    )]
    ZooKeeperRefused {
        /// Which server, and what it said.
        reason: String,
        /// What pools are below.
        path: String,
    },
}

/// Why there is no more time.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The slot is no longer this claimant's, or may be somebody else's by now.
    #[error("the slot is no longer ours")]
    Lost,
    /// Not known; ask again while the lease lasts.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
}

/// A store gave no answer that could be used.
#[derive(Debug, thiserror::Error)]
#[error("{}", Plain(.0))]
pub struct Unreachable(Box<dyn Error + Send + Sync>);

impl Unreachable {
    /// For that reason.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(reason.into())
    }
}
