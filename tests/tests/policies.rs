//! Policies: who may see the name, what stands for it and how far the kernel goes, by flags, `nsid set` and SIGHUP.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    process::Output,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use nsid_tests::{
    agent::{Agent, nsid},
    boot_clock,
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

fn name(client: &Client) -> Option<String> {
    client.ask(&Query::a(PRESENT).with_nsid()).nsid()
}

fn text(client: &Client) -> Option<String> {
    client.ask(&Query::identity("id.server.")).text()
}

fn set(agent: &Agent, changes: &[&str]) -> Output {
    nsid(&[&["set", "--json", "--instance", agent.instance().name()], changes].concat())
}

fn is_set(agent: &Agent, changes: &[&str]) -> Value {
    let output = set(agent, changes);
    assert!(output.status.success(), "{changes:?}: {output:?}");
    let policies = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(agent.status()["policies"], policies);
    policies
}

/// Refused in at most three lines with this part, and nothing is changed.
fn is_refused(agent: &Agent, changes: &[&str], part: &str) {
    let before = agent.status()["policies"].clone();
    let output = set(agent, changes);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "{changes:?}: {output:?}");
    assert!((1..=3).contains(&stderr.lines().count()) && stderr.contains(part), "{changes:?}: {stderr}");
    assert_eq!(agent.status()["policies"], before, "{changes:?}");
}

fn counted(agent: &Agent, outcome: &str) -> u64 {
    agent.status()["outcomes"][outcome].as_u64().unwrap_or_else(|| panic!("no outcome {outcome}"))
}

/// RFC 4892 and RFC 5001 say the same: bytes that are those of the name are said as digits none the less.
#[test]
fn bytes_that_are_those_of_the_name_are_digits_in_id_server() {
    let site = Site::new(Software::Nsd, NAME);
    let [v4, _] = site.clients();
    let digits = NAME.bytes().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"));
    is_set(&site.agent, &[&format!("nsid=hex:{digits}")]);
    assert_eq!((name(&v4), text(&v4)), (Some(NAME.to_owned()), Some(digits)));
    is_set(&site.agent, &["nsid=name"]);
    assert_eq!(text(&v4), Some(NAME.to_owned()));
}

#[test]
fn who_may_not_see_the_name_gets_the_answer_of_who_did_not_ask() {
    let site = Site::new(Software::Nsd, NAME);
    let [v4, v6] = site.clients();
    is_set(&site.agent, &["deny=10.0.0.0/8"]);
    assert_eq!((name(&v4), name(&v6)), (None, Some(NAME.to_owned())));
    assert_eq!(counted(&site.agent, "query_client"), 1);
    is_set(&site.agent, &["deny=", "allow=10.0.0.0/8"]);
    assert_eq!((name(&v4), name(&v6)), (Some(NAME.to_owned()), None));
    is_set(&site.agent, &["allow="]);
    assert_eq!((name(&v4).as_deref(), name(&v6).as_deref()), (Some(NAME), Some(NAME)));
}

#[test]
fn a_query_that_was_noted_before_is_answered_by_what_holds_now() {
    let site = Site::new(Software::Nsd, NAME);
    let [v4, _] = site.clients();
    site.server.freeze();
    v4.send(7, &Query::a(PRESENT).with_nsid());
    until(PATIENCE, "the note", || counted(&site.agent, "query_noted") >= 1);
    is_set(&site.agent, &["deny=10.0.0.0/8"]);
    site.server.thaw();
    let answer = v4.receive(7, PATIENCE).expect("an answer");
    assert_eq!(answer.nsid(), None);
}

#[test]
fn the_kernel_answers_nobody_who_may_not_see_the_name() {
    let site = Site::new(Software::Nsd, NAME);
    let [v4, v6] = site.clients();
    is_set(&site.agent, &["deny=10.0.0.0/8", "answer=any"]);
    assert_ne!(text(&v4).as_deref(), Some(NAME));
    assert_eq!(text(&v6).as_deref(), Some(NAME));
    assert_eq!(counted(&site.agent, "answer_client"), 1);
}

#[test]
fn set_changes_all_of_it_or_nothing() {
    let site = Site::new(Software::Nsd, NAME);
    let policies =
        is_set(&site.agent, &["answer=off", "max-udp-size=1232", "own-nsid=keep", "answer-rate=7"]);
    for (key, value) in [
        ("answer", json!("off")),
        ("max_udp_size", json!(1232)),
        ("own_nsid", json!("keep")),
        ("answer_rate", json!(7)),
    ] {
        assert_eq!(policies[key], value, "{policies}");
    }
    for (changes, part) in [
        (&["answer=local", "max-udp-size=1"][..], "max-udp-size"),
        (&["answer=local", "iface=eth1"], "iface cannot change"),
        (&["answer=local", "store=static:ns2"], "store cannot change"),
        (&["answer=local", "nosuch=1"], "nosuch"),
        (&["answer=local", "allow=10.0.0.0/8", "deny=10.0.0.0/8"], "10.0.0.0/8"),
        (&["answer=local", "nsid=hmac:/nonexistent/key"], "/nonexistent/key"),
        (&["answer=local", "answer=any"], "answer"),
        (&["answer"], "KEY=VALUE"),
    ] {
        is_refused(&site.agent, changes, part);
    }
}

