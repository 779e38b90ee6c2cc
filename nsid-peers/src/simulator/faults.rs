//! Clusters to which everything happens that can: of each seed another one.

use std::thread;
use std::time::Duration;

use fastrand::Rng;

use super::clock::SECOND;
use super::names::seconds;
use super::world::{Plan, World};
use crate::Rules;
use crate::rules::Mutant;

/// How many seeds are run each time.
const SEEDS: u64 = 200;

/// What can happen to a host or to the network.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The agent is killed, and started again later.
    Kill,
    /// The agent is stopped in order, and started again later.
    Stop,
    /// The agent's process is followed by another one, which goes on with its name.
    Upgrade,
    /// The host is, and comes back with another nonce and without any state.
    Reboot,
    /// Another host that was up for long takes its place.
    Replace,
    /// The process stands still, for up to three leases.
    Freeze,
    /// It does, between a request and its answers.
    FreezeWhenAsking,
    /// All witnesses are killed, and started again at once.
    KillWitnesses,
    /// From some hosts nothing comes to some others.
    CutOneWay,
    /// Some hosts and the others do not reach each other.
    CutBothWays,
    /// All reach all again.
    Mend,
    /// The host's wall clock is set.
    SetClock,
    /// The network loses more, or less.
    Weather,
}

const FAULTS: [Fault; 19] = [
    Fault::Kill,
    Fault::Kill,
    Fault::Stop,
    Fault::Stop,
    Fault::Upgrade,
    Fault::Upgrade,
    Fault::Reboot,
    Fault::Reboot,
    Fault::Replace,
    Fault::Freeze,
    Fault::FreezeWhenAsking,
    Fault::FreezeWhenAsking,
    Fault::KillWitnesses,
    Fault::CutOneWay,
    Fault::CutBothWays,
    Fault::Mend,
    Fault::Mend,
    Fault::SetClock,
    Fault::Weather,
];

/// How long after it has healed a cluster needs until all have a name.
struct Healed {
    needed: u64,
    allowed: u64,
}

struct Trial {
    world: World,
    plan: Plan,
    lease: u64,
    log: Vec<String>,
    /// Hosts that are started, and when.
    starts: Vec<(u64, usize)>,
    /// A witness's host was replaced last then.
    replaced: u64,
    clock_was_set: bool,
}

impl Trial {
    fn new(rules: Rules, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let hosts = match seed % 50 {
            49 => random.usize(300..=1000),
            25 => random.usize(60..=150),
            _ => random.usize(5..=25),
        };
        let lease = random.u64(2..=10);
        let plan = Plan {
            rules,
            hosts,
            witnesses: [1, 3, 3, 3, 5][random.usize(..5)],
            lease: Duration::from_secs(lease),
            limit: if random.u8(..4) == 0 { u32::try_from(hosts / 2).unwrap() } else { 5000 },
            expected: if random.u8(..4) == 0 { u32::try_from(hosts).unwrap() } else { 0 },
        };
        let mut world = World::new(plan, seed ^ 0x5eed);
        for host in 1..hosts {
            if random.u8(..10) == 0 {
                world.hosts[host].node = world.hosts[host - 1].node;
            }
        }
        world.random = random;
        let log = vec![format!("{plan:?}")];
        let (starts, lease) = (Vec::new(), lease * SECOND);
        Self { world, plan, lease, log, starts, replaced: 0, clock_was_set: false }
    }

    fn run(&mut self) -> Result<Healed, String> {
        self.weather();
        for host in 0..self.plan.hosts {
            let at = if self.chance(4) { self.up_to(3 * self.lease) } else { self.up_to(SECOND) };
            self.starts.push((at, host));
        }
        let mut faults = self.world.random.u32(5..40);
        while faults > 0 {
            faults -= 1;
            let pause = self.up_to(self.lease);
            self.run_until(self.world.now + pause);
            let fault = FAULTS[self.world.random.usize(..FAULTS.len())];
            self.happen(fault);
            self.check()?;
        }
        self.heal()
    }

