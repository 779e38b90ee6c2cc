//! All that takes part: a store of three members, name servers with agents that have their names from it, and what
//! watches them.

use std::{net::Ipv4Addr, ops::Range, path::PathBuf, time::Duration};

use super::{
    agents::Agents,
    cuts::{Cuts, away, both_ways, towards},
    fault::{Harm, Kind},
    members::{MEMBERS, Members, Software, Taken},
    plan::Fault,
    watch::{SILENCE, Seen, Watch},
};
use crate::{
    boot_clock,
    patience::until,
    pool::Pool,
    servers::{self, Server},
    star::{Node, Star},
    unique::Prefix,
    wire::INTERFACE,
};

/// How many names there are.
pub(super) const NAMES: u32 = 4;

/// How many agents: two wait in line.
pub(super) const AGENTS: usize = 6;

/// How long the store may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// In the order in which it is taken down. The members are at the first places of the star, the agents at the others.
#[derive(Debug)]
pub(super) struct Site {
    watch: Watch,
    agents: Agents,
    _servers: Vec<Server>,
    members: Members,
    cuts: Cuts,
    pool: Pool,
    star: Star,
}

/// Whom a fault has befallen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    Member(usize),
    Members,
    Agent(usize),
}

/// What has a fault be over.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Remedy {
    /// It is over by itself.
    None,
    /// Packets are lost no more.
    Connect,
    /// These are started with the data that they had.
    StartMembers(Range<usize>),
    ThawMembers(Range<usize>),
    ThawAgent(usize),
    /// Another one takes its place.
    ReplaceAgent(usize),
    /// It is started again as it was.
    RestartAgent(usize),
    FinishUpgrade(usize),
}

/// A fault that has begun.
#[derive(Clone, Debug)]
pub(super) struct Harmed {
    pub(super) fault: Fault,
    pub(super) whom: Whom,
    remedy: Remedy,
    /// The name that the agent had.
    pub(super) name: Option<String>,
    pub(super) began: Duration,
}

impl Site {
    /// Starts all of it, and waits for the store.
    pub(super) fn build(software: Software, binary: PathBuf, ttl: Duration) -> Self {
        let nodes = u8::try_from(MEMBERS + AGENTS).expect("a few nodes");
        let star = Star::new(Prefix::Test, nodes);
        let cuts = Cuts::none(&star.hub);
        let members = Members::start(software, &star, &binary, ttl);
        let places = &star.nodes[MEMBERS..];
        let serve =
            |node: &Node| Server::start_default(servers::Software::Nsd, &node.namespace, node.addresses);
        let servers = places.iter().map(serve).collect();
        let addresses: Vec<Ipv4Addr> = places.iter().map(|node| node.addresses.v4).collect();
        let watch = Watch::start(&star.hub, &addresses);
        until(PATIENCE, "a leader and its followers", || members.is_whole(&star.hub));
        let pool = Pool::new(Prefix::Test);
        let (limit, ttl) = (NAMES.to_string(), format!("{}ms", ttl.as_millis()));
        let arguments = [
            &["--verbose"][..],
            &["--iface", INTERFACE],
            &["--store", &members.address],
            &["--pattern", &pool.pattern()],
            &["--limit", &limit],
            &["--ttl", &ttl],
        ];
        let arguments = arguments.concat().into_iter().map(str::to_owned).collect();
        let agents = Agents::start(binary, arguments, places, &watch);
        Self { watch, agents, _servers: servers, members, cuts, pool, star }
    }

    /// The version of the store.
    pub(super) fn version(&self) -> String {
        self.members.version(&self.star.hub)
    }

    /// The names that nobody says now.
    pub(super) fn missing(&self) -> Vec<String> {
        let said: Vec<String> = self.said_now().into_iter().flatten().collect();
        (0..NAMES).map(|slot| self.pool.name(slot)).filter(|name| !said.contains(name)).collect()
    }

    /// Whether all members serve.
    pub(super) fn is_whole(&self) -> bool {
        self.members.is_whole(&self.star.hub)
    }

    /// Replaces the agents that have ended by themselves, which none should; what they wrote.
    pub(super) fn replace_ended(&mut self) -> Vec<String> {
        let ended = self.agents.ended();
        let replaced = ended.into_iter().map(|(node, log)| {
            self.agents.seat(node, &self.star.nodes[MEMBERS + node], &self.watch);
            log
        });
        replaced.collect()
    }

    /// Stops watching, and takes it all down.
    pub(super) fn end(self) -> Seen {
        self.watch.stop()
    }

