//! `nsid probe`: what a person sees of a server, of ours and of others, and of none.

use std::{
    net::{SocketAddr, UdpSocket},
    process::Output,
    time::{Duration, Instant},
};

use nsid_tests::{
    agent::binary,
    client::PORT,
    netns::Namespace,
    servers::{Options, Server, Software},
    site::Site,
    wire::Wire,
};
use serde_json::{Value, json};

const NAME: &str = "worker0.tf.local";

fn probe(namespace: &Namespace, arguments: &[&str]) -> Output {
    let binary = binary();
    let mut command = namespace.command(binary.to_str().expect("a path in UTF-8"));
    command.arg("probe").args(arguments).output().expect("nsid can be run")
}

/// The exit code, and what is said in answer to each question, without the time.
fn seen(namespace: &Namespace, arguments: &[&str]) -> (Option<i32>, [String; 2]) {
    let output = probe(namespace, arguments);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = |line: &str, question: &str| {
        let rest = line.strip_prefix(question).unwrap_or_else(|| panic!("{question:?} in {output:?}"));
        let timed = rest.strip_suffix(" ms").and_then(|rest| rest.rsplit_once(' '));
        let said = timed.map_or(rest, |(said, time)| {
            let time: f64 = time.parse().unwrap_or_else(|error| panic!("{time}: {error}: {output:?}"));
            assert!((0.0..10_000.0).contains(&time), "{output:?}");
            said
        });
        said.trim_end().to_owned()
    };
    let lines = stdout.lines().collect::<Vec<_>>();
    let [nsid, id_server] = lines[..] else { panic!("two lines: {output:?}") };
    assert!(output.stderr.is_empty(), "{output:?}");
    (output.status.code(), [said(nsid, "NSID        "), said(id_server, "id.server.  ")])
}

fn json_of(namespace: &Namespace, arguments: &[&str]) -> Value {
    let output = probe(namespace, &[arguments, &["--json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn an_agents_name_is_seen_in_both_answers() {
    for software in Software::USUAL {
        let site = Site::new(software, NAME);
        let client = &site.wire.client;
        for address in site.wire.addresses.both() {
            assert_eq!(seen(client, &[&address.to_string()]), (Some(0), [NAME; 2].map(str::to_owned)));
        }
    }
}

#[test]
fn a_server_that_stands_still_has_a_name_by_the_kernel_alone() {
    let site = Site::new(Software::Nsd, NAME);
    site.server.freeze();
    for address in site.wire.addresses.both() {
        assert_eq!(
            seen(&site.wire.client, &[&address.to_string(), "--timeout", "200ms"]),
            (Some(0), ["no answer within 200ms", NAME].map(str::to_owned))
        );
    }
}

#[test]
fn a_server_without_an_agent_says_no_nsid_or_its_own() {
    for software in [Software::Nsd, Software::Unbound] {
        for (own_nsid, outcome, text, shown) in [
            (None, "unnamed", json!(null), "no NSID (REFUSED)"),
            (Some("own.example"), "named", json!("own.example"), "own.example"),
        ] {
            let wire = Wire::direct();
            let _server = Server::start(
                software,
                &wire.server,
                wire.addresses,
                Options { own_nsid, ..Options::default() },
            );
            for address in wire.addresses.both() {
                let address = address.to_string();
                let (code, [nsid, id_server]) = seen(&wire.client, &[&address]);
                assert_eq!((code, &*nsid), (Some(0), shown), "{software:?}");
                // By default, both say the host's name there.
                let json = json_of(&wire.client, &[&address]);
                assert_eq!(json["nsid"]["outcome"], outcome, "{software:?} {json}");
                assert_eq!(json["nsid"]["text"], text, "{software:?} {json}");
                assert_eq!(json["id_server"]["text"], json!(id_server), "{software:?} {json}");
            }
        }
    }
}

#[test]
fn an_empty_nsid_that_the_server_echoes_is_no_name() {
    let wire = Wire::direct();
    let _server = Server::start_default(Software::Coredns, &wire.server, wire.addresses);
    for address in wire.addresses.both() {
        let address = address.to_string();
        let said = ["empty NSID (REFUSED)", "no TXT (REFUSED)"].map(str::to_owned);
        assert_eq!(seen(&wire.client, &[&address]), (Some(1), said));
        let json = json_of(&wire.client, &[&address]);
        assert_eq!(
            (&json["nsid"]["outcome"], &json["nsid"]["text"]),
            (&json!("empty"), &json!("")),
            "{json}"
        );
        assert_eq!(json["id_server"]["outcome"], "unnamed", "{json}");
    }
}

#[test]
fn json_is_one_object_in_which_nothing_is_absent() {
    let site = Site::new(Software::Nsd, NAME);
    for address in site.wire.addresses.both() {
        let mut json = json_of(&site.wire.client, &[&address.to_string()]);
        for question in ["nsid", "id_server"] {
            let time = json[question]["time_us"].take();
            assert!((1..10_000_000).contains(&time.as_u64().unwrap_or_default()), "{question} took {time}");
        }
        let said = |rcode| {
            json!({
                "outcome": "named", "text": NAME, "hex": "776f726b6572302e74662e6c6f63616c", "more": [],
                "rcode": rcode, "truncated": false, "time_us": null,
            })
        };
        let address = SocketAddr::from((address, PORT)).to_string();
        assert_eq!(
            json,
            json!({ "address": address, "nsid": said("REFUSED"), "id_server": said("NOERROR") })
        );
    }
}

#[test]
fn where_nobody_listens_the_port_or_the_address_is_unreachable() {
    let wire = Wire::direct();
    for address in wire.addresses.both() {
        assert_eq!(
            seen(&wire.client, &[&address.to_string()]),
            (Some(1), ["port unreachable"; 2].map(str::to_owned))
        );
    }
    for elsewhere in ["192.0.2.1", "2001:db8::1"] {
        assert_eq!(
            seen(&wire.client, &[elsewhere]),
            (Some(1), ["address unreachable"; 2].map(str::to_owned))
        );
    }
}

#[test]
fn a_black_hole_is_given_up_in_time() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let wire = Wire::direct();
    for address in wire.addresses.both() {
        let hole = wire.server.enter(|| UdpSocket::bind((address, 0)).expect("a free port"));
        let socket = hole.local_addr().expect("its address").to_string();
        let start = Instant::now();
        let seen = seen(&wire.client, &[&socket, "--timeout", "300ms"]);
        let took = start.elapsed();
        assert_eq!(seen, (Some(1), ["no answer within 300ms"; 2].map(str::to_owned)));
        // Two questions, and a process.
        assert!((TIMEOUT * 2..TIMEOUT * 3).contains(&took), "{took:?}");
    }
}
