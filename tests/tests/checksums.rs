//! What leaves the host has good checksums, whoever computes them, by tcpdump and by the client's kernel.

use nsid_tests::{
    capture::Capture,
    checksum_errors::checksum_errors,
    link::{TxChecksum, set_tx_checksum},
    message::Query,
    servers::{PRESENT, Software},
    site::Site,
    wire::{INTERFACE, Wire},
};

/// Asks whatever makes us touch a packet; the number of answers.
fn ask_everything(site: &Site, name: &str) -> usize {
    let mut answers = 0;
    for client in site.clients() {
        for asked in [PRESENT, "bc.example.test.", "def.example.test.", "ghij.example.test."] {
            let query = Query::a(asked).with_nsid();
            for query in [query.clone(), query.with_cookie()] {
                assert_eq!(client.ask(&query).nsid().as_deref(), Some(name));
                answers += 1;
            }
        }
        for asked in ["id.server.", "hostname.bind."] {
            let query = Query::identity(asked);
            for query in [query.clone(), query.clone().with_opt(), query.with_nsid()] {
                assert_eq!(client.ask(&query).text().as_deref(), Some(name));
                answers += 1;
            }
        }
    }
    answers
}

/// Names of odd and even length, so that what follows them starts at either.
const NAMES: [&str; 2] = ["worker7", "worker17"];

#[test]
fn no_answer_that_crosses_a_router_has_a_bad_checksum() {
    for software in Software::USUAL {
        for name in NAMES {
            let site = Site::on(Wire::routed(), software, name, &[]);
            for tx in [TxChecksum::Offloaded, TxChecksum::Computed] {
                set_tx_checksum(&site.wire.server, INTERFACE, tx);
                let capture = Capture::start(&site.wire.client);
                let asked = ask_everything(&site, name);
                let verdict = capture.verdict(asked);
                assert_eq!((verdict.responses, verdict.good), (asked, asked), "{tx:?} {verdict:?}");
                assert!(verdict.bad.is_empty(), "{tx:?} {verdict:?}");
            }
            assert_eq!(checksum_errors(&site.wire.client), (0, 0));
        }
    }
}

#[test]
fn no_answer_on_one_link_is_dropped_for_its_checksum() {
    for name in NAMES {
        let site = Site::new(Software::Nsd, name);
        for (server, client) in [
            (TxChecksum::Offloaded, TxChecksum::Offloaded),
            (TxChecksum::Offloaded, TxChecksum::Computed),
            (TxChecksum::Computed, TxChecksum::Offloaded),
            (TxChecksum::Computed, TxChecksum::Computed),
        ] {
            set_tx_checksum(&site.wire.server, INTERFACE, server);
            set_tx_checksum(&site.wire.client, INTERFACE, client);
            ask_everything(&site, name);
        }
        assert_eq!(checksum_errors(&site.wire.client), (0, 0));
    }
}
