//! Nodes that have their names from one pool: each agent is given the same configuration.

use std::{path::PathBuf, process::Command, time::Duration};

use crate::{
    agent::{Agent, Instance, binary, run_command},
    client::Client,
    etcd::Etcd,
    patience::until,
    pool::Pool,
    prober::{PERIOD, Prober},
    servers::{Server, Software},
    star::{Node, Star},
    unique::Prefix,
    wire::INTERFACE,
    witness::Witness,
    zookeeper::ZooKeeper,
};

/// Where the pool is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// In a directory of this host.
    Local,
    /// In an etcd of its own, in the hub.
    Etcd,
    /// In a ZooKeeper of its own, in the hub.
    ZooKeeper,
    /// Among the nodes themselves: the first three are witnesses, or the first one if there are not as many.
    Peers,
    /// Among three witnesses at nodes of their own, behind all others.
    Witnesses,
}

impl Store {
    /// How many of its nodes have to be there for a name to be had.
    pub fn founders(self) -> u8 {
        if self == Self::Peers { WITNESSES } else { 1 }
    }
}

/// How many there are, unless there are fewer nodes.
const WITNESSES: u8 = 3;

/// How long witnesses at nodes of their own grant a name for, at most.
const LEASE: Duration = Duration::from_secs(5);

/// How long they may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// A pool, and the namespaces of its nodes, in which agents are started one by one. Agents must be dropped before it.
#[derive(Debug)]
pub struct Cluster {
    /// What is started as the agent.
    pub binary: PathBuf,
    _servers: Vec<Server>,
    etcd: Option<Etcd>,
    zookeeper: Option<ZooKeeper>,
    witnesses: Vec<Witness>,
    /// For `--store`, where the store is no server.
    serverless: String,
    /// The names.
    pub pool: Pool,
    /// The namespaces.
    pub star: Star,
}

impl Cluster {
    /// With so many nodes, at which no DNS server runs: the kernel answers for `id.server.` alone.
    pub fn new(store: Store, nodes: u8) -> Self {
        let beside = if store == Store::Witnesses { WITNESSES } else { 0 };
        let star = Star::new(Prefix::Test, nodes + beside);
        let (own, beside) = star.nodes.split_at(nodes.into());
        let serverless = match store {
            Store::Peers if nodes < WITNESSES => among_peers(&star, &own[..1]),
            Store::Peers => among_peers(&star, &own[..WITNESSES.into()]),
            Store::Witnesses => among_peers(&star, beside),
            Store::Local | Store::Etcd | Store::ZooKeeper => "local".to_owned(),
        };
        let witnesses = Witness::start_at(beside, &serverless, &binary(), LEASE);
        until(PATIENCE, "the witnesses to grant names", || witnesses.iter().all(Witness::serves));
        let address = star.addresses.v4.into();
        let etcd = (store == Store::Etcd).then(|| Etcd::start(&star.hub, address));
        let zookeeper = (store == Store::ZooKeeper).then(|| ZooKeeper::start(&star.hub, address));
        Self {
            binary: binary(),
            _servers: Vec::new(),
            etcd,
            zookeeper,
            witnesses,
            serverless,
            pool: Pool::new(Prefix::Test),
            star,
        }
    }

    /// With so many nodes, at each of which NSD runs.
    pub fn with_servers(store: Store, nodes: u8) -> Self {
        let cluster = Self::new(store, nodes);
        let start = |node: &Node| Server::start_default(Software::Nsd, &node.namespace, node.addresses);
        let servers = cluster.star.nodes[..nodes.into()].iter().map(start).collect();
        Self { _servers: servers, ..cluster }
    }

    /// Its etcd.
    pub fn etcd(&self) -> &Etcd {
        self.etcd.as_ref().expect("the pool is in etcd")
    }

    /// Its ZooKeeper.
    pub fn zookeeper(&self) -> &ZooKeeper {
        self.zookeeper.as_ref().expect("the pool is in ZooKeeper")
    }

    /// `SIGKILL` to all that the store is.
    pub fn kill_store(&mut self) {
        match (&mut self.etcd, &mut self.zookeeper) {
            (Some(etcd), _) => etcd.kill(),
            (None, Some(zookeeper)) => zookeeper.kill(),
            (None, None) => self.witnesses.iter_mut().for_each(Witness::kill),
        }
    }

