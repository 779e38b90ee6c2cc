//! Hosts as they are: an XDP slot that is taken, tc instead, a server in a container, other programs beside ours.

use nsid_tests::{
    agent::Agent,
    attached::{Attached, attached},
    capture::Capture,
    checksum_errors::checksum_errors,
    client::Client,
    link::{TxChecksum, set_tx_checksum},
    message::Query,
    peer_xdp::{PROGRAM, PassProgram},
    process::run,
    servers::{ABSENT, MANY_ADDRESSES, PRESENT, Server, Software},
    site::Site,
    wire::{INTERFACE, NEAR, Wire},
};
use serde_json::{Value, json};

const NAME: &str = "worker17.example.net";

/// Queries of [`names_every_answer`] and of [`kernel_answers`], of two clients.
const ASKED: usize = 12;

/// What tells of its only interface.
fn interface(agent: &Agent) -> Value {
    agent.status()["interfaces"][0].clone()
}

fn names_every_answer(clients: &[Client]) {
    for client in clients {
        for name in [PRESENT, ABSENT] {
            let query = Query::a(name);
            assert_eq!(client.ask(&query.clone().with_nsid()).nsid().as_deref(), Some(NAME), "{name}");
            assert_eq!(client.ask(&query.clone().with_nsid().with_cookie()).nsid().as_deref(), Some(NAME));
            assert_eq!(client.ask(&query.with_opt()).nsid(), None);
        }
    }
}

fn kernel_answers(clients: &[Client], name: &str) {
    for client in clients {
        for asked in ["id.server.", "hostname.bind."] {
            let query = Query::identity(asked);
            for query in [query.clone(), query.clone().with_opt(), query.with_nsid()] {
                assert_eq!(client.ask(&query).text().as_deref(), Some(name), "{query:?}");
            }
        }
    }
}

#[test]
fn where_the_xdp_slot_is_taken_tc_does_the_same() {
    let wire = Wire::direct();
    let _other = PassProgram::attach(&wire.server, INTERFACE);
    let site = Site::on(wire, Software::Nsd, NAME, &["--ingress", "auto"]);
    let told = interface(&site.agent);
    assert_eq!(told["ingress"], json!({"hook": "tc", "mode": "tc"}), "{told}");
    assert!(told["reason"].as_str().is_some_and(|reason| reason.contains(PROGRAM)), "{told}");
    names_every_answer(&site.clients());
    let (_agent, wire) = site.without_server();
    kernel_answers(&wire.clients(), NAME);
    assert_eq!(attached(&wire.server, INTERFACE), Attached { xdp: 1, tcx_ingress: 1, tcx_egress: 1 });
}

/// What `XDP_TX` sends is dropped there (`veth_xdp_xmit`, drivers/net/veth.c): the far end of a container's link has no
/// program.
#[test]
fn on_veth_answers_arrive_though_the_far_end_has_no_xdp_program() {
    let wire = Wire::container();
    let host = wire.router.as_ref().expect("a container has a host");
    let store = format!("static:{NAME}");
    let _agent = Agent::start(&wire.server, &["--iface", INTERFACE, "--store", &store, "--ingress", "auto"]);
    kernel_answers(&wire.addresses.both().map(|server| Client::new(host, server)), NAME);
}

#[test]
fn at_tc_the_longest_name_is_answered_with_nsid_whatever_the_tailroom() {
    let label = "n".repeat(63);
    let longest = format!("{label}.{}.n", "m".repeat(62));
    for name in ["a", &longest] {
        let site = Site::on(Wire::direct(), Software::Nsd, name, &["--ingress", "tc"]);
        let (_agent, wire) = site.without_server();
        for (server, client) in [
            (TxChecksum::Offloaded, TxChecksum::Offloaded),
            (TxChecksum::Offloaded, TxChecksum::Computed),
            (TxChecksum::Computed, TxChecksum::Offloaded),
        ] {
            set_tx_checksum(&wire.server, INTERFACE, server);
            set_tx_checksum(&wire.client, INTERFACE, client);
            kernel_answers(&wire.clients(), name);
        }
        assert_eq!(checksum_errors(&wire.client), (0, 0));
    }
}

#[test]
fn no_answer_made_at_tc_has_a_bad_checksum_behind_a_router() {
    for name in ["worker7", "worker17"] {
        let site = Site::on(Wire::routed(), Software::Nsd, name, &["--ingress", "tc"]);
        let (_agent, wire) = site.without_server();
        for tx in [TxChecksum::Offloaded, TxChecksum::Computed] {
            set_tx_checksum(&wire.server, INTERFACE, tx);
            let capture = Capture::start(&wire.client);
            kernel_answers(&wire.clients(), name);
            let verdict = capture.verdict(ASKED);
            assert_eq!((verdict.responses, verdict.good), (ASKED, ASKED), "{tx:?} {verdict:?}");
        }
        assert_eq!(checksum_errors(&wire.client), (0, 0));
    }
}

