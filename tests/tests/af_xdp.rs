//! A server that takes packets past the kernel's stack, by `AF_XDP`: Knot DNS, of Debian's package `knot`.

use std::{fs, time::Duration};

use nsid_tests::{
    agent::{Agent, nsid},
    message::Query,
    patience::until,
    peer_xdp::PassProgram,
    process::Process,
    wire::{INTERFACE, Wire},
};
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_millis(200);

/// Knot DNS on port 53 of the interface itself, for every address.
fn knot(wire: &Wire, directory: &TempDir) -> Process {
    let state = directory.path().display();
    let zone = "example.test. 60 SOA ns hostmaster 1 60 60 60 60\nexample.test. 60 NS ns.example.net.\n";
    fs::write(directory.path().join("zone"), zone).expect("a temporary file");
    let text = format!(
        r#"
server:
    rundir: "{state}"
    user: root:root
xdp:
    listen: {INTERFACE}@53
database:
    storage: "{state}"
log:
  - target: stderr
    any: info
zone:
  - domain: example.test
    file: "{state}/zone"
    zonefile-sync: -1
"#
    );
    let config = directory.path().join("knot.conf");
    fs::write(&config, text).expect("a temporary file");
    let mut command = wire.server.command("/usr/sbin/knotd");
    command.arg("-c").arg(config);
    Process::start("knot", &mut command, directory.path())
}

#[test]
fn a_server_that_takes_packets_past_the_stack_is_told_with_its_program() {
    let wire = Wire::direct();
    let directory = wire.server.scratch();
    let knot = knot(&wire, &directory);
    // Its neighbours' addresses are asked for by the kernel alone.
    let [client, _] = wire.clients();
    until(PATIENCE, "an answer of Knot", || {
        assert!(!knot.stderr().contains("error"), "{}", knot.stderr());
        client.ask_within(SOON, &Query::a("example.test.")).is_some()
    });
    let shown = wire.server.ip_shows("-d -o link show dev eth0");
    assert!(shown.contains("xdp_redirect"), "Knot's own program: {shown}");
    let agent = Agent::start(
        &wire.server,
        &["--iface", INTERFACE, "--store", "static:ns1.example.net", "--ingress", "auto"],
    );
    let told = |status: &Value| status["interfaces"][0]["bypass"]["program"].as_str().map(str::to_owned);
    let program = told(&agent.status()).expect("a program");
    assert!(shown.contains(&format!("name {program}")), "{program}: {shown}");
    let status = nsid(&["status", "--instance", agent.instance().name()]);
    let text = String::from_utf8_lossy(&status.stdout);
    assert!(text.contains(&program) && text.contains("AF_XDP"), "{text}");
    assert_eq!(agent.logged("AF_XDP"), 1, "{}", agent.stderr());
    // It is so: what Knot says is its own.
    assert_ne!(client.ask(&Query::a("example.test.").with_nsid()).nsid().as_deref(), Some("ns1.example.net"));

    drop(knot);
    wire.server.ip("link set dev eth0 xdp off");
    until(PATIENCE, "the server to be gone", || told(&agent.status()).is_none());
}

#[test]
fn a_program_that_hands_nothing_past_the_stack_is_no_such_server() {
    let wire = Wire::direct();
    let _other = PassProgram::attach(&wire.server, INTERFACE);
    let agent = Agent::start(
        &wire.server,
        &["--iface", INTERFACE, "--store", "static:ns1.example.net", "--ingress", "auto"],
    );
    let status = agent.status();
    assert_eq!(status["interfaces"][0]["bypass"], Value::Null, "{status}");
}
