//! Many nodes that are started together. Alone in its file: nothing that measures time runs beside it.

use std::time::Instant;

use nsid_tests::{
    agent::Agent,
    cluster::{Cluster, Store},
    message::Query,
};

const NODES: u8 = 50;

/// One crowd after the other: in one test, since tests run beside each other.
#[test]
fn fifty_agents_started_at_once_get_the_first_fifty_names() {
    for store in [Store::Etcd, Store::Peers] {
        all_get_a_name(store);
    }
}

fn all_get_a_name(store: Store) {
    let cluster = Cluster::new(store, NODES);
    let begun = Instant::now();
    let nodes = 0..usize::from(NODES);
    let mut agents: Vec<Agent> = nodes.map(|node| cluster.spawn(node, &["--limit", "64"])).collect();
    let started = begun.elapsed();
    let mut names: Vec<String> = agents.iter_mut().map(Agent::ready).collect();
    println!(
        "{store:?}: {NODES} agents, started in {started:.1?}, had their names {:.1?} later",
        begun.elapsed().saturating_sub(started)
    );
    for (node, name) in names.iter().enumerate() {
        let answer = cluster.client(node).ask(&Query::identity("id.server."));
        assert_eq!(answer.text().as_ref(), Some(name), "node {node}");
    }
    for (agent, name) in agents.iter().zip(&names) {
        assert_eq!(agent.stdout(), format!("ready: {name}\n"), "not one name from first to last");
    }
    let mut expected: Vec<String> = (0..u32::from(NODES)).map(|slot| cluster.pool.name(slot)).collect();
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
}