    /// Starts it again, with the data it had: witnesses have none.
    pub fn restart_store(&mut self) {
        match (&mut self.etcd, &mut self.zookeeper) {
            (Some(etcd), _) => etcd.restart(&self.star.hub),
            (None, Some(zookeeper)) => zookeeper.restart(&self.star.hub),
            (None, None) => {
                let first = self.star.nodes.len() - self.witnesses.len();
                let nodes = &self.star.nodes[first..];
                self.witnesses
                    .iter_mut()
                    .zip(nodes)
                    .for_each(|(witness, node)| witness.start(&node.namespace));
            }
        }
    }

    /// `SIGSTOP` to all that the store is.
    pub fn freeze_store(&self) {
        match (&self.etcd, &self.zookeeper) {
            (Some(etcd), _) => etcd.freeze(),
            (None, Some(zookeeper)) => zookeeper.freeze(),
            (None, None) => self.witnesses.iter().for_each(Witness::freeze),
        }
    }

    /// `SIGCONT`.
    pub fn thaw_store(&self) {
        match (&self.etcd, &self.zookeeper) {
            (Some(etcd), _) => etcd.thaw(),
            (None, Some(zookeeper)) => zookeeper.thaw(),
            (None, None) => self.witnesses.iter().for_each(Witness::thaw),
        }
    }

    /// For `--store`.
    pub fn store(&self) -> String {
        self.store_as("")
    }

    /// For `--store`, as somebody (`USER@`; nothing: as nobody).
    fn store_as(&self, user_at: &str) -> String {
        match (&self.etcd, &self.zookeeper) {
            (Some(etcd), _) => format!("etcd://{user_at}{}", etcd.endpoint()),
            (None, Some(zookeeper)) => format!("zk://{user_at}{}", zookeeper.endpoint()),
            (None, None) => self.serverless.clone(),
        }
    }

    /// The keys below `/nsid/` in etcd that contain `part`, counted.
    pub fn count_keys(&self, part: &str) -> usize {
        let keys = self.etcd().ctl(&self.star.hub, &["get", "--prefix", "--keys-only", "/nsid/"]);
        keys.expect("etcd answers").lines().filter(|key| key.contains(part)).count()
    }

    /// Starts an agent at a node, and does not wait; what it is told beside store, pattern and interface are
    /// `arguments`.
    pub fn spawn(&self, node: usize, arguments: &[&str]) -> Agent {
        self.spawn_as(Instance::new(Prefix::Test), node, arguments)
    }

    /// Starts it as this instance.
    pub fn spawn_as(&self, instance: Instance, node: usize, arguments: &[&str]) -> Agent {
        let command = self.command(&instance, node, "", arguments);
        Agent::spawn_command(instance, &self.star.nodes[node].namespace, command)
    }

    /// Starts an agent at the first node as somebody (`USER@`; nothing: as nobody) with a password in the environment.
    pub fn spawn_as_user(&self, user_at: &str, password: Option<&str>) -> Agent {
        let instance = Instance::new(Prefix::Test);
        let mut command = self.command(&instance, 0, user_at, &["--verbose"]);
        let variable = if self.etcd.is_some() { "NSID_ETCD_PASSWORD" } else { "NSID_ZOOKEEPER_PASSWORD" };
        command.envs(password.map(|password| (variable, password)));
        Agent::spawn_command(instance, &self.star.nodes[0].namespace, command)
    }

    fn command(&self, instance: &Instance, node: usize, user_at: &str, arguments: &[&str]) -> Command {
        let store = self.store_as(user_at);
        let pattern = self.pool.pattern();
        let common = ["--iface", INTERFACE, "--store", &store, "--pattern", &pattern];
        let namespace = &self.star.nodes[node].namespace;
        run_command(&self.binary, instance, namespace, &[&common[..], arguments].concat())
    }

    /// A client of a node.
    pub fn client(&self, node: usize) -> Client {
        Client::new(&self.star.hub, self.star.nodes[node].addresses.v4.into())
    }

    /// A prober of a node.
    pub fn prober(&self, node: usize) -> Prober {
        self.prober_every(PERIOD, node)
    }

    /// A prober of a node that asks that often.
    pub fn prober_every(&self, period: Duration, node: usize) -> Prober {
        Prober::start_every(period, &self.star.hub, self.star.nodes[node].addresses.v4.into())
    }
}

/// The store of nodes that reach each other through the hub; these are witnesses.
fn among_peers(star: &Star, witnesses: &[Node]) -> String {
    star.hub.sysctl("net/ipv4/ip_forward", "1");
    let addresses = witnesses.iter().map(|node| node.addresses.v4.to_string());
    format!("peers://{}", addresses.collect::<Vec<_>>().join(","))
}