/// Whichever of the two is changed first, the other has to be in force then that shows less.
#[test]
fn a_name_is_hidden_before_it_is_shown_when_form_and_clients_change_together() {
    let site = Site::new(Software::Nsd, NAME);
    let [client, _] = site.clients();
    is_set(&site.agent, &["nsid=hex:6e7332"]);
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let asker = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                seen.insert(name(&client));
                seen.insert(text(&client));
            }
            seen
        });
        let to_and_fro = [["nsid=name", "deny=10.0.0.0/8"], ["nsid=hex:6e7332", "deny="]];
        let mut refused = to_and_fro.iter().cycle().take(40).map(|changes| set(&site.agent, changes));
        let refused = refused.find(|output| !output.status.success());
        // A panic before would wait for the asker without end.
        done.store(true, Ordering::Relaxed);
        let seen = asker.join().expect("the asker");
        assert!(refused.is_none(), "{refused:?}");
        seen
    });
    assert!(seen.contains(&Some("ns2".to_owned())) && seen.contains(&None), "{seen:?}");
    assert!(!seen.contains(&Some(NAME.to_owned())), "{seen:?}");
}

/// Who asked has given up by then, and told that nothing is changed.
#[test]
fn what_took_too_long_to_read_is_not_done() {
    let site = Site::new(Software::Nsd, NAME);
    let ask = |changes: &[String], until: Duration| {
        let path = format!("/run/nsid/{}/control.sock", site.agent.instance().name());
        let mut agent = UnixStream::connect(path).expect("the agent listens");
        let until = u64::try_from(until.as_nanos()).expect("less than 584 years");
        let request = json!({"set": changes, "until": until}).to_string();
        agent.write_all(request.as_bytes()).expect("it reads");
        agent.shutdown(Shutdown::Write).expect("a socket");
        let mut told = String::new();
        agent.read_to_string(&mut told).expect("it answers");
        told
    };
    let (late, in_time) = (boot_clock::now(), boot_clock::now() + PATIENCE);
    let off = ["answer=off".to_owned()];
    assert!(ask(&off, late).contains("asked too late"));
    // That takes longer to read than it takes to come.
    let network = |number: u32| format!("2001:db8:{:x}:{:x}::/64", number >> 16, number & 0xffff);
    let many: Vec<_> = (0..30_000).map(network).collect();
    let told = ask(&[format!("allow={}", many.join(","))], boot_clock::now() + Duration::from_millis(20));
    assert!(told.contains("asked too late"), "{told}");
    assert_eq!(site.agent.status()["policies"]["answer"], json!("local"));
    assert!(ask(&off, in_time).contains("\"off\""));
}

