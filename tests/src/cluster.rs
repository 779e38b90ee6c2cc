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

const NOBODY: &str = "no server and no witness of its own keeps the pool";

/// A pool, and the namespaces of its nodes, in which agents are started one by one. Agents must be dropped before it.
#[derive(Debug)]
pub struct Cluster {
    /// What is started as the agent.
    pub binary: PathBuf,
    _servers: Vec<Server>,
    keeper: Keeper,
    /// The names.
    pub pool: Pool,
    /// The namespaces.
    pub star: Star,
}

/// Who keeps the pool.
#[derive(Debug)]
enum Keeper {
    /// This host.
    Local,
    Etcd(Etcd),
    ZooKeeper(ZooKeeper),
    /// The nodes whose agents are the witnesses of that list.
    Peers(String),
    /// The same of a list of others.
    Witnesses(String, Vec<Witness>),
}

impl Cluster {
    /// With so many nodes, at which no DNS server runs: the kernel answers for `id.server.` alone.
    pub fn new(store: Store, nodes: u8) -> Self {
        let beside = if store == Store::Witnesses { WITNESSES } else { 0 };
        let star = Star::new(Prefix::Test, nodes + beside);
        let (own, beside) = star.nodes.split_at(nodes.into());
        let address = star.addresses.v4.into();
        let keeper = match store {
            Store::Local => Keeper::Local,
            Store::Etcd => Keeper::Etcd(Etcd::start(&star.hub, address)),
            Store::ZooKeeper => Keeper::ZooKeeper(ZooKeeper::start(&star.hub, address)),
            Store::Peers => {
                let witnesses = if nodes < WITNESSES { 1 } else { WITNESSES };
                Keeper::Peers(let_reach_each_other(&star, &own[..witnesses.into()]))
            }
            Store::Witnesses => {
                let list = let_reach_each_other(&star, beside);
                let witnesses = Witness::start_at(beside, &format!("peers://{list}"), &binary(), LEASE);
                until(PATIENCE, "the witnesses to grant names", || witnesses.iter().all(Witness::serves));
                Keeper::Witnesses(list, witnesses)
            }
        };
        Self { binary: binary(), _servers: Vec::new(), keeper, pool: Pool::new(Prefix::Test), star }
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
        let Keeper::Etcd(etcd) = &self.keeper else { panic!("the pool is not in etcd") };
        etcd
    }

    /// Its ZooKeeper.
    pub fn zookeeper(&self) -> &ZooKeeper {
        let Keeper::ZooKeeper(zookeeper) = &self.keeper else { panic!("the pool is not in ZooKeeper") };
        zookeeper
    }

    /// `SIGKILL` to all that the store is.
    pub fn kill_store(&mut self) {
        match &mut self.keeper {
            Keeper::Etcd(etcd) => etcd.kill(),
            Keeper::ZooKeeper(zookeeper) => zookeeper.kill(),
            Keeper::Witnesses(_, witnesses) => witnesses.iter_mut().for_each(Witness::kill),
            Keeper::Local | Keeper::Peers(_) => panic!("{NOBODY}"),
        }
    }

    /// Starts it again, with the data it had: witnesses have none.
    pub fn restart_store(&mut self) {
        match &mut self.keeper {
            Keeper::Etcd(etcd) => etcd.restart(&self.star.hub),
            Keeper::ZooKeeper(zookeeper) => zookeeper.restart(&self.star.hub),
            Keeper::Witnesses(_, witnesses) => {
                let first = self.star.nodes.len() - witnesses.len();
                for (witness, node) in witnesses.iter_mut().zip(&self.star.nodes[first..]) {
                    witness.start(&node.namespace);
                }
            }
            Keeper::Local | Keeper::Peers(_) => panic!("{NOBODY}"),
        }
    }

    /// `SIGSTOP` to all that the store is.
    pub fn freeze_store(&self) {
        match &self.keeper {
            Keeper::Etcd(etcd) => etcd.freeze(),
            Keeper::ZooKeeper(zookeeper) => zookeeper.freeze(),
            Keeper::Witnesses(_, witnesses) => witnesses.iter().for_each(Witness::freeze),
            Keeper::Local | Keeper::Peers(_) => panic!("{NOBODY}"),
        }
    }

    /// `SIGCONT`.
    pub fn thaw_store(&self) {
        match &self.keeper {
            Keeper::Etcd(etcd) => etcd.thaw(),
            Keeper::ZooKeeper(zookeeper) => zookeeper.thaw(),
            Keeper::Witnesses(_, witnesses) => witnesses.iter().for_each(Witness::thaw),
            Keeper::Local | Keeper::Peers(_) => panic!("{NOBODY}"),
        }
    }

    /// For `--store`.
    pub fn store(&self) -> String {
        self.store_as("")
    }

    /// For `--store`, as somebody (`USER@`; nothing: as nobody).
    fn store_as(&self, user_at: &str) -> String {
        match &self.keeper {
            Keeper::Local => "local".to_owned(),
            Keeper::Etcd(etcd) => format!("etcd://{user_at}{}", etcd.endpoint()),
            Keeper::ZooKeeper(zookeeper) => format!("zk://{user_at}{}", zookeeper.endpoint()),
            Keeper::Peers(list) | Keeper::Witnesses(list, _) => format!("peers://{list}"),
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
        let variable = match self.keeper {
            Keeper::ZooKeeper(_) => "NSID_ZOOKEEPER_PASSWORD",
            _ => "NSID_ETCD_PASSWORD",
        };
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

/// Has the hub forward between nodes, and lists these, which are witnesses.
fn let_reach_each_other(star: &Star, witnesses: &[Node]) -> String {
    star.hub.sysctl("net/ipv4/ip_forward", "1");
    let addresses = witnesses.iter().map(|node| node.addresses.v4.to_string());
    addresses.collect::<Vec<_>>().join(",")
}
