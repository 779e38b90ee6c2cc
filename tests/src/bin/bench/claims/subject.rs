//! The stores, each one server alone.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::Result;
use nsid_tests::{etcd, netns::Namespace, zookeeper};
use nsid_user::store::{Agreement, Cluster, Directory, Ensemble, Etcd, Incarnation, Kind, Store, ZooKeeper};

/// A server that claimants ask.
pub(super) trait Subject {
    /// A claimant's side of it.
    type Claimant: Store + Directory + 'static;
    const KIND: Kind;

    /// One that serves, on loopback.
    fn start(namespace: &Namespace) -> Self;
    /// Where it is.
    fn endpoint(&self) -> String;
    /// The time that CPUs have worked for it.
    fn cpu_time(&self) -> Duration;
    fn claimant(&self, who: Incarnation, agreement: Agreement, ttl: Duration) -> Self::Claimant;

    /// What a claimant does before the clock runs.
    fn prepare(claimant: Self::Claimant) -> impl Future<Output = Result<Self::Claimant>> + Send;
}

impl Subject for etcd::Etcd {
    type Claimant = Etcd;
    const KIND: Kind = Kind::Etcd;

    fn start(namespace: &Namespace) -> Self {
        Self::start(namespace, Ipv4Addr::LOCALHOST.into())
    }

    fn endpoint(&self) -> String {
        self.endpoint().to_string()
    }

    fn cpu_time(&self) -> Duration {
        self.cpu_time()
    }

    fn claimant(&self, who: Incarnation, agreement: Agreement, ttl: Duration) -> Etcd {
        Etcd::new(Cluster::new(vec![Subject::endpoint(self)]), who, agreement, ttl)
    }

    /// Nothing: connecting is part of a claim.
    async fn prepare(claimant: Etcd) -> Result<Etcd> {
        Ok(claimant)
    }
}

impl Subject for zookeeper::ZooKeeper {
    type Claimant = ZooKeeper;
    const KIND: Kind = Kind::ZooKeeper;

    fn start(namespace: &Namespace) -> Self {
        Self::start(namespace, Ipv4Addr::LOCALHOST.into())
    }

    fn endpoint(&self) -> String {
        self.endpoint().to_string()
    }

    fn cpu_time(&self) -> Duration {
        self.cpu_time()
    }

    fn claimant(&self, who: Incarnation, agreement: Agreement, ttl: Duration) -> ZooKeeper {
        let endpoints = vec![Subject::endpoint(self)];
        let ensemble = Ensemble { endpoints, path: "/nsid".to_owned(), credentials: None, tls: None };
        ZooKeeper::new(ensemble, who, agreement, ttl)
    }

    /// Opens its session.
    async fn prepare(mut claimant: ZooKeeper) -> Result<ZooKeeper> {
        claimant.names().await?;
        Ok(claimant)
    }
}
