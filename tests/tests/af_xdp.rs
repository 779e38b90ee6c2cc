//! A server that takes packets past the kernel's stack, by `AF_XDP`: Knot DNS, of Debian's package `knot`.

use std::time::Duration;

use nsid_tests::{
    agent::{Agent, nsid},
    message::Query,
    patience::until,
    peer_xdp::PassProgram,
    servers::{Intake, Options, PRESENT, Server, Software},
    wire::{INTERFACE, Wire},
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(10);
#[test]
fn a_server_that_takes_packets_past_the_stack_is_told_with_its_program() {
    let wire = Wire::direct();
    let options = Options { intake: Intake::AfXdp(INTERFACE), ..Options::default() };
    let knot = Server::start(Software::Knot, &wire.server, wire.addresses, options);
    let [client, _] = wire.clients();
    client.ask(&Query::a(PRESENT));
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
    assert_ne!(client.ask(&Query::a(PRESENT).with_nsid()).nsid().as_deref(), Some("ns1.example.net"));

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
