//! Names without a store: nodes some of which are witnesses, by `peers://`.

use std::{fs, net::UdpSocket, path::PathBuf, thread, time::Duration};

use nsid_tests::{
    agent::{Agent, Instance, binary, nsid, run_command, run_refused},
    boot_clock,
    cluster::{Cluster, Store},
    patience::{until, within},
    unique::Prefix,
    wire::INTERFACE,
};
use serde_json::Value;
use tempfile::TempDir;

/// Starts an agent at each node, and waits until as many as there are names have one.
fn all(cluster: &Cluster, nodes: usize, names: usize, arguments: &[&str]) -> Vec<Agent> {
    let agents: Vec<Agent> = (0..nodes).map(|node| cluster.spawn(node, arguments)).collect();
    let ready = || agents.iter().filter(|agent| agent.is_ready().is_some()).count() == names;
    until(Duration::from_secs(20), "the names to be had", ready);
    agents
}

fn names(agents: &[Agent]) -> Vec<String> {
    let mut names: Vec<String> = agents.iter().filter_map(Agent::is_ready).collect();
    names.sort();
    names
}

#[test]
fn three_nodes_are_their_own_store_a_fourth_waits_in_line_and_every_node_tells_who_has_what() {
    let cluster = Cluster::new(Store::Peers, 4);
    let mut agents = all(&cluster, 4, 3, &["--limit", "3", "--ttl", "3s"]);
    assert_eq!(names(&agents), [0, 1, 2].map(|slot| cluster.pool.name(slot)));
    let spare = agents.iter().position(|agent| agent.is_ready().is_none()).expect("one waits");
    agents[spare].until_claim_is("waiting");
    for agent in &agents {
        let output = nsid(&["names", "--json", "--instance", agent.instance().name()]);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        let pool = &told["pools"][0];
        assert_eq!((&pool["limit"], &pool["waiting"]), (&3.into(), &1.into()), "{pool}");
        let listed: Vec<_> =
            pool["names"].as_array().into_iter().flatten().map(|held| &held["name"]).collect();
        assert_eq!(
            listed,
            [0, 1, 2].map(|slot| Value::from(cluster.pool.name(slot))).iter().collect::<Vec<_>>()
        );
    }
    // Of those that are not needed for a majority, one gives its name back.
    let leaver = (0..4).find(|node| *node != spare).expect("three have names");
    let given_back = agents[leaver].ready();
    let waits = agents.swap_remove(spare);
    let leaver = agents.iter().position(|agent| agent.is_ready().as_ref() == Some(&given_back));
    let (status, _instance) = agents.swap_remove(leaver.expect("it is there")).terminate();
    assert!(status.success(), "{status}");
    within(Duration::from_secs(1), "who waits to have the name", || {
        waits.is_ready().filter(|name| *name == given_back)
    });
}

#[test]
fn a_witness_that_crashes_and_is_back_within_its_lease_keeps_its_name_and_takes_nobodys() {
    let cluster = Cluster::with_servers(Store::Peers, 3);
    let mut agents = all(&cluster, 3, 3, &["--limit", "3", "--ttl", "4s"]);
    let name = agents[1].ready();
    let (own, other) = (cluster.prober(1), cluster.prober(0));
    thread::sleep(Duration::from_millis(200));
    let killed = agents.remove(1).kill();
    let mut again = cluster.spawn_as(killed, 1, &["--limit", "3", "--ttl", "4s"]);
    assert_eq!(again.ready(), name);
    // Longer than the lease that was.
    thread::sleep(Duration::from_secs(5));
    for (node, prober) in [(1, own), (0, other)] {
        let heard = prober.stop();
        let silent = heard.iter().filter(|heard| heard.name.is_none()).count();
        assert_eq!(silent, 0, "node {node} was silent in {silent} of {} answers", heard.len());
    }
}

