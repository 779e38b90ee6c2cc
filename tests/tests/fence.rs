//! The fence: a leased name is never said past its deadline, nor by two at once, whatever became of the agent.

use std::{thread, time::Duration};

use nsid_tests::{
    agent::{Agent, Instance},
    boot_clock,
    message::Query,
    patience::{until, within},
    pool::Pool,
    prober::{Heard, PERIOD, Prober},
    servers::{PRESENT, Server, Software},
    unique::Prefix,
    wire::{INTERFACE, Wire},
};

const TTL: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(10);

/// A server on a wire of its own, and the agent beside it with a name of the pool.
struct Node {
    agent: Agent,
    _server: Server,
    wire: Wire,
}

impl Node {
    fn start(pool: &Pool, limit: &str, ttl: &str) -> Self {
        let wire = Wire::direct();
        let server = Server::start_default(Software::Nsd, &wire.server, wire.addresses);
        let pattern = pool.pattern();
        let arguments =
            ["--iface", INTERFACE, "--store", "local", "--pattern", &pattern, "--limit", limit, "--ttl", ttl];
        let agent = Agent::spawn(&wire.server, &arguments);
        Self { agent, _server: server, wire }
    }

    fn prober(&self) -> Prober {
        Prober::start(&self.wire.client, self.wire.addresses.v4.into())
    }
}

/// Bounds of the deadline, since boot, of an agent that no longer moves it: `nsid status` tells what was left at some
/// moment of its run, so several runs tell more.
fn deadline(instance: &Instance) -> (Duration, Duration) {
    // Of the milliseconds in which it is told, either way.
    let rounding = Duration::from_millis(1);
    (0..5).fold((Duration::ZERO, Duration::MAX), |(earliest, latest), _| {
        let before = boot_clock::now();
        let status = instance.status();
        let after = boot_clock::now();
        let left = &status["services"][0]["deadline_ms"];
        let left = left.as_u64().unwrap_or_else(|| panic!("a deadline to come, not {left}: {status}"));
        let left = Duration::from_millis(left);
        (earliest.max((before + left).saturating_sub(rounding)), latest.min(after + left + rounding))
    })
}

fn said<'a>(heard: &'a [Heard], name: &str) -> Vec<&'a Heard> {
    heard.iter().filter(|heard| heard.name.as_deref() == Some(name)).collect()
}

/// How an agent stops renewing.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Killed,
    Frozen,
}

/// The agent after the fault: what is left of it is kept by the caller.
enum Faulty {
    Killed(Instance),
    Frozen(Agent),
}

impl Faulty {
    fn new(agent: Agent, fault: Fault) -> Self {
        match fault {
            Fault::Killed => Self::Killed(agent.kill()),
            Fault::Frozen => {
                agent.freeze();
                Self::Frozen(agent)
            }
        }
    }

    fn instance(&self) -> &Instance {
        match self {
            Self::Killed(instance) => instance,
            Self::Frozen(agent) => agent.instance(),
        }
    }
}

/// One agent holds the pool's only name and stops renewing it; another one waits for the name.
fn the_name_passes_on_after_the_deadline(fault: Fault) {
    let pool = Pool::new(Prefix::Test);
    let name = pool.name(0);
    let Node { mut agent, _server, wire } = Node::start(&pool, "1", "2s");
    assert_eq!(agent.ready(), name);
    let mut next = Node::start(&pool, "1", "2s");
    let [old, new] = [Prober::start(&wire.client, wire.addresses.v4.into()), next.prober()];
    // Some renewals.
    thread::sleep(TTL);
    assert_eq!(next.agent.is_ready(), None, "two hold one name");

    let faulty = Faulty::new(agent, fault);
    let (earliest, latest) = deadline(faulty.instance());
    assert_eq!(next.agent.ready(), name);
    thread::sleep(10 * PERIOD);

    let (old, new) = (old.stop(), new.stop());
    let last = said(&old, &name).last().copied().expect("the name was said").clone();
    let first = said(&new, &name).first().copied().expect("the name is said again").clone();
    let times = format!("{fault:?}: last {last:?}, first {first:?}, deadline {earliest:?}..{latest:?}");
    assert!(last.at <= latest + PERIOD, "said past the deadline: {times}");
    assert!(last.at + TTL / 10 >= earliest, "silent long before the deadline: {times}");
    assert!(first.at > earliest, "said by another before the deadline: {times}");
    assert!(first.at > last.asked, "two said one name: {times}");
    assert!(
        old.iter()
            .filter(|heard| heard.at < earliest.saturating_sub(PERIOD))
            .all(|heard| heard.name.is_some())
    );
    assert!(old.last().is_some_and(|heard| heard.name.is_none()), "the server itself still answers");
}

#[test]
fn a_killed_agents_name_is_silent_by_its_deadline_and_only_then_anothers() {
    the_name_passes_on_after_the_deadline(Fault::Killed);
}

#[test]
fn a_frozen_agents_name_is_silent_by_its_deadline_and_only_then_anothers() {
    the_name_passes_on_after_the_deadline(Fault::Frozen);
}

