//! What cannot be asked of a server, and where its answers are such that we leave them alone.

use nsid_tests::servers::Software;

use crate::subject::Found;

/// What is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// That, for a reason, unless it is that the rule is kept.
    Is(Found, &'static str),
    /// The rule is not asked, for a reason.
    NotApplicable(&'static str),
}

/// Each exception: the rule's key, whose it is, and what is expected.
const EXCEPTIONS: &[(&str, &[Software], Expected)] = &[];

/// What is expected of a rule and a server.
pub(crate) fn expected(rule: &str, software: Software) -> Expected {
    EXCEPTIONS
        .iter()
        .find(|(key, whose, _)| *key == rule && whose.contains(&software))
        .map_or(Expected::Is(Found::Kept, ""), |(_, _, expected)| *expected)
}