#[test]
fn a_minority_falls_silent_by_its_deadline_says_why_and_has_its_names_again_when_the_others_are_back() {
    let cluster = Cluster::new(Store::Peers, 3);
    let mut agents = all(&cluster, 3, 3, &["--limit", "3", "--ttl", "2s"]);
    let name = agents[0].ready();
    let frozen = [&agents[1], &agents[2]];
    for agent in frozen {
        agent.freeze();
    }
    let lost = format!("lost: {name}\n");
    until(Duration::from_secs(4), "the name to be lost", || agents[0].stdout().ends_with(&lost));
    assert!(agents[0].logged("the store does not answer") > 0, "{}", agents[0].stderr());
    agents[0].until_claim_is("unreachable");
    assert!(agents[0].status()["services"][0]["name"].is_null());
    until(Duration::from_secs(5), "the reason to be told", || {
        let reason = &agents[0].status()["services"][0]["store"]["reason"];
        reason.as_str().is_some_and(|reason| reason.contains("no majority of 3 witnesses answers"))
    });
    for agent in frozen {
        agent.thaw();
    }
    until(Duration::from_secs(10), "all names to be there again", || names(&agents).len() == 3);
    agents.clear();
}

/// Node 0 with one more address, which is the list's only witness, and the arguments of its agent.
fn alone(address: &str) -> (Cluster, [String; 8]) {
    let cluster = Cluster::new(Store::Local, 1);
    // Of no other test's node, whose witness would have been there before.
    cluster.star.nodes[0].namespace.ip(&format!("addr add {address} dev {INTERFACE}"));
    let (address, _) = address.split_once('/').expect("with a prefix length");
    let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let (store, pattern) = (format!("peers://{address}"), cluster.pool.pattern());
    let arguments = ["--iface", INTERFACE, "--store", &store, "--pattern", &pattern, "--ttl", "5s"];
    let arguments = arguments.map(str::to_owned);
    (cluster, arguments)
}

fn spawn_alone(cluster: &Cluster, arguments: &[String]) -> Agent {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Agent::spawn(&cluster.star.nodes[0].namespace, &arguments)
}

/// What `nsid status --json` tells of witnesses; of an agent that has only just been started, nothing.
fn witnesses(agent: &Agent) -> Option<Vec<Value>> {
    agent.instance().try_status().ok()?["witnesses"].as_array().cloned()
}

/// Waits until it tells of one, and that.
fn until_witness(agent: &Agent, what: &str, is: impl Fn(&Value) -> bool) {
    until(Duration::from_secs(5), what, || {
        witnesses(agent).is_some_and(|told| matches!(&told[..], [witness] if is(witness)))
    });
}

#[test]
fn a_witness_that_does_not_answer_is_told_though_all_names_stay_and_that_it_does_again() {
    let cluster = Cluster::new(Store::Peers, 3);
    let agents = all(&cluster, 3, 3, &["--limit", "3", "--ttl", "2s"]);
    let last = &cluster.star.nodes[2].addresses.v4;
    for agent in &agents[..2] {
        assert_eq!(agent.logged("does not answer"), 0, "{}", agent.stderr());
    }
    agents[2].freeze();
    let told = |what: &str| {
        let line = format!("witness {last}:7400 {what}");
        until(Duration::from_secs(5), &line, || agents[..2].iter().all(|agent| agent.logged(&line) == 1));
    };
    told("does not answer");
    agents[2].thaw();
    told("answers again");
    assert!(agents[..2].iter().all(|agent| agent.is_ready().is_some()), "a name was lost");
}

#[test]
fn who_is_back_with_a_shorter_ttl_says_its_name_for_no_longer_than_that() {
    let cluster = Cluster::new(Store::Peers, 3);
    let agents = all(&cluster, 3, 3, &["--limit", "3", "--ttl", "60s"]);
    let mut killed: Vec<Instance> = agents.into_iter().map(Agent::kill).collect();
    let said = |instance: &Instance| instance.status()["services"][0]["deadline_ms"].as_u64().unwrap_or(0);
    assert!(said(&killed[0]) > 20_000, "{}", killed[0].status());
    // Alone, it is granted nothing.
    let again = cluster.spawn_as(killed.remove(0), 0, &["--limit", "3", "--ttl", "2s"]);
    until(Duration::from_secs(10), "the time to be a shorter one", || said(again.instance()) <= 2000);
}

