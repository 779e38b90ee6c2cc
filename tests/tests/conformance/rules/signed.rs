//! What is signed.

use hickory_proto::{op::ResponseCode, rr::RecordType};
use nsid_tests::{
    dig::{Program, dig},
    message::Query,
    servers::{ABSENT, KEY, LONG_TEXT, PRESENT, SECRET},
    validator::{Validated, Validator},
};

use super::Rule;
use crate::subject::{Found, NAME, Side};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        key: "dnssec",
        source: "RFC 4035 5",
        says: "a validating resolver that asks for NSID validates the answers, and gets the name",
        check: validates,
    },
    Rule {
        key: "tsig",
        source: "RFC 8945 5.3",
        says: "a signed exchange verifies: it is left alone",
        check: verifies,
    },
];

fn validates(side: &Side<'_>) -> Result<Found, String> {
    let mut received = 0;
    for (whose, namespace) in side.subject.clients() {
        let validator = Validator::start(namespace, side.address);
        for (query, rcode) in [
            (Query::a(PRESENT), ResponseCode::NoError),
            (Query::new(LONG_TEXT, RecordType::TXT), ResponseCode::NoError),
            (Query::a(ABSENT), ResponseCode::NXDomain),
        ] {
            let validated = validator.ask(query.clone());
            if validated != Some(Validated { rcode, authentic: true }) {
                return Err(format!("{whose}: {query:?}: {validated:?}"));
            }
        }
        received = validator.received(NAME);
    }
    // With us: DNSKEY, and each of the three.
    if received >= 4 {
        Ok(Found::Kept)
    } else {
        Err(format!("validated, and the name in {received} answers"))
    }
}

fn verifies(side: &Side<'_>) -> Result<Found, String> {
    let key = format!("hmac-sha256:{KEY}:{SECRET}");
    for (whose, namespace) in side.subject.clients() {
        for program in Program::ALL {
            match dig(program, namespace, side.address, &["-y", &key, "+nsid", PRESENT]) {
                Some(report) if report.status == "NOERROR" && report.signed && report.warnings.is_empty() => {
                    if report.nsid.as_deref() == Some(NAME) {
                        return Err(format!("{program:?}: the name in a signed answer"));
                    }
                }
                report => return Err(format!("{whose}: {program:?}: {report:?}")),
            }
        }
    }
    Ok(Found::Kept)
}