#[test]
fn an_agent_that_thaws_without_its_name_says_so() {
    let pool = Pool::new(Prefix::Test);
    let mut old = Node::start(&pool, "1", "2s");
    old.agent.ready();
    old.agent.freeze();
    let mut new = Node::start(&pool, "1", "2s");
    assert_eq!(new.agent.ready(), pool.name(0));
    let prober = old.prober();
    old.agent.thaw();
    until(PATIENCE, "the old agent to say `lost`", || {
        old.agent.stdout().ends_with(&format!("lost: {}\n", pool.name(0)))
    });
    thread::sleep(5 * PERIOD);
    assert!(prober.stop().iter().all(|heard| heard.name.is_none()), "a thawed agent said another's name");
    assert_eq!(new.agent.is_ready(), Some(pool.name(0)));
}

#[test]
fn a_live_agent_says_its_name_without_a_gap() {
    let pool = Pool::new(Prefix::Test);
    let mut node = Node::start(&pool, "3", "1s");
    let name = node.agent.ready();
    let prober = node.prober();
    thread::sleep(Duration::from_secs(4));
    let heard = prober.stop();
    assert!(heard.len() > 150, "{}", heard.len());
    assert_eq!(said(&heard, &name).len(), heard.len());
    assert_eq!(node.agent.stdout(), format!("ready: {name}\n"));
}

#[test]
fn agents_with_one_configuration_get_dense_names() {
    let pool = Pool::new(Prefix::Test);
    let mut nodes: Vec<Node> = (0..3).map(|_| Node::start(&pool, "10", "10s")).collect();
    let mut names: Vec<String> = nodes.iter_mut().map(|node| node.agent.ready()).collect();
    // Each says its own, though all of them serve an `eth0`.
    for (node, name) in nodes.iter().zip(&names) {
        for client in node.wire.clients() {
            let answer = client.ask(&Query::identity("id.server."));
            assert_eq!(answer.text().as_ref(), Some(name));
        }
    }
    names.sort();
    assert_eq!(names, [0, 1, 2].map(|slot| pool.name(slot)));
}

#[test]
fn sigterm_releases_the_name_at_once() {
    let pool = Pool::new(Prefix::Test);
    let Node { mut agent, _server, wire } = Node::start(&pool, "1", "60s");
    agent.ready();
    let mut next = Node::start(&pool, "1", "60s");
    let [old, new] = [Prober::start(&wire.client, wire.addresses.v4.into()), next.prober()];
    thread::sleep(10 * PERIOD);
    let (status, _instance) = agent.terminate();
    assert!(status.success(), "{status}");
    let name = within(Duration::from_secs(5), "the other agent to have the name", || next.agent.is_ready());
    thread::sleep(10 * PERIOD);
    assert_eq!(next.agent.ready(), name);
    let (old, new) = (old.stop(), new.stop());
    let last = said(&old, &name).last().copied().expect("the name was said").clone();
    let first = said(&new, &name).first().copied().expect("the name is said again").clone();
    assert!(first.at > last.asked, "two said one name: {last:?} {first:?}");
}

#[test]
fn a_name_given_by_hand_outlives_the_agent_but_not_sigterm() {
    let wire = Wire::direct();
    let _server = Server::start_default(Software::Nsd, &wire.server, wire.addresses);
    let arguments = ["--iface", INTERFACE, "--store", "static:ns1.example.net"];
    let [client, _] = wire.clients();
    let name = || client.ask(&Query::a(PRESENT).with_nsid()).nsid();

    let instance = Agent::start(&wire.server, &arguments).kill();
    assert!(instance.status()["services"][0]["deadline_ms"].is_null());
    assert_eq!(name().as_deref(), Some("ns1.example.net"));

    let mut agent = Agent::spawn_as(instance, &wire.server, &arguments);
    agent.ready();
    assert_eq!(name().as_deref(), Some("ns1.example.net"));
    let (status, _instance) = agent.terminate();
    assert!(status.success(), "{status}");
    assert_eq!(name(), None);
}

/// `CLOCK_BOOTTIME` is another one in another time namespace (`time_namespaces(7)`), and the kernel's programs read
/// the host's: an agent there either reckons with that or says no.
#[test]
fn an_agent_in_another_time_namespace_does_not_take_a_name_that_is_held() {
    let pool = Pool::new(Prefix::Test);
    let mut first = Node::start(&pool, "2", "10s");
    assert_eq!(first.agent.ready(), pool.name(0));
    let wire = Wire::direct();
    let instance = Instance::new(Prefix::Test);
    let binary = nsid_tests::agent::binary();
    let mut later = wire.server.command("timeout");
    later.args(["--kill-after=1", "3", "unshare", "--time", "--boottime", "1000"]).arg(binary);
    later.args(["run", "--instance", instance.name(), "--iface", INTERFACE, "--store", "local"]);
    later.args(["--pattern", &pool.pattern(), "--limit", "2"]);
    let said = String::from_utf8(later.output().expect("timeout can be run").stdout).expect("UTF-8");
    assert!(!said.contains(&format!("ready: {}\n", pool.name(0))), "two hold one name: {said}");
    assert_eq!(first.agent.is_ready(), Some(pool.name(0)), "its name was taken from it");
}