#[test]
fn set_needs_an_agent_that_answers() {
    let Site { agent, server: _server, wire } = Site::new(Software::Nsd, NAME);
    let [client, _] = wire.clients();
    agent.freeze();
    is_refused(&agent, &["deny=10.0.0.0/8"], "does not answer");
    agent.thaw();
    until(PATIENCE, "the agent to run", || agent.status()["agent"] == json!("running"));
    assert_eq!(name(&client).as_deref(), Some(NAME), "what was asked of a frozen agent was done later");
    let instance = agent.kill();
    let output = nsid(&["set", "--instance", instance.name(), "answer=off"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("is dead"), "{output:?}");
}

#[test]
fn another_form_stands_for_the_name_in_nsid_and_in_text() {
    let site = Site::new(Software::Nsd, NAME);
    let [client, _] = site.clients();
    is_set(&site.agent, &["nsid=hex:6e7331"]);
    assert_eq!((name(&client).as_deref(), text(&client).as_deref()), (Some("ns1"), Some("6e7331")));
    assert_eq!(site.agent.status()["services"][0]["nsid"], json!("6e7331"));

    let key = site.wire.server.scratch();
    let path = key.path().join("key");
    fs::write(&path, "00".repeat(32)).expect("a temporary file");
    is_set(&site.agent, &[&format!("nsid=hmac:{}", path.display()), "nsid-period=366days"]);
    let first = text(&client).expect("digits");
    assert_eq!(first.len(), 32);
    assert_eq!(site.agent.status()["services"][0]["nsid"], json!(first));
    assert_eq!(site.agent.status()["services"][0]["name"], json!(NAME));
    fs::write(&path, "11".repeat(32)).expect("a temporary file");
    site.agent.hang_up();
    // The configuration says the name.
    until(PATIENCE, "the name", || text(&client).as_deref() == Some(NAME));
    is_set(&site.agent, &[&format!("nsid=hmac:{}", path.display()), "nsid-period=1s"]);
    let second = text(&client).expect("digits");
    assert_ne!(second, first, "under another key");
    until(PATIENCE, "another period", || text(&client).is_some_and(|third| third != second));
}

#[test]
fn sighup_reads_the_file_again_and_what_is_wrong_in_it_changes_nothing() {
    let wire = Wire::direct();
    let _server = Server::start_default(Software::Nsd, &wire.server, wire.addresses);
    let directory = wire.server.scratch();
    let path = directory.path().join("nsid.toml");
    let write = |policies: &str, iface: &str| {
        let text = format!("iface = \"{iface}\"\n{policies}\n[[services]]\nstore = \"static:{NAME}\"\n");
        fs::write(&path, text).expect("a temporary file");
    };
    write("", INTERFACE);
    let agent =
        Agent::start(&wire.server, &["--config", path.to_str().expect("a path in UTF-8"), "--answer", "off"]);
    let [client, _] = wire.clients();
    assert_eq!(name(&client).as_deref(), Some(NAME));
    write("deny = [\"10.0.0.0/8\"]\nanswer = \"any\"", INTERFACE);
    agent.hang_up();
    until(PATIENCE, "the file to be read", || name(&client).is_none());
    assert_eq!(agent.status()["policies"]["answer"], json!("off"), "the flag wins");
    for (policies, iface, part) in [
        ("allow = [\"10.0.0.0/8\"]", "eth1", "iface cannot change"),
        ("allow = [\"10.0.0.1/8\"]", INTERFACE, "10.0.0.0/8 for the network"),
        ("nosuch = 1", INTERFACE, "nosuch"),
    ] {
        write(policies, iface);
        agent.hang_up();
        until(PATIENCE, part, || agent.logged(part) > 0);
        assert_eq!(name(&client), None, "{policies}");
    }
}

#[test]
fn more_networks_of_clients_than_there_is_room_for_are_refused_with_their_number() {
    let site = Site::new(Software::Nsd, NAME);
    let network = |number: u32| format!("192.{}.{}.0/24", number / 128, number % 128 * 2);
    let many: Vec<_> = (0..520).map(network).collect();
    let part = "1041 ranges of addresses, and the kernel programs look through 1024";
    is_refused(&site.agent, &[&format!("allow={}", many.join(","))], part);
}

/// Who decides nothing about it: a host's networks come and go.
#[test]
fn a_host_of_more_networks_than_there_is_room_for_is_served_and_answers_fewer() {
    const NETWORKS: u32 = 600;
    let Site { agent, server: _server, wire } = Site::new(Software::Nsd, NAME);
    let [client, _] = wire.clients();
    assert_eq!(agent.status()["left_to_server"], json!(0));
    let add =
        |network| format!("address add 198.{}.{}.1/24 dev {INTERFACE}", 18 + network / 256, network % 256);
    wire.server.ip_batch(&(0..NETWORKS).map(add).collect::<Vec<_>>());
    let left = || agent.status()["left_to_server"].as_u64().unwrap_or_default();
    until(PATIENCE, "the addresses to be followed", || left() > 600);
    assert_eq!(agent.logged("is left to the server"), 1, "told once");
    assert_eq!(
        (name(&client).as_deref(), text(&client).as_deref()),
        (Some(NAME), Some(NAME)),
        "of 10.0.0.0/8"
    );
    let output = nsid(&["status", "--instance", agent.instance().name()]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("ranges of clients are left to the server"));
    // Of all its addresses, an instance serves 256.
    let [server, _] = wire.addresses.both();
    let (store, listen) = (format!("static:{NAME}"), format!("{server}:53"));
    let arguments = ["--iface", INTERFACE, "--store", &store, "--listen", &listen];
    let agent = Agent::spawn_as(agent.kill(), &wire.server, &arguments);
    until(PATIENCE, "a start with those networks", || agent.is_ready().is_some());
    assert!(agent.status()["left_to_server"].as_u64() > Some(600));
}

#[test]
fn answers_above_the_rate_go_to_the_server() {
    let site = Site::new(Software::Nsd, NAME);
    let [client, _] = site.clients();
    is_set(&site.agent, &["answer-rate=3"]);
    let said: Vec<_> = (0..10).map(|_| text(&client)).collect();
    let ours = said.iter().filter(|text| text.as_deref() == Some(NAME)).count();
    assert!((3..10).contains(&ours), "{said:?}");
    assert_eq!(counted(&site.agent, "answer_rate"), (10 - ours) as u64);
}
