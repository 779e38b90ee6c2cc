//! `id.server.` and `hostname.bind.` CH TXT (RFC 4892), answered by the kernel: the server is stopped.

use std::time::Duration;

use hickory_proto::{op::ResponseCode, rr::RecordType};
use nsid_tests::{
    agent::Agent,
    client::Client,
    dig::{Program, dig},
    message::{Answer, Query},
    servers::{PRESENT, Software},
    site::Site,
    wire::{INTERFACE, Wire},
};

const NAMES: [&str; 2] = ["id.server.", "hostname.bind."];
const SOON: Duration = Duration::from_millis(200);

/// A wire without any server, and an agent that says `name`.
fn agent_alone(name: &str, arguments: &[&str]) -> (Agent, Wire) {
    let wire = Wire::direct();
    let store = format!("static:{name}");
    let agent = Agent::start(&wire.server, &[&["--iface", INTERFACE, "--store", &store], arguments].concat());
    (agent, wire)
}

#[test]
fn the_kernel_answers_with_the_server_stopped() {
    for software in Software::USUAL {
        let (_agent, wire) = Site::new(software, "worker3").without_server();
        for client in wire.clients() {
            assert!(client.ask_within(SOON, &Query::a(PRESENT)).is_none(), "the server is still there");
            for name in NAMES {
                assert_eq!(client.ask(&Query::identity(name)).text().as_deref(), Some("worker3"));
            }
        }
    }
}

#[test]
fn the_answer_is_what_was_asked_for() {
    let (_agent, wire) = agent_alone("worker3", &[]);
    for client in wire.clients() {
        for name in NAMES.into_iter().chain(["iD.SeRVer."]) {
            let plain = Query::identity(name);
            let with_opt = plain.clone().with_opt();
            for (query, opt, dnssec_ok, nsid) in [
                (plain.clone(), false, false, None),
                (with_opt.clone(), true, false, None),
                (with_opt.with_cookie(), true, false, None),
                (plain.clone().with_dnssec_ok(), true, true, None),
                (plain.clone().with_nsid(), true, false, Some("worker3")),
                (plain.clone().with_cookie().with_nsid(), true, false, Some("worker3")),
                (plain.with_nsid().with_dnssec_ok(), true, true, Some("worker3")),
            ] {
                let answer = client.ask_as(0x1234, &query);
                let message = answer.message();
                assert_eq!(answer.rcode(), ResponseCode::NoError);
                assert_eq!(answer.text().as_deref(), Some("worker3"), "{query:?}");
                assert_eq!(answer.nsid().as_deref(), nsid, "{query:?}");
                assert_eq!(message.edns.is_some(), opt, "{query:?}");
                assert_eq!(message.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok), dnssec_ok);
                assert!(message.metadata.recursion_desired);
                // The question comes back byte for byte, also in its letters' case (draft-vixie-dnsext-dns0x20).
                let question = 12..12 + name.len() + 1 + 4;
                assert_eq!(answer.bytes()[question.clone()], query.encode(0)[question]);
            }
        }
    }
}

#[test]
fn dig_and_kdig_find_nothing_wrong() {
    let (_agent, wire) = agent_alone("worker3", &[]);
    for address in wire.addresses.both() {
        for program in Program::ALL {
            for name in NAMES {
                let report =
                    dig(program, &wire.client, address, &["CH", "TXT", name, "+nsid"]).expect("an answer");
                assert_eq!(report.texts, ["worker3"], "{program:?} {report:?}");
                assert_eq!((report.status.as_str(), report.nsid.as_deref()), ("NOERROR", Some("worker3")));
                assert!(report.warnings.is_empty(), "{program:?} {report:?}");
            }
        }
    }
}

/// A valid name of that many bytes.
fn name_of(length: usize) -> String {
    let name = "n".repeat(63) + "." + &"m".repeat(31) + "." + &"x".repeat(length - 96);
    assert_eq!(name.len(), length);
    name
}

/// The room in a frame depends on what the allocator gave: many sockets, many frames.
fn many_sockets<'a>(wire: &'a Wire, query: &'a Query) -> impl Iterator<Item = Answer> + 'a {
    let servers = wire.addresses.both().into_iter().flat_map(|server| std::iter::repeat_n(server, 100));
    servers.map(|server| Client::new(&wire.client, server).ask(query))
}

#[test]
fn a_frame_of_an_ordinary_socket_can_be_grown_by_the_longest_name() {
    let longest = name_of(128);
    let (_agent, wire) = agent_alone(&longest, &[]);
    for query in NAMES.map(Query::identity) {
        assert!(many_sockets(&wire, &query).all(|answer| answer.text().as_deref() == Some(&*longest)));
    }
}

#[test]
fn a_frame_of_an_ordinary_socket_can_be_grown_by_a_name_of_101_bytes_and_its_nsid() {
    let long = name_of(101);
    let (_agent, wire) = agent_alone(&long, &[]);
    for query in NAMES.map(|name| Query::identity(name).with_nsid()) {
        for answer in many_sockets(&wire, &query) {
            assert_eq!((answer.text().as_deref(), answer.nsid().as_deref()), (Some(&*long), Some(&*long)));
        }
    }
}

#[test]
fn whoever_answers_the_longest_name_is_in_its_nsid() {
    // Twice the longest name does not fit every frame; then the server is asked, and its answer gets the name.
    let longest = name_of(128);
    let site = Site::new(Software::Nsd, &longest);
    for query in NAMES.map(|name| Query::identity(name).with_nsid()) {
        assert!(many_sockets(&site.wire, &query).all(|answer| answer.nsid().as_deref() == Some(&*longest)));
    }
}

#[test]
fn other_questions_are_left_to_the_server() {
    let (_agent, wire) = agent_alone("worker3", &[]);
    for client in wire.clients() {
        let in_class_in = Query::new("id.server.", RecordType::TXT);
        for query in [Query::identity("version.bind."), Query::identity("a.id.server."), in_class_in] {
            assert!(client.ask_within(SOON, &query).is_none(), "{query:?}");
        }
        assert!(client.ask_within(SOON, &Query::identity("id.server.")).is_some());
    }
}

/// Gives the client an address that is neither on the server's link nor private.
fn stranger(wire: &Wire) -> Client {
    wire.client.ip("addr add 203.0.113.7/32 dev eth0");
    wire.server.ip("route add 203.0.113.7/32 via 10.77.1.1");
    Client::from_address(&wire.client, [203, 0, 113, 7].into(), wire.addresses.v4.into())
}

#[test]
fn a_stranger_is_answered_only_with_answer_any() {
    let query = Query::identity("id.server.");
    let (_agent, wire) = agent_alone("worker3", &[]);
    assert!(stranger(&wire).ask_within(SOON, &query).is_none());
    assert!(wire.clients().iter().all(|client| client.ask_within(SOON, &query).is_some()));
    let (_agent, wire) = agent_alone("worker3", &["--answer", "any"]);
    assert_eq!(stranger(&wire).ask(&query).text().as_deref(), Some("worker3"));
}

#[test]
fn with_answer_off_the_server_is_asked() {
    let (_agent, wire) = agent_alone("worker3", &["--answer", "off"]);
    for client in wire.clients() {
        assert!(client.ask_within(SOON, &Query::identity("id.server.")).is_none());
    }
}
