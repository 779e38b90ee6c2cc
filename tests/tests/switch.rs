//! `nsid on`, `nsid off`, `nsid status`, `--observe`: what a person does to a running, frozen or dead agent.

use std::time::{Duration, Instant};

use nsid_tests::{
    agent::{Agent, Instance, nsid},
    client::Client,
    message::Query,
    patience::until,
    servers::{PRESENT, Server, Software},
    site::Site,
    wire::{INTERFACE, Wire},
};
use serde_json::{Value, json};

const NAME: &str = "ns1.example.net";

const PATIENCE: Duration = Duration::from_secs(10);

/// How long a verb may wait for an agent that does not answer.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

fn name(client: &Client) -> Option<String> {
    client.ask(&Query::a(PRESENT).with_nsid()).nsid()
}

/// How long a verb takes beyond what it takes to start a process that does nothing.
fn took(verb: impl FnOnce()) -> Duration {
    let start = Instant::now();
    assert!(nsid(&["--version"]).status.success());
    let bare = start.elapsed();
    let start = Instant::now();
    verb();
    start.elapsed().saturating_sub(bare)
}

fn off_silences_and_on_resumes(instance: &Instance, clients: &[Client]) {
    for client in clients {
        assert_eq!(name(client).as_deref(), Some(NAME));
    }
    let waited = took(|| instance.verb("off"));
    assert!(waited < LONGEST_WAIT, "off took {waited:?}");
    for client in clients {
        assert_eq!(name(client), None);
    }
    assert_eq!(instance.status()["enabled"], json!(false));
    let waited = took(|| instance.verb("on"));
    assert!(waited < LONGEST_WAIT, "on took {waited:?}");
    for client in clients {
        assert_eq!(name(client).as_deref(), Some(NAME));
    }
    assert_eq!(instance.status()["enabled"], json!(true));
}

#[test]
fn off_silences_at_once_and_on_resumes_with_the_agent_running_frozen_and_dead() {
    let Site { agent, server: _server, wire } = Site::new(Software::Unbound, NAME);
    let clients = wire.clients();
    off_silences_and_on_resumes(agent.instance(), &clients);
    agent.freeze();
    off_silences_and_on_resumes(agent.instance(), &clients);
    let instance = agent.kill();
    off_silences_and_on_resumes(&instance, &clients);
}

#[test]
fn off_leaves_id_server_to_the_server() {
    let site = Site::new(Software::Nsd, NAME);
    site.agent.off();
    let (agent, wire) = site.without_server();
    let query = Query::identity("id.server.");
    for client in wire.clients() {
        assert!(client.ask_within(LONGEST_WAIT, &query).is_none());
    }
    agent.on();
    for client in wire.clients() {
        assert_eq!(client.ask(&query).text().as_deref(), Some(NAME));
    }
}

#[test]
fn off_stays_off_when_the_agent_starts_again() {
    let Site { agent, server: _server, wire } = Site::new(Software::Nsd, NAME);
    agent.off();
    let store = format!("static:{NAME}");
    let agent = Agent::spawn_as(agent.kill(), &wire.server, &["--iface", INTERFACE, "--store", &store]);
    until(PATIENCE, "the agent to run", || agent.status()["agent"] == json!("running"));
    assert_eq!(agent.status()["enabled"], json!(false));
    let [client, _] = wire.clients();
    assert_eq!(name(&client), None);
}

#[test]
fn status_tells_the_agent_running_frozen_and_dead() {
    let site = Site::new(Software::Nsd, NAME);
    let status = site.agent.status();
    assert_eq!(status["instance"], json!(site.agent.instance().name()));
    assert_eq!((&status["enabled"], &status["agent"]), (&json!(true), &json!("running")), "{status}");
    let service = &status["services"][0];
    assert_eq!(service["name"], json!(NAME), "{status}");
    assert_eq!(service["store"]["kind"], json!("static"), "{status}");
    for (object, keys) in [
        (&status, &["instance", "enabled", "agent", "services", "interfaces", "outcomes"][..]),
        (service, &["name", "listen", "store", "slot", "token", "deadline_ms"]),
        (&service["store"], &["kind", "state"]),
        (&status["interfaces"][0], &["name", "ingress", "reason", "behind", "edits_at_xdp", "tc", "tcx"]),
        (&status["interfaces"][0]["ingress"], &["hook", "mode"]),
        (&status["interfaces"][0]["tcx"], &["ingress", "egress"]),
    ] {
        let found: Vec<&String> = object.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
        assert!(keys.iter().all(|key| found.iter().any(|found| found == key)), "{keys:?} in {object}");
    }
    // Null, where there is none.
    assert!(["slot", "token", "deadline_ms"].iter().all(|key| service[key].is_null()), "{status}");
    assert_eq!(status["interfaces"][0]["name"], json!(INTERFACE));

    site.agent.freeze();
    let mut frozen = Value::Null;
    let waited = took(|| frozen = site.agent.status());
    assert!(waited < LONGEST_WAIT, "status took {waited:?}");
    assert_eq!(
        (&frozen["agent"], &frozen["services"][0]["name"]),
        (&json!("unresponsive"), &json!(NAME)),
        "{frozen}"
    );
    let Site { agent, server: _server, wire: _wire } = site;
    let dead = agent.kill().status();
    assert_eq!((&dead["agent"], &dead["services"][0]["name"]), (&json!("dead"), &json!(NAME)), "{dead}");
}

fn outcomes(status: &Value) -> u64 {
    let outcomes = status["outcomes"].as_object().unwrap_or_else(|| panic!("outcomes in {status}"));
    outcomes.values().map(|count| count.as_u64().unwrap_or_else(|| panic!("a count in {status}"))).sum()
}

#[test]
fn observe_counts_and_changes_nothing() {
    let wire = Wire::direct();
    let _server = Server::start_default(Software::Nsd, &wire.server, wire.addresses);
    let queries =
        [Query::a(PRESENT).with_nsid(), Query::a(PRESENT), Query::identity("id.server.").with_nsid()];
    let answers = || -> Vec<Vec<u8>> {
        let each = |client: &Client| queries.each_ref().map(|query| client.ask_as(7, query).bytes().to_vec());
        wire.clients().iter().flat_map(each).collect()
    };
    let before = answers();
    let store = format!("static:{NAME}");
    let agent = Agent::start(&wire.server, &["--iface", INTERFACE, "--store", &store, "--observe"]);
    let counted = outcomes(&agent.status());
    assert_eq!(answers(), before);
    // Each query that was for us, and the answers that would have been edited.
    assert!(outcomes(&agent.status()) >= counted + 8, "{}", agent.status());
}
