//! Which answers get the name.

use hickory_proto::{
    op::OpCode,
    rr::{RecordType, rdata::opt::EdnsCode},
};
use nsid_tests::{
    message::Query,
    servers::{ABSENT, BROKEN, ELSEWHERE, LONG_TEXT, MANY_ADDRESSES, ORIGIN, PRESENT},
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
        source: "RFC 7873 5.2.2",
        says: "FORMERR, of a cookie that is too short",
        check: |side| {
            let query = Query::a(PRESENT).with_nsid().with_option_of(EdnsCode::Cookie, &[1, 2, 3]);
            expect(side, &query, FORMERR)
        },
    },
    Rule {
        key: "badvers",
        source: "RFC 6891 6.1.3",
        says: "BADVERS, of a later version of EDNS",
        check: |side| expect(side, &Query::a(PRESENT).with_nsid().with_edns_version(1), BADVERS),
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

/// The twin answers with this code, and we add the name or nothing.
fn expect(side: &Side<'_>, query: &Query, code: u16) -> Result<Found, String> {
    let pair = side.ask(query)?;
    let says = u16::from(pair.without.rcode());
    if says != code {
        return Err(format!("{query:?}: response code {says}, not {code}"));
    }
    pair.judge()
}
