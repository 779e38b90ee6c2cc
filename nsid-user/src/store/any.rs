//! A store of any kind: where pools are kept, and the claimant that goes with each place.

use std::path::Path;
use std::time::Duration;

use super::{
    Agreement, ClaimError, Cluster, Directory, Ensemble, Etcd, Grant, Incarnation, Inherited, Kind, Lease,
    Local, Peers, Progress, Quorum, RenewError, Roll, Store, Unreachable, ZooKeeper,
};
use crate::host::instance::RUN_ROOT;

/// Where pools are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this host, for its own agents.
    Local,
    /// In etcd.
    Etcd(Cluster),
    /// In ZooKeeper.
    ZooKeeper(Ensemble),
    /// In the memory of some of the nodes themselves.
    Peers(Quorum),
}

/// A claimant of a pool in some place. Each is on the heap, so that none reserves what another takes.
pub enum AnyStore {
    /// On this host.
    Local(Box<Local>),
    /// In etcd.
    Etcd(Box<Etcd>),
    /// In ZooKeeper.
    ZooKeeper(Box<ZooKeeper>),
    /// Among the nodes themselves.
    Peers(Box<Peers>),
}

impl Place {
    /// Of which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Local => Kind::Local,
            Self::Etcd(_) => Kind::Etcd,
            Self::ZooKeeper(_) => Kind::ZooKeeper,
            Self::Peers(_) => Kind::Peers,
        }
    }

    /// The witnesses, where there are some.
    pub fn quorum(&self) -> Option<&Quorum> {
        if let Self::Peers(quorum) = self { Some(quorum) } else { None }
    }

    /// A pool there, in a word that stays the same from run to run. Another list of members is another place, since it may
    /// be another etcd, where another node has the name.
    pub fn source(&self, pool: &str) -> String {
        match self {
            Self::Local => format!("local:{pool}"),
            Self::Etcd(Cluster { endpoints, prefix, tls, .. }) => {
                let scheme = if tls.is_some() { "etcds" } else { "etcd" };
                let prefix = if prefix == Cluster::PREFIX { "" } else { prefix };
                format!("{scheme}://{}{prefix}/{pool}", endpoints.join(","))
            }
            Self::ZooKeeper(Ensemble { endpoints, path, tls, .. }) => {
                let scheme = if tls.is_some() { "zks" } else { "zk" };
                format!("{scheme}://{}{path}/{pool}", endpoints.join(","))
            }
            Self::Peers(Quorum { list, .. }) => format!("peers://{list}/{pool}"),
        }
    }

    /// A claimant of the pool of that agreement; nothing is asked yet.
    pub fn claimant(self, incarnation: Incarnation, agreement: Agreement, ttl: Duration) -> AnyStore {
        match self {
            Self::Local => AnyStore::local(incarnation, agreement, ttl),
            Self::Etcd(cluster) => AnyStore::etcd(cluster, incarnation, agreement, ttl),
            Self::Peers(quorum) => AnyStore::peers(quorum, incarnation, agreement, ttl),
            Self::ZooKeeper(ensemble) => {
                AnyStore::ZooKeeper(Box::new(ZooKeeper::new(ensemble, incarnation, agreement, ttl)))
            }
        }
    }

    /// Who only looks at that pool.
    pub fn onlooker(self, incarnation: Incarnation, agreement: Agreement, ttl: Duration) -> AnyStore {
        match self {
            Self::Local => AnyStore::local(incarnation, agreement, ttl),
            Self::Etcd(cluster) => AnyStore::etcd(cluster, incarnation, agreement, ttl),
            Self::Peers(quorum) => AnyStore::peers(quorum, incarnation, agreement, ttl),
            // By a session that is kept nowhere: it is not the claim's.
            Self::ZooKeeper(ensemble) => {
                let zookeeper = ZooKeeper::keeping(None, ensemble, incarnation, agreement, ttl);
                AnyStore::ZooKeeper(Box::new(zookeeper))
            }
        }
    }
}

impl AnyStore {
    fn local(incarnation: Incarnation, agreement: Agreement, ttl: Duration) -> Self {
        let directory = Path::new(RUN_ROOT).join("local").join(agreement.pool());
        Self::Local(Box::new(Local::new(directory, incarnation, agreement, ttl)))
    }

    fn etcd(cluster: Cluster, incarnation: Incarnation, agreement: Agreement, ttl: Duration) -> Self {
        Self::Etcd(Box::new(Etcd::new(cluster, incarnation, agreement, ttl)))
    }

    fn peers(quorum: Quorum, incarnation: Incarnation, agreement: Agreement, ttl: Duration) -> Self {
        Self::Peers(Box::new(Peers::new(quorum, incarnation, agreement, ttl)))
    }
}

impl Store for AnyStore {
    fn renewals(&self) -> u32 {
        match self {
            Self::Local(store) => store.renewals(),
            Self::Etcd(store) => store.renewals(),
            Self::ZooKeeper(store) => store.renewals(),
            Self::Peers(store) => store.renewals(),
        }
    }

    fn rhythm(&self, ttl: Duration) -> Duration {
        match self {
            Self::Local(store) => store.rhythm(ttl),
            Self::Etcd(store) => store.rhythm(ttl),
            Self::ZooKeeper(store) => store.rhythm(ttl),
            Self::Peers(store) => store.rhythm(ttl),
        }
    }

    async fn claim(&mut self, progress: &Progress) -> Result<Grant, ClaimError> {
        match self {
            Self::Local(store) => store.claim(progress).await,
            Self::Etcd(store) => store.claim(progress).await,
            Self::ZooKeeper(store) => store.claim(progress).await,
            Self::Peers(store) => store.claim(progress).await,
        }
    }

    async fn renew(&mut self) -> Result<Lease, RenewError> {
        match self {
            Self::Local(store) => store.renew().await,
            Self::Etcd(store) => store.renew().await,
            Self::ZooKeeper(store) => store.renew().await,
            Self::Peers(store) => store.renew().await,
        }
    }

    async fn lost(&mut self) {
        match self {
            Self::Local(store) => store.lost().await,
            Self::Etcd(store) => store.lost().await,
            Self::ZooKeeper(store) => store.lost().await,
            Self::Peers(store) => store.lost().await,
        }
    }

    async fn resume(&mut self, inherited: Inherited) -> Result<Lease, RenewError> {
        match self {
            Self::Local(store) => store.resume(inherited).await,
            Self::Etcd(store) => store.resume(inherited).await,
            Self::ZooKeeper(store) => store.resume(inherited).await,
            Self::Peers(store) => store.resume(inherited).await,
        }
    }

    async fn release(&mut self) -> Result<(), Unreachable> {
        match self {
            Self::Local(store) => store.release().await,
            Self::Etcd(store) => store.release().await,
            Self::ZooKeeper(store) => store.release().await,
            Self::Peers(store) => store.release().await,
        }
    }
}

impl Directory for AnyStore {
    async fn names(&mut self) -> Result<Roll, Unreachable> {
        match self {
            Self::Local(store) => store.names().await,
            Self::Etcd(store) => store.names().await,
            Self::ZooKeeper(store) => store.names().await,
            Self::Peers(store) => store.names().await,
        }
    }
}