#[test]
fn one_node_alone_has_a_name_at_once() {
    let (cluster, arguments) = alone("10.77.200.1/32");
    let before = boot_clock::now();
    let mut agent = spawn_alone(&cluster, &arguments);
    assert_eq!(agent.ready(), cluster.pool.name(0));
    assert!(boot_clock::now().saturating_sub(before) < Duration::from_secs(4), "it was silent for a lease");
    until_witness(&agent, "it to grant names", |witness| witness["grants"] == true);
}

#[test]
fn a_witness_ends_with_its_address_and_is_another_one_when_that_is_back() {
    let (cluster, arguments) = alone("10.77.200.2/32");
    let node = &cluster.star.nodes[0].namespace;
    let mut agent = spawn_alone(&cluster, &arguments);
    agent.ready();
    let remembers_nothing = |witness: &Value| witness["silent_ms"].as_i64().is_some_and(|left| left > 0);
    node.ip("addr del 10.77.200.2/32 dev eth0");
    until(Duration::from_secs(5), "the witness to end", || witnesses(&agent) == Some(Vec::new()));
    node.ip("addr add 10.77.200.2/32 dev eth0");
    until_witness(&agent, "another one to begin", remembers_nothing);
    until(Duration::from_secs(10), "the name to be lost", || agent.stdout().contains("lost: "));
    agent.ready();
    // While the agent cannot look: an address that may have been another host's for that time.
    agent.freeze();
    node.ip("addr del 10.77.200.2/32 dev eth0");
    node.ip("addr add 10.77.200.2/32 dev eth0");
    agent.thaw();
    until_witness(&agent, "yet another one to begin", remembers_nothing);
}

#[test]
fn a_port_that_another_program_has_is_told_once_and_taken_when_it_is_free() {
    let (cluster, arguments) = alone("10.77.200.3/32");
    let node = &cluster.star.nodes[0].namespace;
    let other = node.enter(|| UdpSocket::bind("10.77.200.3:7400")).expect("a free port");
    let mut agent = spawn_alone(&cluster, &arguments);
    let is_told = |witness: &Value| {
        witness["grants"] == false && witness["trouble"].as_str().is_some_and(|why| why.contains("that port"))
    };
    until_witness(&agent, "the port to be missed", is_told);
    let text = nsid(&["status", "--instance", agent.instance().name()]);
    let text = String::from_utf8(text.stdout).expect("UTF-8");
    assert!(text.contains("witness    10.77.200.3:7400: grants nothing: another program"), "{text}");
    // Each of them has the agent look again.
    for address in ["10.77.200.4/32", "10.77.200.5/32"] {
        node.ip(&format!("addr add {address} dev eth0"));
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!((agent.is_ready(), agent.logged("no witness at 10.77.200.3:7400")), (None, 1));
    drop(other);
    node.ip("addr add 10.77.200.6/32 dev eth0");
    agent.ready();
    until_witness(&agent, "it to grant names", |witness| witness["grants"] == true);
}

/// As at a boot: until the kernel has looked for who else has it, an address of IPv6 cannot be used.
#[test]
fn an_address_that_is_not_to_be_used_yet_is_waited_for() {
    let (cluster, mut arguments) = alone("10.77.200.7/32");
    let node = &cluster.star.nodes[0].namespace;
    node.sysctl("net/ipv6/conf/eth0/accept_dad", "1");
    node.sysctl("net/ipv6/conf/eth0/dad_transmits", "4");
    node.ip("addr add fd77:200::1/64 dev eth0");
    "peers://[fd77:200::1]".clone_into(&mut arguments[3]);
    let mut agent = spawn_alone(&cluster, &arguments);
    assert_eq!(agent.ready(), cluster.pool.name(0));
    assert_eq!(agent.logged("no witness at [fd77:200::1]:7400"), 1, "{}", agent.stderr());
}

#[test]
fn who_has_another_key_or_another_list_gets_no_name_and_is_told_why() {
    let dir = tempfile::tempdir().expect("a directory");
    let key = |name: &str, digit: &str| -> PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, digit.repeat(64)).expect("a file");
        path
    };
    let (right, wrong) = (key("right", "1"), key("wrong", "2"));
    let [right, wrong] = [&right, &wrong].map(|path| path.to_str().expect("UTF-8"));
    let cluster = Cluster::new(Store::Peers, 4);
    let agents = all(&cluster, 3, 3, &["--cluster-key-file", right, "--ttl", "2s"]);
    let other = cluster.spawn(3, &["--cluster-key-file", wrong, "--ttl", "2s"]);
    until(Duration::from_secs(10), "it to be told", || other.logged("cluster-key-file") > 0);
    other.until_claim_is("unreachable");
    assert_eq!(other.is_ready(), None);
    until(Duration::from_secs(10), "the witnesses to tell too", || {
        agents.iter().any(|agent| agent.logged("not sealed under the key of this node") > 0)
    });
    drop(other);

    let node = &cluster.star.nodes[3];
    let own = [0, 1, 3].map(|node: usize| cluster.star.nodes[node].addresses.v4.to_string()).join(",");
    let (store, pattern) = (format!("peers://{own}"), cluster.pool.pattern());
    let arguments =
        ["--iface", INTERFACE, "--store", &store, "--pattern", &pattern, "--cluster-key-file", right];
    let instance = Instance::new(Prefix::Test);
    let command = run_command(&binary(), &instance, &node.namespace, &arguments);
    let other = Agent::spawn_command(instance, &node.namespace, command);
    until(Duration::from_secs(10), "it to be told", || other.logged("give all nodes the same list") > 0);
    assert_eq!(other.is_ready(), None);
    assert_eq!(names(&agents).len(), 3);
}

