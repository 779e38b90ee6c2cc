//! Who has which name, as any node tells; jobs that wait for names; and names that are handed on.

use std::{
    fs,
    net::SocketAddr,
    process::{Command, Output},
    thread,
    time::Duration,
};

use nsid_tests::{
    agent::{Agent, binary, nsid},
    cluster::{Cluster, Store},
    patience::{until, within},
    process::Process,
    star::Node,
    wire::INTERFACE,
};
use serde_json::Value;

/// Runs a verb about an agent's pools.
fn ask(agent: &Agent, verb: &str, arguments: &[&str]) -> Output {
    nsid(&[&[verb, "--instance", agent.instance().name()][..], arguments].concat())
}

/// The one pool of `nsid names --json`.
fn pool(agent: &Agent) -> Value {
    let output = ask(agent, "names", &["--json"]);
    assert!(output.status.success(), "{output:?}");
    let mut names: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let pools = names["pools"].as_array_mut().expect("pools");
    assert_eq!(pools.len(), 1, "{pools:?}");
    pools.remove(0)
}

/// Two slots; the third agent waits in line.
fn cluster_with_a_spare(store: Store) -> (Vec<Agent>, Cluster) {
    let cluster = Cluster::new(store, 3);
    let mut agents = Vec::new();
    for node in 0..2 {
        let mut agent = cluster.spawn(node, &["--limit", "2"]);
        agent.ready();
        agents.push(agent);
    }
    let spare = cluster.spawn(2, &["--limit", "2"]);
    spare.until_claim_is("waiting");
    agents.push(spare);
    (agents, cluster)
}

fn every_node_tells_who_has_which_name(store: Store) {
    let (agents, cluster) = cluster_with_a_spare(store);
    for (asked, agent) in agents.iter().enumerate() {
        let pool = pool(agent);
        assert_eq!((&pool["limit"], &pool["waiting"]), (&2.into(), &1.into()), "{pool}");
        let names = pool["names"].as_array().expect("names");
        assert_eq!(names.len(), 2, "{pool}");
        for (slot, name) in (0..).zip(names) {
            let holder = &agents[slot as usize].status()["services"][0];
            assert_eq!(name["name"], cluster.pool.name(slot), "{pool}");
            assert_eq!((&name["slot"], &name["token"]), (&holder["slot"], &holder["token"]), "{pool}");
            assert_eq!(name["ours"], slot as usize == asked, "{pool}");
            assert!(name["host"].as_str().is_some_and(|host| !host.is_empty()), "{pool}");
        }
    }
    let text = String::from_utf8(ask(&agents[2], "names", &[]).stdout).expect("UTF-8");
    assert!(text.contains("2 of 2 names are held, 1 in line"), "{text}");
    assert!(text.contains(&cluster.pool.name(1)), "{text}");
}

#[test]
fn every_node_tells_who_has_which_name_in_etcd() {
    every_node_tells_who_has_which_name(Store::Etcd);
}

#[test]
fn every_node_tells_who_has_which_name_in_zookeeper() {
    every_node_tells_who_has_which_name(Store::ZooKeeper);
}

#[test]
fn every_node_tells_who_has_which_name_among_peers() {
    every_node_tells_who_has_which_name(Store::Witnesses);
}

#[test]
fn every_node_tells_who_has_which_name_of_this_host() {
    every_node_tells_who_has_which_name(Store::Local);
}

fn a_name_is_handed_on_to_the_next_in_line(store: Store) {
    let (mut agents, cluster) = cluster_with_a_spare(store);
    let output = ask(&agents[0], "release", &["--json"]);
    assert!(output.status.success(), "{output:?}");
    let released: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(released["released"], Value::from(vec![cluster.pool.name(0)]), "{released}");
    // In the time of a look of who waits, or at once.
    within(Duration::from_millis(500), "the spare to have the name", || {
        agents[2].is_ready().filter(|name| *name == cluster.pool.name(0))
    });
    agents[0].until_claim_is("waiting");
    let lost = format!("lost: {}\n", cluster.pool.name(0));
    until(Duration::from_secs(1), "the agent to say so", || agents[0].stdout().ends_with(&lost));
    assert_eq!(agents[1].ready(), cluster.pool.name(1), "another holder is not concerned");
}

