//! What must be true of any server's answers.

mod answers;
mod options;
mod sizes;

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

/// All of them, in the order of the page.
pub(crate) fn all() -> impl Iterator<Item = &'static Rule> {
    [answers::RULES, sizes::RULES, options::RULES].into_iter().flatten()
}
