//! What cannot be asked of a server, and where its answers are such that we leave them alone.

use nsid_tests::servers::Software::{
    self, Bind, Coredns, Dnsdist, Dnsmasq, Gdnsd, Hickory, Knot, KnotResolver, Nsd, PowerdnsAuthoritative,
    PowerdnsRecursor, Unbound,
};

use self::Expected::{Is, NotApplicable};
use crate::subject::Found::{self, Absent, Unchanged};

/// What is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// That, for a reason, unless it is that the rule is kept.
    Is(Found, &'static str),
    /// The rule is not asked, for a reason.
    NotApplicable(&'static str),
}

/// Each exception: the rule's key, whose it is, and what is expected. Who knows no DNSSEC, the software tells.
const EXCEPTIONS: &[(&str, &[Software], Expected)] = &[
    ("servfail", &[Hickory, Gdnsd], NotApplicable("it does not start with a zone that it cannot load")),
    ("notimp", &[Coredns, Nsd, Dnsdist], Is(Unchanged, "its NOTIMP has no OPT")),
    ("notimp", &[Bind], Is(Unchanged, "its NOTIMP repeats no question, and such answers are left alone")),
    ("notimp", &[Dnsmasq], NotApplicable("it refuses opcodes that it does not know")),
    ("notimp", &[KnotResolver], NotApplicable("it answers any opcode as a query")),
    (
        "notimp",
        &[PowerdnsAuthoritative, PowerdnsRecursor],
        NotApplicable("it drops opcodes that it does not know"),
    ),
    ("formerr", &[Coredns, Hickory], Is(Unchanged, "its FORMERR has no OPT")),
    (
        "formerr",
        &[Unbound, Nsd, KnotResolver, PowerdnsRecursor, Dnsdist, Dnsmasq],
        NotApplicable("it takes no notice of what is wrong in an option"),
    ),
    ("badvers", &[KnotResolver, Dnsmasq], NotApplicable("it answers any version of EDNS")),
    (
        "cookie",
        &[Nsd, Knot, PowerdnsAuthoritative],
        Is(Absent, "cookies are off unless it is told otherwise"),
    ),
    (
        "cookie",
        &[Unbound, KnotResolver, PowerdnsRecursor, Dnsdist, Dnsmasq, Hickory],
        Is(Absent, "it knows no cookies, or does not in this version"),
    ),
    (
        "subnet",
        &[
            Coredns,
            Unbound,
            Nsd,
            Knot,
            KnotResolver,
            PowerdnsAuthoritative,
            PowerdnsRecursor,
            Dnsdist,
            Dnsmasq,
            Hickory,
        ],
        Is(Absent, "it answers with no client subnet unless it is told to"),
    ),
    (
        "padding",
        &[
            Bind,
            Unbound,
            Nsd,
            Knot,
            KnotResolver,
            PowerdnsAuthoritative,
            PowerdnsRecursor,
            Dnsdist,
            Dnsmasq,
            Hickory,
            Gdnsd,
        ],
        Is(Absent, "it pads nothing that is not encrypted"),
    ),
    (
        "error",
        &[Coredns, Bind, Unbound, PowerdnsAuthoritative, PowerdnsRecursor, Hickory, Gdnsd],
        Is(Absent, "it refuses without an extended error"),
    ),
    ("tsig", &[Unbound, KnotResolver, PowerdnsRecursor, Gdnsd], NotApplicable("it signs no answers")),
    ("tsig", &[Hickory], NotApplicable("built with its default features, it knows no TSIG")),
    ("tsig", &[Dnsmasq], NotApplicable("what it passes on does not verify, without us either")),
    (
        "cached",
        &[Coredns, Bind, Nsd, Knot, Hickory, Gdnsd],
        NotApplicable("it has no cache, or none unless it is told otherwise"),
    ),
    ("replaced", &[Dnsmasq], NotApplicable("it says no NSID of its own from its cache")),
    ("kept", &[Dnsmasq], NotApplicable("it says no NSID of its own from its cache")),
];

const DNSSEC: &str = "dnssec";

/// What is expected of a rule and a server.
pub(crate) fn expected(rule: &str, software: Software) -> Expected {
    if let (DNSSEC, Some(why)) = (rule, software.no_dnssec()) {
        return NotApplicable(why);
    }
    EXCEPTIONS
        .iter()
        .find(|(key, whose, _)| *key == rule && whose.contains(&software))
        .map_or(Is(Found::Kept, ""), |(_, _, expected)| *expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules;

    #[test]
    fn each_exception_is_of_a_rule() {
        let rules: Vec<&str> = rules::all().map(|rule| rule.key).collect();
        for key in EXCEPTIONS.iter().map(|(key, ..)| *key).chain([DNSSEC]) {
            assert!(rules.contains(&key), "{key} is none of {rules:?}");
        }
    }

    #[test]
    fn no_rule_has_two_exceptions_for_a_server() {
        for (index, (key, whose, _)) in EXCEPTIONS.iter().enumerate() {
            for (other, others, _) in &EXCEPTIONS[index + 1..] {
                let both = whose.iter().find(|software| others.contains(software));
                assert!(key != other || both.is_none(), "{key}: {both:?}");
            }
        }
    }
}