    /// Everything is well from now on: everybody has a name soon, as far as there are names.
    fn heal(&mut self) -> Result<Healed, String> {
        self.world.hosts.iter_mut().for_each(|host| host.freezes_when_asking = 0);
        let thaws = self.world.hosts.iter().map(|host| host.frozen_until).max().unwrap_or(0);
        let begin = self.world.now.max(thaws) + SECOND;
        for (at, _) in &mut self.starts {
            *at = (*at).min(begin);
        }
        self.world.network.mend();
        self.run_until(begin);
        // Those that were being stopped.
        self.run_until(begin + 3 * SECOND);
        for host in 0..self.plan.hosts {
            if self.world.hosts[host].agent.is_none() {
                self.world.start(host);
            }
        }
        // The witnesses' silence, and then what was granted last before.
        let allowed = 2 * (self.lease + self.lease / 20) + 8 * SECOND;
        let names = self.plan.hosts.min(self.plan.limit as usize);
        let begin = self.world.now;
        let mut needed = 0;
        // Longer than that: then it stays so.
        while self.world.now < begin + allowed + 4 * self.lease {
            self.run_until(self.world.now + SECOND / 20);
            self.check()?;
            if self.world.slots().len() == names {
                continue;
            }
            needed = self.world.now - begin;
            if needed > allowed {
                let nameless = self.world.nameless();
                let states: Vec<_> =
                    nameless.iter().map(|host| (host, self.world.hosts[*host].state())).take(5).collect();
                let said = self.world.slots().len();
                return Err(self.told(&format!("{said} of {names} names are said: {states:?}")));
            }
        }
        Ok(Healed { needed, allowed })
    }

    fn happen(&mut self, fault: Fault) {
        let all = self.plan.hosts;
        let host = if self.chance(3) {
            self.world.random.usize(..self.plan.witnesses)
        } else {
            self.world.random.usize(..all)
        };
        let now = self.world.now;
        self.log.push(format!("{:.6} s: {fault:?}, host {host}", seconds(now)));
        match fault {
            Fault::Kill => {
                self.world.kill(host);
                let pause = self.up_to(2 * self.lease);
                self.starts.push((now + pause, host));
            }
            Fault::Stop => {
                self.world.stop(host);
                let pause = SECOND + self.up_to(2 * self.lease);
                self.starts.push((now + pause, host));
            }
            Fault::Upgrade => {
                if self.world.hosts[host].can_be_upgraded() {
                    self.world.upgrade(host);
                }
            }
            Fault::Reboot => {
                self.world.kill(host);
                let pause = 5 * SECOND + self.up_to(self.lease);
                self.starts.push((now + pause, host));
                self.world.reboot(host);
            }
            Fault::Replace => {
                // What a majority loses within a lease is more than is promised.
                let is_majority = self.plan.witnesses == 1 && host == 0;
                if is_majority || (now < self.replaced + 2 * self.lease && self.replaced > 0) {
                    return;
                }
                self.replaced = now;
                self.world.kill(host);
                self.world.reboot(host);
                self.world.hosts[host].clock = super::clock::Clock::new(-(1000 * SECOND).cast_signed(), 0);
                let pause = self.up_to(self.lease);
                self.starts.push((now + pause, host));
            }
            Fault::Freeze => {
                let pause = self.up_to(3 * self.lease);
                self.world.freeze(host, pause);
            }
            Fault::FreezeWhenAsking => {
                self.world.hosts[host].freezes_when_asking = self.up_to(3 * self.lease);
            }
            Fault::KillWitnesses => {
                for witness in 0..self.plan.witnesses {
                    self.world.kill(witness);
                    let pause = self.up_to(SECOND);
                    self.starts.push((now + pause, witness));
                }
            }
            Fault::CutOneWay => {
                let [from, to] = [self.some(), self.some()];
                self.world.network.cut(from, to);
            }
            Fault::CutBothWays => {
                let some = self.some();
                let others: Vec<bool> = some.iter().map(|is_in| !is_in).collect();
                self.world.network.cut(some.clone(), others.clone());
                self.world.network.cut(others, some);
            }
            Fault::Mend => self.world.network.mend(),
            Fault::SetClock => {
                self.clock_was_set = true;
                self.world.hosts[host].clock.wall = self.world.random.i64(-3_600_000_000..3_600_000_000);
            }
            Fault::Weather => self.weather(),
        }
    }

