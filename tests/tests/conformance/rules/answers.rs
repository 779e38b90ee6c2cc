//! Which answers get the name.

use hickory_proto::{
    op::OpCode,
    rr::{RecordType, rdata::opt::EdnsCode},
};
use nsid_tests::{
    message::Query,
    servers::{ABSENT, BROKEN, ELSEWHERE, LONG_TEXT, MANY_ADDRESSES, ORIGIN, PRESENT, Software},
};

use super::Rule;
use crate::subject::{Found, Side};

/// Response codes (RFC 1035 4.1.1, RFC 6891 9).
const NOERROR: u16 = 0;
const FORMERR: u16 = 1;
const SERVFAIL: u16 = 2;
const NXDOMAIN: u16 = 3;
const NOTIMP: u16 = 4;
const REFUSED: u16 = 5;
const BADVERS: u16 = 16;

/// A type of which a query makes no sense without more (RFC 2930 2).
const TKEY: RecordType = RecordType::Unknown(249);

/// An opcode that nobody has assigned (RFC 6895 2.2).
const UNASSIGNED: OpCode = OpCode::Unknown(14);

pub(crate) const RULES: &[Rule] = &[
    Rule {
        key: "asked",
        source: "RFC 5001 2.2",
        says: "the name is in the answer to who asks for it",
        check: |side| {
            for query in positive() {
                expect(side, &query.with_nsid(), NOERROR)?;
            }
            expect(side, &Query::a(PRESENT).with_nsid(), NOERROR)
        },
    },
    Rule {
        key: "not-asked",
        source: "RFC 5001 2.2",
        says: "who does not ask gets the server's own answer",
        check: |side| {
            for query in positive() {
                for query in [query.clone().with_opt(), query.clone().with_cookie(), query.with_dnssec_ok()] {
                    let pair = side.ask(&query)?;
                    pair.unchanged()?;
                    if pair.with.nsid_option().is_some() {
                        return Err(format!("an NSID unasked: {query:?}"));
                    }
                }
            }
            Ok(Found::Kept)
        },
    },
    Rule {
        key: "no-opt",
        source: "RFC 6891 6.1.1",
        says: "a query without OPT gets the server's own answer, without OPT",
        check: |side| {
            for query in positive() {
                let pair = side.ask(&query)?;
                pair.unchanged()?;
                if pair.with.message().edns.is_some() {
                    return Err(format!("an OPT unasked: {query:?}"));
                }
            }
            Ok(Found::Kept)
        },
    },
    Rule {
        key: "nxdomain",
        source: "RFC 2308 2.1",
        says: "NXDOMAIN",
        check: |side| expect(side, &Query::a(ABSENT).with_nsid(), NXDOMAIN),
    },
    Rule {
        key: "servfail",
        source: "RFC 1035 4.1.1",
        says: "SERVFAIL",
        check: |side| expect(side, &Query::a(BROKEN).with_nsid(), SERVFAIL),
    },
    Rule {
        key: "refused",
        source: "RFC 1035 4.1.1",
        says: "REFUSED",
        check: |side| expect(side, &Query::a(ELSEWHERE).with_nsid(), REFUSED),
    },
    Rule {
        key: "notimp",
        source: "RFC 1035 4.1.1",
        says: "NOTIMP, of an opcode that nobody has assigned",
        check: |side| expect(side, &Query::a(PRESENT).with_opcode(UNASSIGNED).with_nsid(), NOTIMP),
    },
    Rule {
        key: "formerr",
        source: "RFC 1035 4.1.1",
        says: "FORMERR, of what the server finds malformed",
        check: |side| expect(side, &malformed(side.subject.software), FORMERR),
    },
    Rule {
        key: "badvers",
        source: "RFC 6891 6.1.3",
        says: "BADVERS, of a later version of EDNS",
        check: |side| expect(side, &Query::a(PRESENT).with_nsid().with_edns_version(1), BADVERS),
    },
    Rule {
        key: "bytes",
        source: "RFC 5001 2.2",
        says: "every other byte is the server's own: any question, with a cookie, with DO, with 512 bytes",
        check: |side| {
            let mut named = 0;
            for query in positive().into_iter().chain([Query::a(ABSENT), Query::a(ELSEWHERE)]) {
                let query = query.with_nsid();
                for query in
                    [query.clone().with_cookie(), query.clone().with_dnssec_ok(), query.with_udp_size(512)]
                {
                    named += usize::from(side.ask(&query)?.judge()? == Found::Kept);
                }
            }
            if named > 20 { Ok(Found::Kept) } else { Err(format!("only {named} with the name")) }
        },
    },
];

/// What the zone has.
fn positive() -> Vec<Query> {
    let mut queries: Vec<Query> =
        [PRESENT, "bc.example.test.", "def.example.test.", "ghij.example.test.", MANY_ADDRESSES]
            .map(Query::a)
            .into();
    queries.push(Query::new(PRESENT, RecordType::AAAA));
    queries.push(Query::new(LONG_TEXT, RecordType::TXT));
    queries.push(Query::new(ORIGIN, RecordType::SOA));
    queries
}

/// What a server answers with FORMERR; for most, two options that are too short or too long (RFC 7873 5.2.2,
/// RFC 7871 7.1.2).
fn malformed(software: Software) -> Query {
    match software {
        Software::Knot => Query::a(PRESENT).with_opcode(OpCode::Update).with_nsid(),
        Software::PowerdnsAuthoritative => Query::new(PRESENT, TKEY).with_nsid(),
        _ => Query::a(PRESENT)
            .with_nsid()
            .with_option_of(EdnsCode::Cookie, &[1, 2, 3])
            .with_option_of(EdnsCode::Subnet, &[0, 1, 33, 0, 192, 0, 2, 1, 1]),
    }
}

/// The twin answers with this code, and we add the name or nothing.
fn expect(side: &Side<'_>, query: &Query, code: u16) -> Result<Found, String> {
    let pair = side.ask(query)?;
    let says = u16::from(pair.without.rcode());
    if says != code {
        return Err(format!("{query:?}: response code {says}, not {code}"));
    }
    pair.judge()
}