#[test]
fn who_is_a_witness_is_told_for_whom_it_waits() {
    let cluster = Cluster::new(Store::Peers, 3);
    let first = cluster.spawn(0, &["--ttl", "2s"]);
    let others = [1, 2].map(|node: usize| format!("{}:7400", cluster.star.nodes[node].addresses.v4));
    until_witness(&first, "both to be missed", |witness| {
        witness["waits_for"] == Value::from(others.to_vec())
    });
    let second = cluster.spawn(1, &["--ttl", "2s"]);
    // A majority, of whose third nothing is known.
    until_witness(&first, "the last to be let go", |witness| {
        witness["waits_for"] == Value::from(Vec::<String>::new())
    });
    until_witness(&first, "a lease to be over", |witness| witness["grants"] == true);
    let instance = second.kill();
    assert!(instance.status()["witnesses"].is_null(), "the dead tell nothing");
}

#[test]
fn what_is_no_cluster_is_refused() {
    let dir: TempDir = tempfile::tempdir().expect("a directory");
    let key = dir.path().join("key");
    fs::write(&key, "no key").expect("a file");
    let key = key.to_str().expect("UTF-8");
    let cluster = Cluster::new(Store::Local, 1);
    let namespace = &cluster.star.nodes[0].namespace;
    for (store, more, told) in [
        ("peers://10.0.0.1,10.0.0.2", &[][..], "2 witnesses; give 1, 3 or 5"),
        ("peers://192.0.2.1", &[], "--cluster-key-file FILE"),
        ("peers://ns1.example.net", &[], "by numbers"),
        ("peers://10.0.0.1", &["--cluster-key-file", key], "openssl rand -hex 32"),
        ("local", &["--cluster-key-file", key], "nodes without a store"),
        ("local", &["--expect", "3"], "nodes without a store"),
    ] {
        let common = ["--iface", INTERFACE, "--store", store, "--pattern", "w{id}.test"];
        let output = run_refused(namespace, &Instance::new(Prefix::Test), &[&common[..], more].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(told), "{store} {more:?}: {stderr}");
    }
}

#[test]
fn the_oldest_have_the_lowest_slots_if_all_wait_for_each_other() {
    let cluster = Cluster::new(Store::Peers, 5);
    let mut agents: Vec<Agent> = Vec::new();
    for node in 0..5 {
        agents.push(cluster.spawn(node, &["--expect", "5", "--ttl", "5s"]));
        // Longer than processes that are started one after another may overtake each other.
        thread::sleep(Duration::from_millis(500));
    }
    for (slot, agent) in (0..).zip(&mut agents) {
        assert_eq!(agent.ready(), cluster.pool.name(slot), "{}", agent.stderr());
    }
}