    /// Has the fault happen, if there is somebody whom it can befall.
    pub(super) fn begin(&mut self, lane: usize, fault: Fault) -> Option<Harmed> {
        let whom = self.choose(fault)?;
        let name = match whom {
            Whom::Agent(node) => self.said_now().swap_remove(node),
            Whom::Member(_) | Whom::Members => None,
        };
        let slot = name.as_ref().and_then(|name| (0..NAMES).find(|slot| self.pool.name(*slot) == *name));
        let began = boot_clock::now();
        let hub = &self.star.hub;
        let remedy = match (fault.kind, whom) {
            (Kind::Leader(harm) | Kind::Follower(harm), Whom::Member(member)) => match harm {
                Harm::Killed => {
                    self.members.at(member).kill();
                    Remedy::StartMembers(member..member + 1)
                }
                Harm::Frozen => {
                    self.members.at(member).freeze();
                    Remedy::ThawMembers(member..member + 1)
                }
                Harm::CutOff | Harm::Deaf | Harm::Mute | Harm::Lossy => {
                    self.cut(lane, member, 0..MEMBERS + AGENTS, harm, fault.loss)
                }
            },
            (Kind::LeaderApart, Whom::Member(member)) => self.cut(lane, member, 0..MEMBERS, Harm::CutOff, 0),
            (Kind::LeaderMoved, Whom::Member(member)) => {
                let namespace = &self.star.nodes[member].namespace;
                self.members.at(member).step_down(hub, namespace)?;
                Remedy::None
            }
            (Kind::AllKilled, _) => {
                self.members.each().for_each(|member| member.kill());
                Remedy::StartMembers(0..MEMBERS)
            }
            (Kind::AllFrozen, _) => {
                self.members.each().for_each(|member| member.freeze());
                Remedy::ThawMembers(0..MEMBERS)
            }
            (Kind::Holder(harm) | Kind::Spare(harm), Whom::Agent(node)) => match harm {
                Harm::Killed => {
                    self.agents.kill(node);
                    Remedy::ReplaceAgent(node)
                }
                Harm::Frozen => {
                    self.agents.at(node).freeze();
                    Remedy::ThawAgent(node)
                }
                Harm::CutOff | Harm::Deaf | Harm::Mute | Harm::Lossy => {
                    self.cut(lane, MEMBERS + node, 0..MEMBERS, harm, fault.loss)
                }
            },
            (Kind::HolderCrashed, Whom::Agent(node)) => {
                self.agents.kill(node);
                Remedy::RestartAgent(node)
            }
            (Kind::HolderTerminated, Whom::Agent(node)) => {
                self.agents.tell_to_end(node);
                Remedy::ReplaceAgent(node)
            }
            (Kind::HolderUpgraded, Whom::Agent(node)) => {
                self.agents.upgrade(node, &self.star.nodes[MEMBERS + node]);
                Remedy::FinishUpgrade(node)
            }
            (Kind::LeaseRevoked, _) => {
                self.members.take_away(hub, &self.pool.pattern(), slot?, Taken::Lease)?;
                Remedy::None
            }
            (Kind::SlotDeleted, _) => {
                self.members.take_away(hub, &self.pool.pattern(), slot?, Taken::Slot)?;
                Remedy::None
            }
            (kind, whom) => unreachable!("{kind} is not chosen for {whom:?}"),
        };
        Some(Harmed { fault, whom, remedy, name, began })
    }

    /// Has it be over.
    pub(super) fn heal(&mut self, lane: usize, harmed: &Harmed) {
        let place = |node: usize| &self.star.nodes[MEMBERS + node];
        match harmed.remedy.clone() {
            Remedy::None => {}
            Remedy::Connect => self.cuts.set(&self.star.hub, lane, Vec::new()),
            Remedy::StartMembers(members) => {
                members.for_each(|member| self.members.at(member).start(&self.star.nodes[member].namespace));
            }
            Remedy::ThawMembers(members) => members.for_each(|member| self.members.at(member).thaw()),
            Remedy::ThawAgent(node) => self.agents.at(node).thaw(),
            Remedy::ReplaceAgent(node) => self.agents.seat(node, place(node), &self.watch),
            Remedy::RestartAgent(node) => self.agents.restart(node, place(node), &self.watch),
            Remedy::FinishUpgrade(node) => self.agents.finish_upgrade(node),
        }
    }

    /// Whom it is to befall.
    fn choose(&self, fault: Fault) -> Option<Whom> {
        let hub = &self.star.hub;
        match fault.kind {
            Kind::Leader(_) | Kind::LeaderApart | Kind::LeaderMoved => {
                Some(Whom::Member(self.members.leader(hub)?))
            }
            Kind::Follower(_) => {
                let leader = self.members.leader(hub)?;
                Some(Whom::Member((leader + 1 + fault.pick % (MEMBERS - 1)) % MEMBERS))
            }
            Kind::AllKilled | Kind::AllFrozen => Some(Whom::Members),
            Kind::Spare(_) => self.pick(fault.pick, Option::is_none),
            Kind::Holder(_)
            | Kind::HolderCrashed
            | Kind::HolderTerminated
            | Kind::HolderUpgraded
            | Kind::LeaseRevoked
            | Kind::SlotDeleted => self.pick(fault.pick, Option::is_some),
        }
    }

    fn pick(&self, pick: usize, fits: impl Fn(&Option<String>) -> bool) -> Option<Whom> {
        let said = self.said_now();
        let fit: Vec<usize> =
            (0..AGENTS).filter(|&node| self.agents.runs(node) && fits(&said[node])).collect();
        Some(Whom::Agent(*fit.get(pick % fit.len().max(1))?))
    }

    /// What each node says now.
    fn said_now(&self) -> Vec<Option<String>> {
        let now = boot_clock::now();
        let latest = self.watch.latest().into_iter();
        latest.map(|latest| latest.name.filter(|_| latest.at + SILENCE >= now)).collect()
    }

    /// Between one place of the star and others.
    fn cut(&mut self, lane: usize, place: usize, others: Range<usize>, harm: Harm, loss: usize) -> Remedy {
        let address = |place: usize| self.star.nodes[place].addresses.v4;
        let others: Vec<Ipv4Addr> = others.filter(|other| *other != place).map(address).collect();
        let place = address(place);
        let cuts = match harm {
            Harm::Deaf => towards(place, &others, 0),
            Harm::Mute => away(place, &others, 0),
            Harm::Lossy => both_ways(place, &others, 100 - loss),
            Harm::CutOff | Harm::Killed | Harm::Frozen => both_ways(place, &others, 0),
        };
        self.cuts.set(&self.star.hub, lane, cuts);
        Remedy::Connect
    }
}
