//! The name in the answers of real servers (RFC 5001, RFC 6891).

use std::time::Duration;

use hickory_proto::rr::RecordType;
use nsid_tests::{
    agent::Agent,
    client::Client,
    dig::{Program, dig},
    message::{Answer, Query},
    servers::{
        ABSENT, ANSWERS, ELSEWHERE, LONG_TEXT, MANY_ADDRESSES, ORIGIN, Options, PRESENT, Server, Software,
    },
    site::Site,
    wire::{INTERFACE, Wire},
};

const NAME: &str = "worker17.example.net";

#[test]
fn the_name_is_in_every_answer_to_who_asks() {
    for software in Software::USUAL {
        let site = Site::new(software, NAME);
        for client in site.clients() {
            for (name, rcode) in ANSWERS {
                let answer = client.ask(&Query::a(name).with_nsid());
                assert_eq!((answer.rcode(), answer.nsid().as_deref()), (rcode, Some(NAME)), "{name}");
            }
        }
    }
}

#[test]
fn dig_and_kdig_read_the_name_and_find_nothing_wrong() {
    for software in Software::USUAL {
        let site = Site::new(software, NAME);
        for address in site.wire.addresses.both() {
            for (program, (name, status)) in Program::ALL.into_iter().flat_map(|program| {
                [(PRESENT, "NOERROR"), (ABSENT, "NXDOMAIN"), (ELSEWHERE, "REFUSED")]
                    .map(|case| (program, case))
            }) {
                let report = dig(program, &site.wire.client, address, &["+nsid", name]).expect("an answer");
                assert_eq!(
                    (report.status.as_str(), report.nsid.as_deref()),
                    (status, Some(NAME)),
                    "{program:?}"
                );
                assert!(report.warnings.is_empty(), "{program:?} {report:?}");
            }
        }
    }
}

#[test]
fn no_name_is_said_unasked() {
    for software in Software::USUAL {
        let site = Site::new(software, NAME);
        for client in site.clients() {
            let plain = Query::a(PRESENT);
            for query in
                [plain.clone(), plain.clone().with_opt(), plain.clone().with_cookie(), plain.with_dnssec_ok()]
            {
                assert_eq!(client.ask(&query).nsid_option(), None, "{query:?}");
            }
        }
    }
}

#[test]
fn a_query_that_does_not_ask_voids_an_earlier_one_that_did() {
    let site = Site::new(Software::Nsd, NAME);
    for client in site.clients() {
        site.server.freeze();
        client.send(7, &Query::a(PRESENT).with_nsid());
        client.send(7, &Query::a(PRESENT).with_opt());
        site.server.thaw();
        for _ in 0..2 {
            let answer = client.receive(7, Duration::from_secs(3)).expect("two answers to two queries");
            assert_eq!(answer.nsid(), None);
        }
    }
}

#[test]
fn an_nsid_of_the_servers_own_is_replaced() {
    // Longer than the name, shorter, and as long.
    for own in ["an-nsid-that-the-server-has-of-its-own", "s1", "12345678901234567890"] {
        for software in Software::USUAL {
            let wire = Wire::direct();
            let options = Options { own_nsid: Some(own), ..Options::default() };
            let _server = Server::start(software, &wire.server, wire.addresses, options);
            let [v4, v6] = wire.clients();
            let query = Query::a(PRESENT).with_nsid();
            assert_eq!(v4.ask(&query).nsid().as_deref(), Some(own), "{software:?} by itself");
            let store = format!("static:{NAME}");
            let _agent = Agent::start(&wire.server, &["--iface", INTERFACE, "--store", &store]);
            for client in [v4, v6] {
                assert_eq!(client.ask(&query).nsid().as_deref(), Some(NAME), "{software:?} with {own}");
                assert_eq!(client.ask(&query.clone().with_cookie()).nsid().as_deref(), Some(NAME));
            }
        }
    }
}

#[test]
fn an_empty_nsid_that_the_server_echoes_is_filled() {
    let wire = Wire::direct();
    let _server = Server::start_default(Software::Coredns, &wire.server, wire.addresses);
    let clients = wire.clients();
    let cases = || {
        clients.iter().flat_map(|client| [PRESENT, ABSENT, ELSEWHERE].map(|name| (client, Query::a(name))))
    };
    for (client, query) in cases() {
        let before = client.ask_as(7, &query.clone().with_nsid().with_cookie());
        assert_eq!(before.nsid_option().as_deref(), Some(""));
    }
    let store = format!("static:{NAME}");
    let _agent = Agent::start(&wire.server, &["--iface", INTERFACE, "--store", &store]);
    for (client, query) in cases() {
        for query in [query.clone().with_nsid(), query.with_nsid().with_cookie()] {
            let answer = client.ask(&query);
            assert_eq!(answer.nsid_option().as_deref(), Some(NAME), "{query:?}");
        }
    }
}

