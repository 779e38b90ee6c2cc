//! What else is in the query's OPT.

use hickory_proto::rr::rdata::opt::EdnsCode;
use nsid_tests::{
    message::Query,
    servers::{ELSEWHERE, PRESENT},
};

use super::Rule;
use crate::subject::{Found, Side};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        key: "twice",
        source: "RFC 5001 2.2",
        says: "asked twice, the name is there once",
        check: |side| side.ask(&Query::a(PRESENT).with_nsid().with_nsid())?.judge(),
    },
    Rule {
        key: "payload",
        source: "RFC 5001 2.2",
        says: "what the query's NSID option holds is ignored",
        check: |side| side.ask(&Query::a(PRESENT).with_nsid_payload("who are you"))?.judge(),
    },
    Rule {
        key: "cookie",
        source: "RFC 7873 5.2",
        says: "a cookie in the answer stays",
        check: |side| beside(side, PRESENT, EdnsCode::Cookie, &[1, 2, 3, 4, 5, 6, 7, 8]),
    },
    Rule {
        key: "subnet",
        source: "RFC 7871 7.2.1",
        says: "a client subnet in the answer stays",
        // IPv4, 24 bits of source prefix, 192.0.2.
        check: |side| beside(side, PRESENT, EdnsCode::Subnet, &[0, 1, 24, 0, 192, 0, 2]),
    },
    Rule {
        key: "padding",
        source: "RFC 7830 4",
        says: "padding in the answer stays",
        check: |side| beside(side, PRESENT, EdnsCode::Padding, &[0; 16]),
    },
    Rule {
        key: "error",
        source: "RFC 8914 2",
        says: "an extended error in the answer stays",
        check: |side| {
            let pair = side.ask(&Query::a(ELSEWHERE).with_nsid())?;
            answered_with(&pair, EXTENDED_ERROR)
        },
    },
];

/// Extended DNS Error (RFC 8914 2).
const EXTENDED_ERROR: EdnsCode = EdnsCode::Unknown(15);

/// An option in the query beside NSID, which the server answers with one of its own.
fn beside(side: &Side<'_>, name: &str, code: EdnsCode, data: &[u8]) -> Result<Found, String> {
    let pair = side.ask(&Query::a(name).with_nsid().with_option_of(code, data))?;
    answered_with(&pair, code)
}

fn answered_with(pair: &crate::subject::Pair, code: EdnsCode) -> Result<Found, String> {
    let found = pair.judge()?;
    let options = pair.without.message().edns.as_ref().map(|edns| edns.options().get_all(code));
    match options {
        Some(options) if !options.is_empty() => Ok(found),
        _ => Ok(Found::Absent),
    }
}
