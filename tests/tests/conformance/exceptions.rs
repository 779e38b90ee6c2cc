//! What cannot be asked of a server, and where its answers are such that we leave them alone.

use nsid_tests::servers::Software::{
    self, Bind, Coredns, Dnsdist, Dnsmasq, Gdnsd, Hickory, Knot, KnotResolver, Nsd, PowerdnsAuthoritative,
    PowerdnsRecursor, Unbound,
};

use self::{
    Expected::{Is, NotApplicable},
    Whose::{AllBut, Of},
};
use crate::subject::Found::{self, Absent, Unchanged};

/// What is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// That, for a reason, unless it is that the rule is kept.
    Is(Found, &'static str),
    /// The rule is not asked, for a reason.
    NotApplicable(&'static str),
}

/// Which servers it is about.
#[derive(Clone, Copy, Debug)]
enum Whose {
    Of(&'static [Software]),
    AllBut(&'static [Software]),
}

impl Whose {
    fn has(self, software: Software) -> bool {
        match self {
            Of(some) => some.contains(&software),
            AllBut(others) => !others.contains(&software),
        }
    }
}

/// Each exception: the rule's key, whose it is, and what is expected. Who knows no DNSSEC, the software tells.
const EXCEPTIONS: &[(&str, Whose, Expected)] = &[
    ("servfail", Of(&[Hickory, Gdnsd]), NotApplicable("it does not start with a zone that it cannot load")),
    ("notimp", Of(&[Coredns, Nsd, Dnsdist]), Is(Unchanged, "its NOTIMP has no OPT")),
    ("notimp", Of(&[Bind]), Is(Unchanged, "its NOTIMP repeats no question, and such answers are left alone")),
    ("notimp", Of(&[Dnsmasq]), NotApplicable("it refuses opcodes that it does not know")),
    ("notimp", Of(&[KnotResolver]), NotApplicable("it answers any opcode as a query")),
    (
        "notimp",
        Of(&[PowerdnsAuthoritative, PowerdnsRecursor]),
        NotApplicable("it drops opcodes that it does not know"),
    ),
    ("formerr", Of(&[Coredns, Hickory]), Is(Unchanged, "its FORMERR has no OPT")),
    (
        "formerr",
        Of(&[Unbound, Nsd, KnotResolver, PowerdnsRecursor, Dnsdist, Dnsmasq]),
        NotApplicable("it takes no notice of what is wrong in an option"),
    ),
    ("badvers", Of(&[KnotResolver, Dnsmasq]), NotApplicable("it answers any version of EDNS")),
    (
        "cookie",
        Of(&[Nsd, Knot, PowerdnsAuthoritative]),
        Is(Absent, "cookies are off unless it is told otherwise"),
    ),
    (
        "cookie",
        Of(&[Unbound, KnotResolver, PowerdnsRecursor, Dnsdist, Dnsmasq, Hickory]),
        Is(Absent, "it knows no cookies, or does not in this version"),
    ),
    ("subnet", AllBut(&[Bind, Gdnsd]), Is(Absent, "it answers with no client subnet unless it is told to")),
    ("padding", AllBut(&[Coredns]), Is(Absent, "it pads nothing that is not encrypted")),
    (
        "error",
        Of(&[Coredns, Bind, Unbound, PowerdnsAuthoritative, PowerdnsRecursor, Hickory, Gdnsd]),
        Is(Absent, "it refuses without an extended error"),
    ),
    ("tsig", Of(&[Unbound, KnotResolver, PowerdnsRecursor, Gdnsd]), NotApplicable("it signs no answers")),
    ("tsig", Of(&[Hickory]), NotApplicable("built with its default features, it knows no TSIG")),
    ("tsig", Of(&[Dnsmasq]), NotApplicable("what it passes on does not verify, without us either")),
    (
        "cached",
        Of(&[Coredns, Bind, Nsd, Knot, Hickory, Gdnsd]),
        NotApplicable("it has no cache, or none unless it is told otherwise"),
    ),
    ("replaced", Of(&[Dnsmasq]), NotApplicable("it says no NSID of its own from its cache")),
    ("kept", Of(&[Dnsmasq]), NotApplicable("it says no NSID of its own from its cache")),
];

const DNSSEC: &str = "dnssec";

/// What is expected of a rule and a server.
pub(crate) fn expected(rule: &str, software: Software) -> Expected {
    if let (DNSSEC, Some(why)) = (rule, software.no_dnssec()) {
        return NotApplicable(why);
    }
    EXCEPTIONS
        .iter()
        .find(|(key, whose, _)| *key == rule && whose.has(software))
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
                let both = Software::ALL.iter().find(|one| whose.has(**one) && others.has(**one));
                assert!(key != other || both.is_none(), "{key}: {both:?}");
            }
        }
    }
}