/// Everything the tests ask, with and without NSID.
fn queries() -> Vec<Query> {
    let names = [
        PRESENT,
        "bc.example.test.",
        "def.example.test.",
        "ghij.example.test.",
        MANY_ADDRESSES,
        ABSENT,
        ELSEWHERE,
    ];
    let mut plain: Vec<Query> = names.into_iter().map(Query::a).collect();
    plain.push(Query::new(PRESENT, RecordType::AAAA));
    plain.push(Query::new(LONG_TEXT, RecordType::TXT));
    plain.push(Query::new(ORIGIN, RecordType::SOA));
    plain.push(Query::new("version.bind.", RecordType::TXT));
    let each = |query: Query| {
        let asking = query.clone().with_nsid();
        let with_opt = query.clone().with_opt();
        [query, with_opt, asking.clone(), asking.clone().with_dnssec_ok(), asking.with_udp_size(512)]
    };
    plain.into_iter().flat_map(each).collect()
}

#[test]
fn answers_are_the_servers_own_apart_from_nsid() {
    for software in Software::USUAL {
        let wire = Wire::direct();
        let _server = Server::start_default(software, &wire.server, wire.addresses);
        let clients = wire.clients();
        let answers = |client: &Client| -> Vec<Answer> {
            (1..).zip(queries()).map(|(id, query)| client.ask_as(id, &query)).collect()
        };
        let before = clients.each_ref().map(answers);
        let store = format!("static:{NAME}");
        let _agent = Agent::start(&wire.server, &["--iface", INTERFACE, "--store", &store]);
        let after = clients.each_ref().map(answers);
        let (mut with, mut without) = (0, 0);
        for (before, after) in before.iter().flatten().zip(after.iter().flatten()) {
            assert_eq!(after.apart_from_nsid(), before.apart_from_nsid());
            if after.nsid().is_some() {
                with += 1;
            } else {
                assert_eq!(after.bytes(), before.bytes());
                without += 1;
            }
        }
        assert!(with > 40 && without > 40, "{with} {without}");
    }
}

#[test]
fn a_name_that_does_not_fit_is_left_out() {
    for software in Software::USUAL {
        let site = Site::new(software, NAME);
        let nsid = u16::try_from(4 + NAME.len()).expect("a short name");
        for client in site.clients() {
            let query = Query::a(MANY_ADDRESSES).with_nsid();
            let answer = client.ask(&query);
            assert_eq!(answer.nsid().as_deref(), Some(NAME));
            let whole = u16::try_from(answer.bytes().len()).expect("a UDP payload");
            assert!(whole - nsid > 512, "below 512 the requestor's size does not count: {whole}");
            let fits = client.ask(&query.clone().with_udp_size(whole));
            assert_eq!((fits.nsid().as_deref(), fits.message().answers.len()), (Some(NAME), 30));
            let does_not = client.ask(&query.clone().with_udp_size(whole - 1));
            assert_eq!((does_not.nsid(), does_not.message().answers.len()), (None, 30));
            // The server shortens its answer, and there is room again or not: never more than was asked for.
            let short = client.ask(&query.with_udp_size(512));
            assert!(short.bytes().len() <= 512, "{}", short.bytes().len());
        }
    }
}

#[test]
fn a_name_that_exceeds_the_mtu_is_left_out() {
    // NAME and its option's head, behind an IPv4 and a UDP header.
    let around = 20 + 8 + 4 + NAME.len();
    for (room, nsid) in [(around, Some(NAME)), (around - 1, None)] {
        let wire = Wire::direct();
        let _server = Server::start_default(Software::Nsd, &wire.server, wire.addresses);
        let [client, _below_the_least_mtu_of_ipv6] = wire.clients();
        let query = Query::a(MANY_ADDRESSES).with_nsid();
        let mtu = client.ask(&query).bytes().len() + room;
        wire.server.ip(&format!("link set {INTERFACE} mtu {mtu}"));
        let store = format!("static:{NAME}");
        let _agent = Agent::start(&wire.server, &["--iface", INTERFACE, "--store", &store]);
        let answer = client.ask(&query);
        assert_eq!((answer.nsid().as_deref(), answer.message().answers.len()), (nsid, 30), "mtu {mtu}");
    }
}

#[test]
fn the_shortest_and_the_longest_names_are_said_at_odd_and_even_offsets() {
    let label = "n".repeat(63);
    let longest = format!("{label}.{}.n", "m".repeat(62));
    assert_eq!(longest.len(), 128);
    for name in ["a", "ab", "abc", "abcd", &label, &format!("{label}.{label}"), &longest] {
        let site = Site::new(Software::Nsd, name);
        for client in site.clients() {
            for asked in [PRESENT, "bc.example.test.", "def.example.test.", "ghij.example.test."] {
                let query = Query::a(asked).with_nsid();
                assert_eq!(client.ask(&query).nsid().as_deref(), Some(name), "{asked}");
                assert_eq!(client.ask(&query.with_cookie()).nsid().as_deref(), Some(name), "{asked}");
            }
        }
    }
}

#[test]
fn of_256_queries_open_at_once_none_is_answered_without_the_name() {
    for software in Software::USUAL {
        let site = Site::new(software, NAME);
        for address in site.wire.addresses.both() {
            let clients: Vec<Client> = (0..256).map(|_| Client::new(&site.wire.client, address)).collect();
            site.server.freeze();
            for (id, client) in (0..).zip(&clients) {
                client.send(id, &Query::a(PRESENT).with_nsid());
            }
            site.server.thaw();
            for (id, client) in (0..).zip(&clients) {
                let answer = client.receive(id, Duration::from_secs(3)).expect("an answer to each");
                assert_eq!(answer.nsid().as_deref(), Some(NAME), "query {id}");
            }
        }
    }
}
