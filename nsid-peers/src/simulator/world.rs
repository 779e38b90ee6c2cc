//! A run: hosts, their network, and what happens in which order. All of it follows from the seed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;

use super::clock::{Clock, SECOND};
use super::host::{Host, Settings};
use super::names::Names;
use super::network::Network;
use crate::{Id, List, Message, Outgoing, Rules};

/// What a run is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) rules: Rules,
    pub(super) hosts: usize,
    pub(super) witnesses: usize,
    pub(super) lease: Duration,
    pub(super) limit: u32,
    pub(super) expected: u32,
}

pub(super) struct World {
    pub(super) now: u64,
    pub(super) random: Rng,
    pub(super) hosts: Vec<Host>,
    pub(super) network: Network,
    pub(super) names: Names,
    pub(super) settings: Settings,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: HashMap<u64, Happening>,
    count: u64,
    /// When each host is woken next.
    wakes: Vec<u64>,
    /// Bytes and datagrams that were sent.
    pub(super) sent: (u64, u64),
    weighs: bool,
}

/// What happens.
enum Happening {
    Arrives { from: usize, to: usize, message: Rc<Message> },
    Wakes { host: usize },
}

impl World {
    pub(super) fn new(plan: Plan, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let list = List::new((0..plan.witnesses).map(address).collect()).expect("1, 3 or 5");
        let mut hosts = Vec::new();
        for index in 0..plan.hosts {
            let booted = -(random.i64(100..1000) * SECOND.cast_signed());
            let mut clock = Clock::new(booted, random.i64(-10_000..=10_000));
            clock.wall = random.i64(-500_000..500_000);
            let (node, nonce) = (id(&mut random), id(&mut random));
            hosts.push(Host::new(index, address(index), clock, node, nonce));
        }
        let settings = Settings {
            rules: plan.rules,
            list,
            lease: plan.lease,
            limit: plan.limit,
            expected: plan.expected,
        };
        Self {
            now: 0,
            random,
            network: Network::new(plan.hosts),
            hosts,
            names: Names::default(),
            settings,
            queue: BinaryHeap::new(),
            happenings: HashMap::new(),
            count: 0,
            wakes: vec![u64::MAX; plan.hosts],
            sent: (0, 0),
            weighs: false,
        }
    }

    /// Counts bytes from now on.
    pub(super) fn weigh(&mut self) {
        (self.sent, self.weighs) = ((0, 0), true);
    }

    pub(super) fn start(&mut self, host: usize) {
        let epoch = self.random.u64(..);
        self.hosts[host].start(self.now, &self.settings, epoch, None);
        self.act(host);
    }

    /// Has the agent's process, which runs, be followed by another one.
    pub(super) fn upgrade(&mut self, host: usize) {
        let epoch = self.random.u64(..);
        let inherited = self.names.inheritance(host).filter(|(_, until)| *until > self.now);
        self.hosts[host].start(self.now, &self.settings, epoch, inherited);
        self.act(host);
    }

    pub(super) fn kill(&mut self, host: usize) {
        self.hosts[host].agent = None;
    }

    pub(super) fn reboot(&mut self, host: usize) {
        let nonce = id(&mut self.random);
        self.hosts[host].reboot(self.now, nonce, &mut self.names);
    }

    pub(super) fn stop(&mut self, host: usize) {
        let now = self.now;
        self.hosts[host].stop(now, &mut self.names);
        self.act(host);
    }

    /// The process stands still for so long; its name is said on.
    pub(super) fn freeze(&mut self, host: usize, time: u64) {
        self.hosts[host].frozen_until = self.now + time;
        self.wake_at(host, self.now + time + 1);
    }

