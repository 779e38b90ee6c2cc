//! The fence: a leased name is never said past its deadline, nor by two at once, whatever became of the agent.

mod handover;

use std::{process::Command, thread, time::Duration};

use nsid_tests::{
    agent::{Agent, Instance, binary, binary_without_fence},
    boot_clock,
    cluster::{Cluster, Store},
    message::Query,
    process::run,
    servers::{PRESENT, Server, Software},
    unique::Prefix,
    wire::{INTERFACE, Wire},
};

use self::handover::{Fault, Handover, Violation, said};

fn the_name_passes_on_after_the_deadline(store: Store, fault: Fault) {
    let handover = Handover::observe(binary(), store, fault);
    let violations = handover.violations();
    assert!(violations.is_empty(), "{store:?}, {fault:?}: {violations:?}: {}", handover.times());
}

#[test]
fn a_killed_agents_local_name_is_silent_by_its_deadline_and_only_then_anothers() {
    the_name_passes_on_after_the_deadline(Store::Local, Fault::Killed);
}

#[test]
fn a_killed_agents_name_from_etcd_is_silent_by_its_deadline_and_only_then_anothers() {
    the_name_passes_on_after_the_deadline(Store::Etcd, Fault::Killed);
}

#[test]
fn a_killed_agents_name_from_zookeeper_is_silent_by_its_deadline_and_only_then_anothers() {
    the_name_passes_on_after_the_deadline(Store::ZooKeeper, Fault::Killed);
}

#[test]
fn a_killed_agents_name_from_witnesses_is_silent_by_its_deadline_and_only_then_anothers() {
    the_name_passes_on_after_the_deadline(Store::Witnesses, Fault::Killed);
}

#[test]
fn a_killed_witnesss_own_name_is_silent_by_its_deadline_and_only_then_anothers() {
    the_name_passes_on_after_the_deadline(Store::Peers, Fault::Killed);
}

#[test]
fn a_frozen_agents_local_name_is_silent_by_its_deadline_and_also_when_it_thaws() {
    the_name_passes_on_after_the_deadline(Store::Local, Fault::Frozen);
}

#[test]
fn a_frozen_agents_name_from_etcd_is_silent_by_its_deadline_and_also_when_it_thaws() {
    the_name_passes_on_after_the_deadline(Store::Etcd, Fault::Frozen);
}

#[test]
fn a_frozen_agents_name_from_zookeeper_is_silent_by_its_deadline_and_also_when_it_thaws() {
    the_name_passes_on_after_the_deadline(Store::ZooKeeper, Fault::Frozen);
}

#[test]
fn a_frozen_agents_name_from_witnesses_is_silent_by_its_deadline_and_also_when_it_thaws() {
    the_name_passes_on_after_the_deadline(Store::Witnesses, Fault::Frozen);
}

#[test]
fn a_frozen_witnesss_own_name_is_silent_by_its_deadline_and_also_when_it_thaws() {
    the_name_passes_on_after_the_deadline(Store::Peers, Fault::Frozen);
}

/// The test of the tests above.
fn an_agent_without_a_fence_is_caught(store: Store, fault: Fault) {
    let handover = Handover::observe(binary_without_fence(), store, fault);
    let violations = handover.violations();
    for violation in [Violation::SaidPastTheDeadline, Violation::SaidByTwo] {
        assert!(violations.contains(&violation), "{violation:?} not in {violations:?}: {}", handover.times());
    }
}

#[test]
fn a_killed_agent_without_a_fence_is_caught() {
    an_agent_without_a_fence_is_caught(Store::Etcd, Fault::Killed);
}

#[test]
fn a_frozen_agent_without_a_fence_is_caught() {
    an_agent_without_a_fence_is_caught(Store::Local, Fault::Frozen);
}

#[test]
fn the_agent_without_a_fence_says_that_it_has_none_and_the_other_one_does_not() {
    let version = |binary| run(Command::new(binary).arg("--version"));
    let shipped = version(binary());
    assert_eq!(
        version(binary_without_fence()),
        format!("{} without the fence: for tests only\n", shipped.trim())
    );
    assert!(!shipped.contains("fence"), "{shipped}");
}