#[test]
fn a_name_is_handed_on_to_the_next_in_line_in_etcd() {
    a_name_is_handed_on_to_the_next_in_line(Store::Etcd);
}

#[test]
fn a_name_is_handed_on_to_the_next_in_line_in_zookeeper() {
    a_name_is_handed_on_to_the_next_in_line(Store::ZooKeeper);
}

#[test]
fn a_name_is_handed_on_to_the_next_in_line_among_peers() {
    a_name_is_handed_on_to_the_next_in_line(Store::Witnesses);
}

#[test]
fn a_name_is_handed_on_to_the_next_in_line_on_this_host() {
    a_name_is_handed_on_to_the_next_in_line(Store::Local);
}

#[test]
fn what_is_not_held_is_not_released_and_a_person_is_told_what_is() {
    let (agents, cluster) = cluster_with_a_spare(Store::Etcd);
    let output = ask(&agents[0], "release", &["worker7.test"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("worker7.test") && stderr.contains(&cluster.pool.name(0)), "{stderr}");
    let output = ask(&agents[2], "release", &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(agents[0].is_ready(), Some(cluster.pool.name(0)));
}

fn a_job_waits_for_names_and_is_told_how_many_there_are(store: Store) {
    let cluster = Cluster::new(store, 2);
    let mut first = cluster.spawn(0, &["--limit", "2"]);
    first.ready();
    let output = ask(&first, "wait", &["--expect", "2", "--timeout", "500ms"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("after 500ms: 1 of 2 names are held"), "{stderr}");
    let output = ask(&first, "wait", &["--expect", "3"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("2 names, and never 3"), "{stderr}");

    let mut second = None;
    let output = thread::scope(|scope| {
        let waits = scope.spawn(|| ask(&first, "wait", &["--expect", "2", "--timeout", "10s", "--json"]));
        thread::sleep(Duration::from_millis(500));
        assert!(!waits.is_finished(), "one name is not two");
        second = Some(cluster.spawn(1, &["--limit", "2"]));
        waits.join().expect("no panic")
    });
    assert!(output.status.success(), "{output:?}");
    let names: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(names["pools"][0]["names"].as_array().map(Vec::len), Some(2), "{names}");
}

#[test]
fn a_job_waits_for_names_and_is_told_how_many_there_are_in_etcd() {
    a_job_waits_for_names_and_is_told_how_many_there_are(Store::Etcd);
}

#[test]
fn a_job_waits_for_names_and_is_told_how_many_there_are_among_peers() {
    a_job_waits_for_names_and_is_told_how_many_there_are(Store::Witnesses);
}

fn who_watches_is_shown_each_change(store: Store) {
    let (agents, cluster) = cluster_with_a_spare(store);
    let directory = cluster.star.hub.scratch();
    let mut command = Command::new(binary());
    command.args(["names", "--watch", "--instance", agents[1].instance().name()]);
    let watch = Process::start("watch", &mut command, directory.path());
    let blocks = || watch.stdout().matches("pool ").count();
    let shown = |count| until(Duration::from_secs(5), "it to be shown", || blocks() == count);
    shown(1);
    // Longer than between two looks: what stays as it is is not shown again.
    thread::sleep(Duration::from_millis(1500));
    shown(1);
    assert!(ask(&agents[0], "release", &[]).status.success());
    agents[0].until_claim_is("waiting");
    until(Duration::from_secs(5), "the change", || blocks() >= 2);
    assert!(watch.stdout().lines().last().is_some_and(|line| line.contains(&cluster.pool.name(1))));
}

#[test]
fn who_watches_is_shown_each_change_in_etcd() {
    who_watches_is_shown_each_change(Store::Etcd);
}

#[test]
fn who_watches_is_shown_each_change_among_peers() {
    who_watches_is_shown_each_change(Store::Witnesses);
}

/// A worker and a parameter server of one job on each host, say, each with a DNS server of its own.
fn an_agent_claims_from_several_pools_and_every_one_is_dense(store: Store) {
    let cluster = Cluster::new(store, 2);
    let store = cluster.store();
    let workers = cluster.pool.pattern();
    let servers = workers.replace("worker", "ps");
    let agents = [0, 1].map(|node| {
        let Node { namespace, addresses, .. } = &cluster.star.nodes[node];
        let directory = namespace.scratch();
        let file = directory.path().join("nsid.toml");
        let service = |pattern: &str, port: u16| {
            let listen = SocketAddr::new(addresses.v4.into(), port);
            format!("[[services]]\nstore = \"{store}\"\npattern = \"{pattern}\"\nlimit = 4\nlisten = \"{listen}\"\n")
        };
        let text = format!("iface = \"{INTERFACE}\"\n{}{}", service(&workers, 53), service(&servers, 5353));
        fs::write(&file, text).expect("a temporary file");
        let agent = Agent::spawn(namespace, &["--config", file.to_str().expect("UTF-8")]);
        until(Duration::from_secs(10), "both names", || agent.stdout().matches("ready: ").count() == 2);
        agent
    });
    let names = |pattern: &str, slot: u64| pattern.replace("{id}", &slot.to_string());
    for (slot, agent) in (0..).zip(&agents) {
        for pattern in [&workers, &servers] {
            assert!(
                agent.stdout().contains(&format!("ready: {}\n", names(pattern, slot))),
                "{}",
                agent.stdout()
            );
        }
    }
    let output = ask(&agents[1], "wait", &["--expect", "2"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("--pool"), "{stderr}");
    let output = ask(&agents[1], "wait", &["--expect", "2", "--timeout", "5s", "--pool", &servers]);
    assert!(output.status.success(), "{output:?}");
    // One of its two names, and no other.
    let output = ask(&agents[0], "release", &[&names(&servers, 0)]);
    assert!(output.status.success(), "{output:?}");
    let lost = format!("lost: {}\n", names(&servers, 0));
    until(Duration::from_secs(1), "the agent to say so", || agents[0].stdout().contains(&lost));
    assert!(!agents[0].stdout().contains("lost: worker"), "{}", agents[0].stdout());
}

#[test]
fn an_agent_claims_from_several_pools_and_every_one_is_dense_in_etcd() {
    an_agent_claims_from_several_pools_and_every_one_is_dense(Store::Etcd);
}

#[test]
fn an_agent_claims_from_several_pools_and_every_one_is_dense_among_peers() {
    an_agent_claims_from_several_pools_and_every_one_is_dense(Store::Witnesses);
}

fn a_store_that_is_away_is_said_to_be(store: Store) {
    let mut cluster = Cluster::new(store, 1);
    let mut agent = cluster.spawn(0, &[]);
    agent.ready();
    cluster.kill_store();
    let output = ask(&agent, "names", &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("the store does not answer"), "{stderr}");
}

#[test]
fn a_store_that_is_away_is_said_to_be_if_it_is_etcd() {
    a_store_that_is_away_is_said_to_be(Store::Etcd);
}

#[test]
fn a_store_that_is_away_is_said_to_be_if_it_is_the_witnesses() {
    a_store_that_is_away_is_said_to_be(Store::Witnesses);
}

#[test]
fn names_given_by_hand_are_in_no_pool_and_a_dead_agent_is_told() {
    let cluster = Cluster::new(Store::Local, 1);
    let node = &cluster.star.nodes[0].namespace;
    let by_hand = Agent::start(node, &["--iface", INTERFACE, "--store", "static:ns1"]);
    for verb in ["names", "release"] {
        let output = ask(&by_hand, verb, &[]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{verb}: {stderr}");
        assert!(stderr.contains("pool"), "{verb}: {stderr}");
    }
    let instance = by_hand.kill();
    let output = nsid(&["names", "--instance", instance.name()]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("is dead"), "{output:?}");
}
