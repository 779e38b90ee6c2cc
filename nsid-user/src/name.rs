//! Names of nodes, and the pattern that a pool makes them from.

use std::fmt;

/// A name that a node may say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeName(String);

impl NodeName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pool's names: one text with the slot in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    before: String,
    after: String,
}

impl Pattern {
    /// Reads a pattern for the slots below `limit`.
    pub fn parse(text: &str, _limit: u32) -> Result<Self, String> {
        let (before, after) = text.split_once("{id}").ok_or("a pattern contains `{id}`")?;
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// The name of that slot.
    pub fn name(&self, slot: u32) -> NodeName {
        NodeName(format!("{}{slot}{}", self.before, self.after))
    }
}
