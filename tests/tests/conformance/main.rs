//! Every rule with every DNS server, unchanged, and the page that says what was found.
//!
//! One test a server; `NSID_SERVER=knot` chooses one. Each of them starts three pairs of the server, one of each with the
//! agent and the other without: on the host's own interface, as a container has it, and with an NSID of the server's own.
//! It asks both of a pair the same (module `subject`); a rule (module `rules`) compares what they answer. What a rule cannot ask of a server is decided beforehand, with the reason,
//! in one table (module `exceptions`). All rules are asked before the test fails.

mod column;
mod exceptions;
mod page;
mod rules;
mod subject;

use std::{env, sync::Mutex};

use nsid_tests::servers::Software;

use self::column::Column;

/// Chooses one server.
const SERVER: &str = "NSID_SERVER";

fn conforms(software: Software) {
    static FOUND: Mutex<Vec<Column>> = Mutex::new(Vec::new());
    if let Ok(chosen) = env::var(SERVER) {
        let known = Software::ALL.map(Software::name);
        assert!(known.contains(&chosen.as_str()), "{SERVER}={chosen}, and not one of {known:?}");
        if chosen != software.name() {
            return;
        }
    }
    let column = Column::fill(software);
    page::keep(&column);
    let broken = column.broken();
    let mut found = FOUND.lock().expect("no test panics while it holds this");
    found.push(column);
    if found.len() == Software::ALL.len() {
        page::compare(&mut found);
    }
    drop(found);
    assert!(broken.is_empty(), "{}:\n{}", software.title(), broken.join("\n"));
}

macro_rules! tests {
    ($($name:ident: $software:ident,)+) => {
        $(
            #[test]
            fn $name() {
                conforms(Software::$software);
            }
        )+

        /// None is forgotten.
        #[test]
        fn every_server_has_a_test() {
            assert_eq!([$(Software::$software),+], Software::ALL);
        }
    };
}

tests! {
    coredns: Coredns,
    bind: Bind,
    unbound: Unbound,
    nsd: Nsd,
    knot: Knot,
    knot_resolver: KnotResolver,
    powerdns_authoritative: PowerdnsAuthoritative,
    powerdns_recursor: PowerdnsRecursor,
    dnsdist: Dnsdist,
    dnsmasq: Dnsmasq,
    hickory: Hickory,
    gdnsd: Gdnsd,
}