    fn weather(&mut self) {
        let network = &mut self.world.network;
        network.lost = [0, 10, 50, 300][self.world.random.usize(..4)];
        network.doubled = self.world.random.u64(..100);
        network.late = self.world.random.u64(..50);
    }

    /// Each host with a chance of its own.
    fn some(&mut self) -> Vec<bool> {
        let of = self.world.random.u8(2..6);
        (0..self.plan.hosts).map(|_| self.chance(of)).collect()
    }

    fn chance(&mut self, of: u8) -> bool {
        self.world.random.u8(..of) == 0
    }

    fn up_to(&mut self, time: u64) -> u64 {
        self.world.random.u64(..time)
    }

    fn run_until(&mut self, end: u64) {
        loop {
            let next = self.starts.iter().enumerate().min_by_key(|(_, start)| **start);
            match next.map(|(index, start)| (index, *start)) {
                Some((index, (at, host))) if at <= end => {
                    self.starts.swap_remove(index);
                    self.world.run_until(at.max(self.world.now));
                    if self.world.hosts[host].agent.is_none() {
                        self.log.push(format!("{:.6} s: host {host} starts", seconds(self.world.now)));
                        self.world.start(host);
                    }
                }
                _ => break,
            }
        }
        self.world.run_until(end);
    }

    fn check(&self) -> Result<(), String> {
        if let Some(twice) = self.world.names.twice.first() {
            return Err(self.told(twice));
        }
        match self.world.names.disorder.first().filter(|_| !self.clock_was_set) {
            Some(disorder) => Err(self.told(disorder)),
            None => Ok(()),
        }
    }

    fn told(&self, what: &str) -> String {
        format!("{}\n{:.6} s: {what}", self.log.join("\n"), seconds(self.world.now))
    }
}

/// One, if that is asked for, or so many.
fn seeds() -> std::ops::Range<u64> {
    let asked = |name| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    match asked("NSID_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("NSID_SEEDS").unwrap_or(SEEDS),
    }
}

/// What came of each seed, on as many threads as there are CPUs.
fn trials(rules: Rules, seeds: std::ops::Range<u64>) -> Vec<(u64, Result<Healed, String>)> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let run = |seed| (seed, Trial::new(rules, seed).run());
    thread::scope(|scope| {
        let share = |share| {
            let seeds = seeds.clone();
            scope.spawn(move || seeds.skip(share).step_by(threads).map(run).collect::<Vec<_>>())
        };
        let shares: Vec<_> = (0..threads).map(share).collect();
        shares.into_iter().flat_map(|share| share.join().unwrap()).collect()
    })
}

#[test]
fn no_name_is_said_twice_and_all_have_one_soon_after_whatever_happened() {
    let mut slowest = 0.0_f64;
    for (seed, trial) in trials(Rules::default(), seeds()) {
        match trial {
            Ok(Healed { needed, allowed }) => slowest = slowest.max(seconds(needed) / seconds(allowed)),
            Err(told) => {
                panic!("{told}\nagain: NSID_SEED={seed} cargo test -p nsid-peers no_name_is_said_twice")
            }
        }
    }
    println!("the slowest needed {:.0} % of what is allowed", slowest * 100.0);
}

#[test]
fn each_broken_rule_has_a_name_said_twice() {
    for mutant in Mutant::ALL {
        let found = (0..SEEDS).find_map(|seed| {
            let told = Trial::new(mutant.rules(), seed).run().err()?;
            told.contains("which host").then_some(seed)
        });
        println!("{mutant:?}: seed {found:?}");
        assert!(found.is_some(), "{mutant:?} is not found in {SEEDS} seeds");
    }
}

#[test]
fn a_run_is_the_same_each_time() {
    let run = || {
        let mut trial = Trial::new(Rules::default(), 7);
        trial.world.weigh();
        let needed = trial.run().map(|healed| healed.needed);
        (needed, trial.world.sent, trial.world.now, trial.world.slots())
    };
    assert_eq!(run(), run());
}
