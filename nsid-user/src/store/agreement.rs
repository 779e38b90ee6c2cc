//! What all who claim from a pool are given alike.
//!
//! The first to come writes it into the store, and who differs is refused: a name of another spelling or another number
//! of names is a mistake in one of the two configurations, and nobody but a person knows in which.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::name::{NodeName, Pattern};
use crate::plain::Plain;

/// The version of how a pool is kept, where its store does not say which: which keys or files there are, and what is in
/// them.
const FORMAT: u32 = 1;

/// Pattern and limit of a pool, and how it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    format: u32,
    pattern: String,
    limit: NonZeroU32,
}

/// Why this claimant can have no part in a pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// It was given something else.
    #[error("{what} {here} here, {there} in the pool", there = Plain(there))]
    Setting {
        /// What.
        what: &'static str,
        /// What it was given.
        here: String,
        /// What the others were given.
        there: String,
    },
    /// Another pool of this store makes names of this one.
    #[error("pattern {here} here, {there} in another pool, and both make {name}", there = Plain(there))]
    SameName {
        /// This claimant's pattern.
        here: String,
        /// The other pool's.
        there: String,
        /// The first of the names.
        name: NodeName,
    },
    /// No version of nsid wrote that, or a later one.
    #[error("in the pool is {there:?}, which is no agreement of this version ({reason})", reason = Plain(reason))]
    Unreadable {
        /// What is there.
        there: String,
        /// Why it is none.
        reason: String,
    },
}

impl Disagreement {
    /// Of an agreement that says what this version would say, and in other bytes than it would write.
    pub(super) fn by_hand(stored: &[u8]) -> Self {
        Self::unreadable(stored, &"it was not written by nsid")
    }

    fn unreadable(stored: &[u8], reason: &impl ToString) -> Self {
        Self::Unreadable { there: String::from_utf8_lossy(stored).into_owned(), reason: reason.to_string() }
    }
}

impl Agreement {
    /// That of a pool of this pattern.
    pub fn new(pattern: &Pattern) -> Self {
        Self { format: FORMAT, pattern: pattern.to_string(), limit: pattern.limit() }
    }

    /// The same in a store that keeps it in that version.
    #[must_use]
    pub fn kept_as(self, format: u32) -> Self {
        Self { format, ..self }
    }

    /// How many slots the pool has.
    pub fn limit(&self) -> u32 {
        self.limit.get()
    }

    /// What tells the pool from the others of a store: names that differ only in case are one name (RFC 4343).
    pub fn pool(&self) -> String {
        self.pattern.to_ascii_lowercase()
    }

    /// As it stands in the store: always the same bytes for the same agreement.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and text are JSON")
    }

    /// Of what stands in the store for this pool.
    pub fn check(&self, stored: &[u8]) -> Result<(), Disagreement> {
        let Self { format, pattern, limit } = Self::read(stored)?;
        // The format first: of another one, nothing else is certain.
        differ("format", &self.format, &format)?;
        differ("pattern", &self.pattern, &pattern)?;
        differ("limit", &self.limit, &limit)
    }

    /// Of what stands in the store for another pool. What cannot be read is no matter of this pool.
    pub fn check_beside(&self, stored: &[u8]) -> Result<(), Disagreement> {
        let pattern = |agreement: &Self| Pattern::parse(&agreement.pattern, agreement.limit).ok();
        let other = Self::read(stored).ok().as_ref().and_then(pattern);
        match pattern(self).zip(other).and_then(|(own, other)| own.name_in_common(&other)) {
            Some(name) => Err(Disagreement::SameName {
                here: self.pattern.clone(),
                there: Self::read(stored)?.pattern,
                name,
            }),
            None => Ok(()),
        }
    }

    pub(super) fn read(stored: &[u8]) -> Result<Self, Disagreement> {
        serde_json::from_slice(stored).map_err(|error| Disagreement::unreadable(stored, &error))
    }
}

fn differ<T: PartialEq + ToString>(what: &'static str, here: &T, there: &T) -> Result<(), Disagreement> {
    if here == there {
        return Ok(());
    }
    Err(Disagreement::Setting { what, here: here.to_string(), there: there.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(pattern: &str, limit: u32) -> Agreement {
        Agreement::new(&Pattern::parse(pattern, limit.try_into().unwrap()).unwrap())
    }

    #[test]
    fn the_agreement_is_kept_as_documented() {
        let json = r#"{"format":1,"pattern":"worker{id}.tf.local","limit":8}"#;
        assert_eq!(agreement("worker{{.ID}}.tf.local.", 8).to_json(), json);
    }

    #[test]
    fn what_differs_is_told_with_both_values() {
        let own = agreement("worker{id}.test", 8);
        assert_eq!(own.check(own.to_json().as_bytes()), Ok(()));
        for (stored, told) in [
            (agreement("worker{id}.test", 16).to_json(), "limit 8 here, 16 in the pool"),
            (
                agreement("Worker{id}.test", 8).to_json(),
                "pattern worker{id}.test here, Worker{id}.test in the pool",
            ),
            (
                r#"{"format":2,"pattern":"worker{id}.test","limit":8,"more":1}"#.to_owned(),
                "format 1 here, 2 in the pool",
            ),
        ] {
            assert_eq!(own.check(stored.as_bytes()).unwrap_err().to_string(), told);
        }
        let hostile = agreement("worker{id}.test", 8).to_json().replace("test", r"\u001b[2Jtest\n");
        assert_eq!(
            own.check(hostile.as_bytes()).unwrap_err().to_string(),
            r"pattern worker{id}.test here, worker{id}.\u{1b}[2Jtest\n in the pool"
        );
        let unreadable = own.check(b"\xff8").unwrap_err().to_string();
        assert!(unreadable.contains("no agreement of this version"), "{unreadable}");
    }

    #[test]
    fn another_pool_is_in_the_way_only_if_it_makes_the_same_name() {
        let own = agreement("w{id}.n5", 8);
        for (pattern, limit, name) in [
            ("w5.n{id}", 6, Some("w5.n5")),
            ("W5.N{id}", 6, Some("w5.n5")),
            ("w5.n{id}", 5, None),
            ("x{id}.n5", 8, None),
        ] {
            let told = own.check_beside(agreement(pattern, limit).to_json().as_bytes());
            match (told, name) {
                (Ok(()), None) => {}
                (Err(Disagreement::SameName { name, .. }), Some(expected)) => {
                    assert_eq!(name.as_str(), expected);
                }
                (told, expected) => panic!("{pattern}: {told:?}, not {expected:?}"),
            }
        }
        assert_eq!(own.check_beside(b"{"), Ok(()));
    }
}
