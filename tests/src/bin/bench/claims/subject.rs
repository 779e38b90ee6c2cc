//! The stores, each one server alone, and the witnesses of `peers`.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Result;
use nsid_tests::{agent::Agent, etcd, netns::Namespace, pool::Pool, process::run, unique::Prefix, zookeeper};
use nsid_user::store::{
    Agreement, Cluster, ClusterKey, Directory, Ensemble, Etcd, Incarnation, Kind, Peers, Quorum, Store,
    ZooKeeper, peers::List,
};

use super::{row::TTL, site::LONG};

/// A server that claimants ask.
pub(super) trait Subject {
    /// A claimant's side of it.
    type Claimant: Store + Directory + 'static;
    const KIND: Kind;
    /// How long the claims of a crowd last: so long that none is renewed, which is work for the store.
    const CROWDS: Duration = LONG;

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

/// An agent that is all three witnesses of a list, in one thread.
pub(super) struct Witnesses {
    agent: Agent,
    quorum: Quorum,
}

impl Subject for Witnesses {
    type Claimant = Peers;
    const KIND: Kind = Kind::Peers;
    /// As they do by default: of a grant that it missed, a witness hears when that is renewed.
    const CROWDS: Duration = TTL;

    fn start(namespace: &Namespace) -> Self {
        let witnesses = (1..=3).map(|host| SocketAddr::from(([127, 0, 0, host], 7400))).collect();
        let list = List::new(witnesses).expect("three of one family");
        let directory = namespace.scratch();
        let key = directory.path().join("cluster.key");
        fs::write(&key, "5a".repeat(32)).expect("room for a key");
        let key_file = key.to_str().expect("a path in UTF-8");
        let (store, pattern) = (format!("peers://{list}"), Pool::new(Prefix::Test).pattern());
        let own = ["--iface", "lo", "--ingress", "tc", "--listen", "127.0.0.1:53"];
        let shared = ["--store", &store, "--cluster-key-file", key_file, "--pattern", &pattern];
        let agent = Agent::start(namespace, &[&own[..], &shared].concat());
        spread(namespace);
        let key = Some(ClusterKey::load(&key).expect("a key of 32 bytes"));
        Self { agent, quorum: Quorum { list, key, expected: 0 } }
    }

    fn endpoint(&self) -> String {
        self.quorum.list.to_string()
    }

    fn cpu_time(&self) -> Duration {
        self.agent.cpu_time()
    }

    fn claimant(&self, who: Incarnation, agreement: Agreement, ttl: Duration) -> Peers {
        Peers::new(self.quorum.clone(), who, agreement, ttl)
    }

    /// Nothing: there is no connection.
    async fn prepare(claimant: Peers) -> Result<Peers> {
        Ok(claimant)
    }
}

/// Has claimants send from many addresses, as nodes do: of one, a witness takes no more than of some hundred nodes.
fn spread(namespace: &Namespace) {
    let addresses: Vec<String> = (0..250).map(|host| format!("{host} : 127.1.0.{host}")).collect();
    let snat = format!("snat to jhash udp sport mod 250 map {{ {} }}", addresses.join(", "));
    let rules = format!(
        "add table ip spread
         add chain ip spread out {{ type nat hook postrouting priority 100; }}
         add rule ip spread out udp dport 7400 {snat}"
    );
    run(namespace.command("nft").arg(rules));
}
