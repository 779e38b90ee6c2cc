//! How much the requestor takes.

use hickory_proto::rr::RecordType;
use nsid_tests::{
    message::Query,
    servers::{LONG_TEXT, MANY_ADDRESSES},
};

use super::Rule;
use crate::subject::{Found, NAME};

/// What any requestor takes (RFC 6891 6.2.3).
const LEAST: u16 = 512;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        key: "size",
        source: "RFC 6891 6.2.3",
        says: "no answer is larger than the requestor takes: 512, 1232, 4096 bytes",
        check: |side| {
            for size in [LEAST, 1232, 4096] {
                for query in [Query::a(MANY_ADDRESSES), Query::new(LONG_TEXT, RecordType::TXT)] {
                    let query = query.with_nsid().with_udp_size(size);
                    let pair = side.ask(&query)?;
                    let length = pair.with.bytes().len();
                    if length > usize::from(size) {
                        return Err(format!("{length} bytes, asked for {size}"));
                    }
                    if pair.judge()? != Found::Kept && length + 4 + NAME.len() <= usize::from(size) {
                        return Err(format!("no name in {length} of {size} bytes: {query:?}"));
                    }
                }
            }
            Ok(Found::Kept)
        },
    },
    Rule {
        key: "exact",
        source: "RFC 6891 6.2.4",
        says: "the name is there if it just fits, and one byte less leaves the server's own answer",
        check: |side| {
            let query = Query::a(MANY_ADDRESSES).with_nsid();
            let whole = side.ask(&query)?.with.bytes().len();
            let whole = u16::try_from(whole).map_err(|error| error.to_string())?;
            if whole <= LEAST {
                return Err(format!("{whole} bytes fit anyway"));
            }
            let fits = side.ask(&query.clone().with_udp_size(whole))?;
            if fits.judge()? != Found::Kept || fits.with.bytes().len() != usize::from(whole) {
                return Err(format!("no {NAME} where it just fits"));
            }
            let does_not = side.ask(&query.with_udp_size(whole - 1))?;
            does_not.judge()?;
            if does_not.with.bytes().len() >= usize::from(whole) {
                return Err("a byte too many".into());
            }
            Ok(Found::Kept)
        },
    },
    Rule {
        key: "truncated",
        source: "RFC 2181 9",
        says: "an answer cut short (TC) stays so, and has the name",
        check: |side| {
            let query = Query::new(LONG_TEXT, RecordType::TXT).with_nsid().with_udp_size(LEAST);
            let pair = side.ask(&query)?;
            if !pair.without.message().metadata.truncation {
                return Err(format!("{} bytes without TC", pair.without.bytes().len()));
            }
            pair.judge()
        },
    },
];