#[test]
fn a_server_in_a_container_is_named_from_the_hosts_end_of_its_link() {
    let wire = Wire::container();
    let host = wire.router.as_ref().expect("a container has a host");
    let _server = Server::start_default(Software::Nsd, &wire.server, wire.addresses);
    let [v4, v6] = wire.addresses.both().map(|address| std::net::SocketAddr::new(address, 53).to_string());
    let store = format!("static:{NAME}");
    let agent = Agent::start(host, &["--iface", NEAR, "--store", &store, "--listen", &v4, "--listen", &v6]);
    let told = interface(&agent);
    assert_eq!((&told["ingress"], &told["behind"]), (&Value::Null, &json!(true)), "{told}");
    assert_eq!(attached(host, NEAR), Attached { xdp: 0, tcx_ingress: 1, tcx_egress: 1 });
    for tx in [TxChecksum::Offloaded, TxChecksum::Computed] {
        set_tx_checksum(&wire.server, INTERFACE, tx);
        let capture = Capture::start(&wire.client);
        names_every_answer(&wire.clients());
        let verdict = capture.verdict(ASKED);
        assert_eq!((verdict.responses, verdict.good), (ASKED, ASKED), "{tx:?} {verdict:?}");
    }
    // From the host itself.
    names_every_answer(&wire.addresses.both().map(|server| Client::new(host, server)));
    assert_eq!((checksum_errors(&wire.client), checksum_errors(host)), ((0, 0), (0, 0)));
    let (status, _instance) = agent.terminate();
    assert!(status.success());
    assert_eq!(attached(host, NEAR), Attached::default());
}

/// RFC 6891 6.2.3 is about the requestor; what the router on the way takes is our host's to know.
#[test]
fn a_name_that_exceeds_what_the_way_out_takes_is_left_out() {
    let wire = Wire::container();
    let host = wire.router.as_ref().expect("a container has a host");
    let _server = Server::start_default(Software::Nsd, &wire.server, wire.addresses);
    let [client, _below_the_least_mtu_of_ipv6] = wire.clients();
    let query = Query::a(MANY_ADDRESSES).with_nsid();
    let mtu = client.ask(&query).bytes().len() + 20 + 8;
    host.ip(&format!("link set far mtu {mtu}"));
    let store = format!("static:{NAME}");
    let listen = format!("{}:53", wire.addresses.v4);
    let _agent = Agent::start(host, &["--iface", NEAR, "--store", &store, "--listen", &listen]);
    let answer = client.ask(&query);
    assert_eq!((answer.nsid(), answer.message().answers.len()), (None, 30), "mtu {mtu}");
    assert_eq!(client.ask(&Query::a(PRESENT).with_nsid()).nsid().as_deref(), Some(NAME));
}

#[test]
fn beside_other_programs_at_tcx_and_clsact_all_run_and_the_order_is_told() {
    let wire = Wire::direct();
    let _others = [
        PassProgram::attach_ingress(&wire.server, INTERFACE),
        PassProgram::attach_egress(&wire.server, INTERFACE),
    ];
    wire.server.ip("link add sink type veth peer name drain");
    wire.server.ip("link set sink up");
    run(wire.server.command("tc").args(["qdisc", "add", "dev", INTERFACE, "clsact"]));
    for direction in ["ingress", "egress"] {
        let filter = format!("filter add dev {INTERFACE} {direction} protocol all u32 match u32 0 0");
        let action = "action mirred egress mirror dev sink";
        run(wire.server.command("tc").args(filter.split(' ')).args(action.split(' ')));
    }
    let site = Site::on(wire, Software::Nsd, NAME, &["--ingress", "tc"]);
    names_every_answer(&site.clients());
    let told = interface(&site.agent);
    assert_eq!(
        told["tcx"],
        json!({"ingress": ["nsid_queries", PROGRAM], "egress": ["nsid_responses", PROGRAM]}),
        "{told}"
    );
    // What passed ours has come to the filters behind all of tcx.
    for direction in ["ingress", "egress"] {
        let shown =
            run(site.wire.server.command("tc").args(["-s", "filter", "show", "dev", INTERFACE, direction]));
        let sent = shown.lines().find_map(|line| line.trim().strip_prefix("Sent ")?.split(' ').nth(2));
        let packets: u64 = sent.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{shown}"));
        assert!(packets >= 12, "{direction}: {packets} packets\n{shown}");
    }
}
