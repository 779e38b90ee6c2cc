//! What a server has of its own, or remembers.

use nsid_tests::{message::Query, servers::PRESENT};

use super::Rule;
use crate::subject::{Found, OWN, Side};

pub(crate) const RULES: &[Rule] = &[Rule {
    key: "cached",
    source: "RFC 5001 2.2",
    says: "what an answer in a cache was asked with makes no difference to the next who asks",
    check: |side| {
        let name = "ghij.example.test.";
        let [asking, not] = [Query::a(name).with_nsid(), Query::a(name).with_opt()];
        for (query, expected) in
            [(&not, None), (&asking, Some(())), (&asking, Some(())), (&not, None), (&asking, Some(()))]
        {
            let pair = side.ask(query)?;
            let found = pair.judge()?;
            if expected.is_some() && found != Found::Kept {
                return Err(format!("no name: {query:?}"));
            }
            if expected.is_none() && pair.with.nsid_option().is_some() {
                return Err(format!("a name unasked: {query:?}"));
            }
        }
        Ok(Found::Kept)
    },
}];

/// Those that need a server with an NSID of its own.
pub(crate) const WITH_OWN: &[Rule] = &[Rule {
    key: "replaced",
    source: "RFC 5001 2.3",
    says: "an NSID of the server's own is replaced by the name, and nothing else",
    check: |side| {
        for query in [Query::a(PRESENT).with_nsid(), Query::a(PRESENT).with_nsid().with_cookie()] {
            let pair = side.ask(&query)?;
            let own = pair.without.nsid();
            if own.as_deref() != Some(OWN) {
                return Err(format!("without us {own:?}, not {OWN}"));
            }
            if pair.judge()? != Found::Kept {
                return Err(format!("not replaced: {query:?}"));
            }
        }
        Ok(Found::Kept)
    },
}];