    /// Has everything happen until that point.
    pub(super) fn run_until(&mut self, end: u64) {
        while let Some(Reverse((at, number))) = self.queue.peek().copied() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now = at;
            match self.happenings.remove(&number) {
                Some(Happening::Arrives { from, to, message }) => self.arrive(from, to, &message),
                Some(Happening::Wakes { host }) if self.wakes[host] == at => self.act(host),
                Some(Happening::Wakes { .. }) | None => {}
            }
        }
        self.now = end;
    }

    /// Has everything happen until all hosts say a name, and tells when that was; nothing if it was not until then.
    pub(super) fn run_until_named(&mut self, end: u64) -> Option<u64> {
        while self.now < end {
            if self.nameless().is_empty() {
                return Some(self.now);
            }
            self.run_until(self.now + SECOND / 100);
        }
        None
    }

    /// The hosts that are up and say no name.
    pub(super) fn nameless(&self) -> Vec<usize> {
        let nameless = |host: &&Host| host.agent.is_some() && self.names.of(self.now, host.index).is_none();
        self.hosts.iter().filter(nameless).map(|host| host.index).collect()
    }

    /// The names that are said, in order.
    pub(super) fn slots(&self) -> Vec<u32> {
        let mut slots: Vec<u32> =
            (0..self.hosts.len()).filter_map(|host| self.names.of(self.now, host)).collect();
        slots.sort_unstable();
        slots
    }

    fn arrive(&mut self, from: usize, to: usize, message: &Rc<Message>) {
        let frozen_until = self.hosts[to].frozen_until;
        if frozen_until > self.now {
            // The socket keeps it.
            let message = Rc::clone(message);
            self.happens(frozen_until, Happening::Arrives { from, to, message });
            return;
        }
        let mut out = Vec::new();
        let sender = self.hosts[from].address;
        self.hosts[to].receive(self.now, (sender, message), &self.settings, &mut out);
        self.send(to, out);
        self.act(to);
    }

    fn act(&mut self, host: usize) {
        if self.hosts[host].frozen_until > self.now {
            // After what has come meanwhile.
            self.wake_at(host, self.hosts[host].frozen_until + 1);
            return;
        }
        let mut out = Vec::new();
        self.hosts[host].act(self.now, &self.settings, &mut self.names, &mut out);
        self.send(host, out);
        if self.hosts[host].frozen_until > self.now {
            return;
        }
        if let Some(wake) = self.hosts[host].wake(self.now) {
            self.wake_at(host, wake.max(self.now + 1));
        }
    }

    fn wake_at(&mut self, host: usize, at: u64) {
        self.wakes[host] = at;
        self.happens(at, Happening::Wakes { host });
    }

    fn send(&mut self, from: usize, out: Vec<Outgoing>) {
        let freeze = self.hosts[from].freezes_when_asking;
        if freeze > 0 && out.iter().any(|outgoing| matches!(outgoing.message, Message::Request(_))) {
            self.hosts[from].freezes_when_asking = 0;
            self.freeze(from, freeze);
        }
        for Outgoing { to, message } in out {
            if self.weighs {
                let bytes = message.encode().expect("bounded").len();
                self.sent = (self.sent.0 + bytes as u64, self.sent.1 + 1);
            }
            let to = index(to);
            let message = Rc::new(message);
            for at in self.network.carry(self.now, from, to, &mut self.random) {
                self.happens(at, Happening::Arrives { from, to, message: Rc::clone(&message) });
            }
        }
    }

    fn happens(&mut self, at: u64, happening: Happening) {
        self.count += 1;
        self.happenings.insert(self.count, happening);
        self.queue.push(Reverse((at, self.count)));
    }
}

fn address(index: usize) -> SocketAddr {
    let [.., high, low] = index.to_be_bytes();
    SocketAddr::from(([10, 0, high, low], 7400))
}

fn index(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(address) => {
            let [.., high, low] = address.ip().octets();
            usize::from(u16::from_be_bytes([high, low]))
        }
        SocketAddr::V6(_) => unreachable!("no host has one"),
    }
}

pub(super) fn id(random: &mut Rng) -> Id {
    Id(random.u128(..).to_be_bytes())
}
