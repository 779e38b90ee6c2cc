//! What must be true of any server's answers.

mod answers;
mod options;
mod signed;
mod sizes;
mod state;

use crate::subject::{Found, Side};

/// One of them.
#[derive(Debug)]
pub(crate) struct Rule {
    /// What the table of exceptions and files call it.
    pub(crate) key: &'static str,
    /// Where it is written.
    pub(crate) source: &'static str,
    /// What it says.
    pub(crate) says: &'static str,
    /// Whether it is kept.
    pub(crate) check: fn(&Side<'_>) -> Result<Found, String>,
}

/// Those that are asked of a server as it is by default, in the order of the page.
pub(crate) fn by_default() -> impl Iterator<Item = &'static Rule> {
    [answers::RULES, sizes::RULES, options::RULES, state::RULES].into_iter().flatten()
}

/// Those that start programs: asked with checksums as the interface has them.
pub(crate) fn signed() -> impl Iterator<Item = &'static Rule> {
    signed::RULES.iter()
}

/// Those that are asked of a server with an NSID of its own.
pub(crate) fn with_own() -> impl Iterator<Item = &'static Rule> {
    state::WITH_OWN.iter()
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Rule> {
    by_default().chain(signed()).chain(with_own())
}