/// From the signal on: what is given up is silenced first, then released, then taken by the next in line.
fn sigterm_passes_the_name_on_at_once(store: Store) {
    const HANDOVERS: usize = 3;
    const LIMIT: Duration = Duration::from_millis(100);
    /// By so much a name may be heard later than it is said.
    const PERIOD: Duration = Duration::from_millis(5);
    let cluster = Cluster::with_servers(store, 4);
    let name = cluster.pool.name(0);
    let arguments = ["--limit", "1", "--ttl", "60s"];
    let mut holder = cluster.spawn(0, &arguments);
    assert_eq!(holder.ready(), name);
    for node in 1..=HANDOVERS {
        let mut next = cluster.spawn(node, &arguments);
        next.until_claim_is("waiting");
        let [old, new] = [node - 1, node].map(|node| cluster.prober_every(PERIOD, node));
        thread::sleep(10 * PERIOD);
        let signalled = boot_clock::now();
        let (status, _instance) = holder.terminate();
        assert!(status.success(), "{status}");
        assert_eq!(next.ready(), name);
        thread::sleep(10 * PERIOD);
        let (old, new) = (old.stop(), new.stop());
        let last = said(&old, &name).next_back().expect("the name was said");
        let first = said(&new, &name).next().expect("the name is said again");
        assert!(first.at > last.asked, "two said one name: {last:?} {first:?}");
        let took = first.at.saturating_sub(signalled);
        assert!(took <= LIMIT + PERIOD, "{store:?}: handed on after {took:?}");
        holder = next;
    }
}

#[test]
fn sigterm_passes_a_local_name_on_within_100_ms() {
    sigterm_passes_the_name_on_at_once(Store::Local);
}

#[test]
fn sigterm_passes_a_name_from_etcd_on_within_100_ms() {
    sigterm_passes_the_name_on_at_once(Store::Etcd);
}

#[test]
fn sigterm_passes_a_name_from_zookeeper_on_within_100_ms() {
    sigterm_passes_the_name_on_at_once(Store::ZooKeeper);
}

#[test]
fn sigterm_passes_a_name_from_witnesses_on_within_100_ms() {
    sigterm_passes_the_name_on_at_once(Store::Witnesses);
}

#[test]
fn a_live_agent_says_its_name_without_a_gap() {
    let cluster = Cluster::with_servers(Store::Local, 1);
    let mut agent = cluster.spawn(0, &["--ttl", "1s"]);
    let name = agent.ready();
    let prober = cluster.prober(0);
    thread::sleep(Duration::from_secs(4));
    let heard = prober.stop();
    assert!(heard.len() > 150, "{}", heard.len());
    assert_eq!(said(&heard, &name).count(), heard.len());
    assert_eq!(agent.stdout(), format!("ready: {name}\n"));
}

#[test]
fn agents_with_one_configuration_get_dense_names() {
    let cluster = Cluster::new(Store::Local, 3);
    let mut agents: Vec<Agent> = (0..3).map(|node| cluster.spawn(node, &["--limit", "10"])).collect();
    let mut names: Vec<String> = agents.iter_mut().map(Agent::ready).collect();
    // Each says its own, though all of them serve an `eth0`.
    for (node, name) in names.iter().enumerate() {
        let answer = cluster.client(node).ask(&Query::identity("id.server."));
        assert_eq!(answer.text().as_ref(), Some(name));
    }
    names.sort();
    assert_eq!(names, [0, 1, 2].map(|slot| cluster.pool.name(slot)));
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
    let cluster = Cluster::new(Store::Local, 1);
    let pool = &cluster.pool;
    let mut first = cluster.spawn(0, &["--limit", "2"]);
    assert_eq!(first.ready(), pool.name(0));
    let wire = Wire::direct();
    let instance = Instance::new(Prefix::Test);
    let mut later = wire.server.command("timeout");
    later.args(["--kill-after=1", "3", "unshare", "--time", "--boottime", "1000"]).arg(binary());
    later.args(["run", "--instance", instance.name(), "--iface", INTERFACE, "--store", "local"]);
    later.args(["--pattern", &pool.pattern(), "--limit", "2"]);
    let said = String::from_utf8(later.output().expect("timeout can be run").stdout).expect("UTF-8");
    assert!(!said.contains(&format!("ready: {}\n", pool.name(0))), "two hold one name: {said}");
    assert_eq!(first.is_ready(), Some(pool.name(0)), "its name was taken from it");
}
