//! Stores out of reach, and agents that crash: names stay, or come back, each once, and the log tells each outage once. Of
//! etcd: answers that are lost, and a leader that dies or stands still, which takes no name away.

use std::{collections::BTreeSet, net::IpAddr, thread, time::Duration};

use nsid_tests::{
    agent::{Agent, Instance, binary, run_command},
    cluster::{Cluster, Store},
    etcd::Etcd,
    patience::{until, within},
    pool::Pool,
    star::Star,
    unique::Prefix,
    wire::INTERFACE,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// What the log tells of an outage.
const GONE: &str = "the store does not answer";
const BACK: &str = "the store answers again";

fn a_store_that_is_not_there_yet_is_waited_for_and_missed_once_in_the_log(store: Store) {
    let mut cluster = Cluster::new(store, 1);
    cluster.kill_store();
    let mut agent = cluster.spawn(0, &[]);
    agent.until_claim_is("unreachable");
    // The longest pause between two tries is one second.
    thread::sleep(Duration::from_secs(3));
    assert_eq!(agent.logged(GONE), 1, "{}", agent.stderr());
    assert_eq!(agent.stdout(), "");
    cluster.restart_store();
    assert_eq!(agent.ready(), cluster.pool.name(0));
    assert_eq!(agent.logged(GONE), 1, "{}", agent.stderr());
    assert_eq!(agent.stdout(), format!("ready: {}\n", cluster.pool.name(0)));
}

#[test]
fn a_store_that_is_not_there_yet_is_waited_for_and_missed_once_in_the_log_if_it_is_etcd() {
    a_store_that_is_not_there_yet_is_waited_for_and_missed_once_in_the_log(Store::Etcd);
}

#[test]
fn a_store_that_is_not_there_yet_is_waited_for_and_missed_once_in_the_log_if_it_is_zookeeper() {
    a_store_that_is_not_there_yet_is_waited_for_and_missed_once_in_the_log(Store::ZooKeeper);
}

#[test]
fn a_store_that_is_not_there_yet_is_waited_for_and_missed_once_in_the_log_if_it_is_the_witnesses() {
    a_store_that_is_not_there_yet_is_waited_for_and_missed_once_in_the_log(Store::Witnesses);
}

fn after_an_outage_longer_than_a_lease_each_name_comes_back_where_it_was(store: Store) {
    let mut cluster = Cluster::new(store, 2);
    let mut agents = [0, 1].map(|node| cluster.spawn(node, &["--limit", "2", "--ttl", "2s"]));
    let names = agents.each_mut().map(Agent::ready);
    cluster.kill_store();
    for (agent, name) in agents.iter().zip(&names) {
        let lost = format!("ready: {name}\nlost: {name}\n");
        until(PATIENCE, "the name to be lost", || agent.stdout() == lost);
    }
    // Several tries.
    thread::sleep(Duration::from_secs(3));
    cluster.restart_store();
    assert_eq!(agents.each_mut().map(Agent::ready), names);
    for (agent, name) in agents.iter().zip(&names) {
        assert_eq!(agent.stdout(), format!("ready: {name}\nlost: {name}\nready: {name}\n"));
        assert_eq!(agent.logged(GONE), 1, "{}", agent.stderr());
        assert_eq!(agent.logged("was not renewed in time"), 1, "{}", agent.stderr());
    }
}

#[test]
fn after_an_outage_longer_than_a_lease_each_name_comes_back_where_it_was_from_etcd() {
    after_an_outage_longer_than_a_lease_each_name_comes_back_where_it_was(Store::Etcd);
}

#[test]
fn after_an_outage_longer_than_a_lease_each_name_comes_back_where_it_was_from_zookeeper() {
    after_an_outage_longer_than_a_lease_each_name_comes_back_where_it_was(Store::ZooKeeper);
}

#[test]
fn after_an_outage_longer_than_a_lease_each_name_comes_back_where_it_was_from_witnesses() {
    after_an_outage_longer_than_a_lease_each_name_comes_back_where_it_was(Store::Witnesses);
}

fn no_answer_lacks_its_name_in_an_outage_shorter_than_a_lease(store: Store) {
    let mut cluster = Cluster::with_servers(store, 1);
    // ZooKeeper takes some seconds to start.
    let mut agent = cluster.spawn(0, &["--ttl", "10s"]);
    let name = agent.ready();
    let prober = cluster.prober(0);
    let missed = |agent: &Agent, outages: usize| {
        until(PATIENCE, "the store to be missed", || agent.logged(GONE) == outages);
    };
    let heard_again = |agent: &Agent, outages: usize| {
        until(PATIENCE, "the store to be heard again", || agent.logged(BACK) == outages);
        assert_eq!(agent.logged(GONE), outages, "{}", agent.stderr());
    };
    cluster.freeze_store();
    missed(&agent, 1);
    thread::sleep(Duration::from_millis(500));
    cluster.thaw_store();
    heard_again(&agent, 1);

    // Witnesses that were killed know nothing, and are silent for a lease.
    if store != Store::Witnesses {
        cluster.kill_store();
        missed(&agent, 2);
        cluster.restart_store();
        heard_again(&agent, 2);
    }

    let heard = prober.stop();
    assert!(heard.len() > 100, "{}", heard.len());
    assert!(heard.iter().all(|heard| heard.name.as_ref() == Some(&name)), "{heard:?}");
    assert_eq!(agent.stdout(), format!("ready: {name}\n"));
}

#[test]
fn no_answer_lacks_its_name_in_an_outage_shorter_than_a_lease_of_etcd() {
    no_answer_lacks_its_name_in_an_outage_shorter_than_a_lease(Store::Etcd);
}

#[test]
fn no_answer_lacks_its_name_in_an_outage_shorter_than_a_lease_of_zookeeper() {
    no_answer_lacks_its_name_in_an_outage_shorter_than_a_lease(Store::ZooKeeper);
}

#[test]
fn no_answer_lacks_its_name_in_an_outage_shorter_than_a_lease_of_the_witnesses() {
    no_answer_lacks_its_name_in_an_outage_shorter_than_a_lease(Store::Witnesses);
}

fn a_crashed_agent_that_starts_again_within_its_lease_keeps_its_slot_and_says_it_throughout(store: Store) {
    let cluster = Cluster::with_servers(store, 3);
    let arguments = ["--limit", "2", "--ttl", "10s"];
    let mut agent = cluster.spawn(0, &arguments);
    let name = agent.ready();
    let token = |agent: &Agent| agent.status()["services"][0]["token"].as_u64().expect("a token");
    let before = token(&agent);
    let mut other = cluster.spawn(1, &arguments);
    other.ready();
    let next = cluster.spawn(2, &arguments);
    next.until_claim_is("waiting");

    let prober = cluster.prober(0);
    let mut again = cluster.spawn_as(agent.kill(), 0, &arguments);
    assert_eq!(again.ready(), name);
    assert!(token(&again) > before, "{} after {before}", token(&again));
    thread::sleep(Duration::from_millis(200));
    assert_eq!(next.is_ready(), None, "it was given to the next in line");
    let heard = prober.stop();
    assert!(heard.len() > 10, "{heard:?}");
    assert!(heard.iter().all(|heard| heard.name.as_ref() == Some(&name)), "{heard:?}");
}

#[test]
fn a_crashed_agent_that_starts_again_within_its_lease_keeps_its_slot_and_says_it_throughout_of_this_host() {
    a_crashed_agent_that_starts_again_within_its_lease_keeps_its_slot_and_says_it_throughout(Store::Local);
}

#[test]
fn a_crashed_agent_that_starts_again_within_its_lease_keeps_its_slot_and_says_it_throughout_in_etcd() {
    a_crashed_agent_that_starts_again_within_its_lease_keeps_its_slot_and_says_it_throughout(Store::Etcd);
}

#[test]
fn a_crashed_agent_that_starts_again_within_its_lease_keeps_its_slot_and_says_it_throughout_in_zookeeper() {
    a_crashed_agent_that_starts_again_within_its_lease_keeps_its_slot_and_says_it_throughout(
        Store::ZooKeeper,
    );
}

#[test]
fn a_crashed_agent_that_starts_again_within_its_lease_keeps_its_slot_and_says_it_throughout_among_peers() {
    a_crashed_agent_that_starts_again_within_its_lease_keeps_its_slot_and_says_it_throughout(
        Store::Witnesses,
    );
}

/// What etcd carries out and cannot tell: it runs for a moment at a time while a crowd claims, until the first has a name.
/// The requests that have arrived by then are carried out, and the answers are lost.
#[test]
fn claims_whose_answers_were_lost_leave_no_hole_and_no_name_twice() {
    const NODES: u8 = 8;
    const ROUNDS: usize = 10;
    let cluster = Cluster::new(Store::Etcd, NODES);
    let nodes = 0..usize::from(NODES);
    let expected: BTreeSet<String> = (0..u32::from(NODES)).map(|slot| cluster.pool.name(slot)).collect();
    for _ in 0..ROUNDS {
        cluster.etcd().freeze();
        let mut agents: Vec<Agent> =
            nodes.clone().map(|node| cluster.spawn(node, &["--limit", "8"])).collect();
        let ready = |agents: &[Agent]| agents.iter().filter(|agent| agent.is_ready().is_some()).count();
        until(PATIENCE, "all to ask for a name", || {
            agents.iter().all(|agent| agent.stderr().contains("attached"))
        });
        until(PATIENCE, "one to have a name", || {
            cluster.etcd().thaw();
            thread::sleep(Duration::from_millis(1));
            cluster.etcd().freeze();
            ready(&agents) > 0
        });
        for node in &cluster.star.nodes {
            cluster.star.deafen(node);
        }
        let told = ready(&agents);
        cluster.etcd().thaw();
        // Who has arrived has a slot by that.
        let carried_out = cluster.count_keys("/tickets/");
        for node in &cluster.star.nodes {
            cluster.star.undeafen(node);
        }
        let names: BTreeSet<String> = agents.iter_mut().map(Agent::ready).collect();
        assert_eq!(names, expected);
        until(PATIENCE, "all to have put their records", || cluster.count_keys("/slots/") == expected.len());
        for agent in agents {
            let (status, _instance) = agent.terminate();
            assert!(status.success(), "{status}");
        }
        assert_eq!(cluster.count_keys("/tickets/"), 0);
        // Who took which slot stays; the next round is to find none.
        let emptied = cluster.etcd().ctl(&cluster.star.hub, &["del", "--prefix", "/nsid/"]);
        assert!(emptied.is_some(), "etcd answers");
        if carried_out > told {
            return;
        }
    }
    panic!("in {ROUNDS} rounds no claim was carried out whose answer was lost");
}

#[test]
fn a_release_whose_answer_was_lost_gives_the_name_to_the_next_in_line_at_once() {
    let cluster = Cluster::new(Store::Etcd, 2);
    let arguments = ["--limit", "1", "--ttl", "60s"];
    let mut old = cluster.spawn(0, &arguments);
    let name = old.ready();
    let mut next = cluster.spawn(1, &arguments);
    next.until_claim_is("waiting");
    cluster.star.deafen(&cluster.star.nodes[0]);
    let (status, instance) = old.terminate();
    assert!(status.success(), "{status}");
    assert_eq!(next.is_ready().as_ref(), Some(&name), "not released at once, though etcd was told to");
    cluster.star.undeafen(&cluster.star.nodes[0]);
    // It finds that the name is another's now.
    let again = cluster.spawn_as(instance, 0, &arguments);
    again.until_claim_is("waiting");
    assert_eq!(next.ready(), name);
}

#[test]
fn detach_leaves_an_agent_the_time_that_giving_its_name_back_may_take() {
    let cluster = Cluster::new(Store::Etcd, 1);
    let mut agent = cluster.spawn(0, &["--ttl", "60s"]);
    agent.ready();
    cluster.star.deafen(&cluster.star.nodes[0]);
    agent.instance().verb("detach");
    let status = agent.wait();
    assert!(status.success(), "{status}");
}

/// Three members, each on an address of its own behind the hub's.
fn three_members(star: &Star) -> Vec<Etcd> {
    let addresses = ["10.77.250.1", "10.77.250.2", "10.77.250.3"];
    star.hub.ip_batch(&addresses.map(|address| format!("addr add {address}/32 dev lo")));
    let places = addresses.map(|address| (&star.hub, address.parse::<IpAddr>().expect("an address")));
    Etcd::start_cluster(&places)
}

#[test]
fn neither_a_leaders_death_nor_its_standing_still_for_8_s_withdraws_a_name() {
    let star = Star::new(Prefix::Test, 3);
    let mut members = three_members(&star);
    let pool = Pool::new(Prefix::Test);
    let endpoints: Vec<String> = members.iter().map(|member| member.endpoint().to_string()).collect();
    let (store, pattern) = (format!("etcd://{}", endpoints.join(",")), pool.pattern());
    let arguments = ["--iface", INTERFACE, "--store", &store, "--pattern", &pattern, "--ttl", "5s"];
    let spawn = |node: &nsid_tests::star::Node| {
        let instance = Instance::new(Prefix::Test);
        let command = run_command(&binary(), &instance, &node.namespace, &arguments);
        Agent::spawn_command(instance, &node.namespace, command)
    };
    let mut agents: Vec<Agent> = star.nodes.iter().map(spawn).collect();
    let names: Vec<String> = agents.iter_mut().map(Agent::ready).collect();
    let leader = |members: &[Etcd]| {
        within(PATIENCE, "a leader", || members.iter().position(|member| member.is_leader(&star.hub)))
    };
    let frozen = leader(&members);
    members[frozen].freeze();
    thread::sleep(Duration::from_secs(8));
    members[frozen].thaw();
    // As long as a lease that was not renewed would last.
    thread::sleep(Duration::from_secs(6));
    let killed = leader(&members);
    members[killed].kill();
    thread::sleep(Duration::from_secs(8));
    members[killed].restart(&star.hub);
    for (agent, name) in agents.iter().zip(&names) {
        assert_eq!(agent.stdout(), format!("ready: {name}\n"), "{}", agent.stderr());
    }
}
