//! A store of three members, each at a node of a star: real processes, of which one leads.

mod etcd;
mod peers;
mod zookeeper;

use std::{
    fmt,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use clap::ValueEnum;

use super::fault::Kind;
use crate::{netns::Namespace, star::Star};

/// How many there are.
pub(super) const MEMBERS: usize = 3;

/// How long a member may take to say whether it leads.
const SOON: Duration = Duration::from_millis(300);

/// Which store, in the words of the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Software {
    /// etcd, of Debian's package `etcd-server`.
    #[default]
    Etcd,
    /// ZooKeeper, of Debian's package `libzookeeper-java`.
    #[value(name = "zk")]
    ZooKeeper,
    /// None: some of the nodes are witnesses.
    Peers,
}

/// What a member is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Leader,
    /// And knows a leader.
    Follower,
}

/// What is taken away from who has a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// All that its holder has in the store.
    Lease,
    /// The slot.
    Slot,
}

/// One of them; killed on Drop, its data with it. What it is asked is asked from the hub.
pub(super) trait Member: fmt::Debug {
    /// Starts it on the data it had, and does not wait; the old one is killed, if it still runs.
    fn start(&mut self, namespace: &Namespace);
    /// `SIGKILL`.
    fn kill(&mut self);
    /// `SIGSTOP`.
    fn freeze(&self);
    /// `SIGCONT`.
    fn thaw(&self);
    /// By its own word; nothing if it does not serve.
    fn role(&self, hub: &Namespace) -> Option<Role>;
    /// Has another one lead than this one, which runs in that namespace; nothing if that was not done.
    fn step_down(&mut self, hub: &Namespace, namespace: &Namespace) -> Option<()>;
    /// Takes it away from who has the slot of a pool; nothing if that was not done.
    fn take_away(&self, hub: &Namespace, pool: &str, slot: u32, what: Taken) -> Option<()>;
    /// The version of the program.
    fn version(&self, hub: &Namespace) -> Option<String>;
}

/// All of them.
#[derive(Debug)]
pub(super) struct Members {
    members: Vec<Box<dyn Member>>,
    /// For `--store`.
    pub(super) address: String,
}

impl Members {
    /// Starts one at each of the first nodes; of ZooKeeper alone, it waits until they serve. Leases are of `ttl`; a witness is
    /// an agent, `binary`.
    pub(super) fn start(software: Software, star: &Star, binary: &Path, ttl: Duration) -> Self {
        let nodes = &star.nodes[..MEMBERS];
        let addresses: Vec<Ipv4Addr> = nodes.iter().map(|node| node.addresses.v4).collect();
        let hosts: Vec<String> = addresses.iter().map(Ipv4Addr::to_string).collect();
        let address = format!("{}://{}", software.argument(), hosts.join(","));
        let members = match software {
            Software::Etcd => etcd::start(nodes),
            Software::ZooKeeper => zookeeper::start(nodes, ttl),
            Software::Peers => peers::start(nodes, &address, binary, ttl),
        };
        Self { members, address }
    }

    /// One of them.
    pub(super) fn at(&mut self, index: usize) -> &mut dyn Member {
        &mut *self.members[index]
    }

    /// Each of them.
    pub(super) fn each(&mut self) -> impl Iterator<Item = &mut Box<dyn Member>> {
        self.members.iter_mut()
    }

    /// Which of them leads.
    pub(super) fn leader(&self, hub: &Namespace) -> Option<usize> {
        self.members.iter().position(|member| member.role(hub) == Some(Role::Leader))
    }

    /// Whether one leads and all others follow.
    pub(super) fn is_whole(&self, hub: &Namespace) -> bool {
        let roles: Vec<_> = self.members.iter().filter_map(|member| member.role(hub)).collect();
        roles.len() == MEMBERS && roles.iter().filter(|role| **role == Role::Leader).count() == 1
    }

    /// Takes it away from who has the slot; nothing if that was not done.
    pub(super) fn take_away(&self, hub: &Namespace, pool: &str, slot: u32, what: Taken) -> Option<()> {
        // One that is frozen takes a connection all the same.
        let serving = self.members.iter().find(|member| member.role(hub).is_some());
        serving?.take_away(hub, pool, slot, what)
    }

    /// The version of the program.
    pub(super) fn version(&self, hub: &Namespace) -> String {
        let version = self.members.iter().find_map(|member| member.version(hub));
        version.unwrap_or_else(|| "of an unknown version".to_owned())
    }
}

impl Software {
    /// The kinds of fault that can befall it.
    pub fn kinds(self) -> Vec<Kind> {
        Kind::all().filter(|kind| self != Self::Peers || kind.is_of_peers()).collect()
    }

    /// What the command line calls it.
    pub(super) fn argument(self) -> String {
        self.to_possible_value().expect("none is left out").get_name().to_owned()
    }
}

impl fmt::Display for Software {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Etcd => "etcd",
            Self::ZooKeeper => "ZooKeeper",
            Self::Peers => "peers",
        })
    }
}

/// Says something to a port of a member, and returns all that it answers before it hangs up.
fn converse(hub: &Namespace, endpoint: SocketAddr, request: &str) -> Option<String> {
    let conversation = || {
        let mut stream = TcpStream::connect_timeout(&endpoint, SOON)?;
        stream.set_read_timeout(Some(SOON))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    hub.enter(conversation).ok()
}
