//! What the names of a pool have in common: `worker{id}.tf.local`, one name for each of its slots.

use std::{fmt, num::NonZeroU32};

use super::{NameError, NodeName};

/// The spellings of the slot's place: ours first, then the one of idetcd's Go templates.
const PLACES: [&str; 2] = ["{id}", "{{.ID}}"];

/// The pattern that turns a pool's slots into names.
///
/// **Invariant:** each slot below the limit makes a valid name, in which the slot's digits stand alone: of two
/// patterns that end or begin with digits there, two slots could make one name (`a{id}` and `a1{id}` make `a12`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    before: String,
    after: String,
    limit: NonZeroU32,
}

impl Pattern {
    /// Reads a pattern for a pool of `limit` slots, 0 to `limit - 1`.
    pub fn parse(text: &str, limit: NonZeroU32) -> Result<Self, PatternError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let mut places = PLACES.iter().flat_map(|place| text.match_indices(place));
        let (at, place) = places.next().ok_or_else(|| PatternError::NoPlace { pattern: text.to_owned() })?;
        if places.next().is_some() {
            return Err(PatternError::SeveralPlaces { pattern: text.to_owned() });
        }
        let (before, after) = (text[..at].to_owned(), text[at + place.len()..].to_owned());
        if before.ends_with(|c: char| c.is_ascii_digit()) || after.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(PatternError::Digit { pattern: text.to_owned() });
        }
        let pattern = Self { before, after, limit };

        // More digits make a longer name and digits may stand anywhere: what the last slot allows, all do.
        let slot = limit.get() - 1;
        // With its dot again, for `NodeName` to drop: a second one is an empty label.
        match format!("{}.", pattern.text(slot)).parse::<NodeName>() {
            Ok(_) => Ok(pattern),
            Err(source) => Err(PatternError::Name { pattern: pattern.to_string(), slot, source }),
        }
    }

    /// How many slots the pool has.
    pub fn limit(&self) -> NonZeroU32 {
        self.limit
    }

    /// The name of a slot, which must be below the limit.
    pub fn name(&self, slot: u32) -> NodeName {
        assert!(slot < self.limit.get(), "slot {slot} of a pool of {}", self.limit);
        NodeName(self.text(slot))
    }

    /// A name that both patterns make, if there is one: names that differ only in case are one name (RFC 4343).
    ///
    /// By the invariant, digits of a name are a slot as a whole or not at all. So where one pattern has its slot, the
    /// other has the same digits in its text.
    pub fn name_in_common(&self, other: &Self) -> Option<NodeName> {
        let ends = |pattern: &Self| (pattern.before.to_ascii_lowercase(), pattern.after.to_ascii_lowercase());
        let (first, second) =
            if self.before.len() <= other.before.len() { (self, other) } else { (other, self) };
        let ((before, after), second_ends) = (ends(first), ends(second));
        if before.len() == second_ends.0.len() {
            return ((before, after) == second_ends).then(|| self.name(0));
        }
        let (slot, between) = slot_in_front(second_ends.0.strip_prefix(&before)?)?;
        let (second_slot, end) = slot_in_front(after.strip_prefix(between)?)?;
        let both = end == second_ends.1 && slot < first.limit.get() && second_slot < second.limit.get();
        both.then(|| first.name(slot))
    }

    fn text(&self, slot: u32) -> String {
        format!("{}{slot}{}", self.before, self.after)
    }
}

/// The digits that a text begins with, as a slot is written, and what stands behind them.
fn slot_in_front(text: &str) -> Option<(u32, &str)> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &text[..text.len() - rest.len()];
    let slot: u32 = digits.parse().ok()?;
    (slot.to_string() == digits).then_some((slot, rest))
}

/// The one spelling of this pattern, the same however it was given.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.before, PLACES[0], self.after)
    }
}

/// Why a text is no [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Every slot would have the same name.
    #[error("{pattern:?} has no {{id}}; put it where the slot's number goes, as in worker{{id}}.example.net")]
    NoPlace {
        /// The text.
        pattern: String,
    },
    /// The slot's number would stand twice.
    #[error("{pattern:?} has more than one {{id}}; leave one")]
    SeveralPlaces {
        /// The text.
        pattern: String,
    },
    /// The slot's number would run into another one.
    #[error(
        "{pattern:?} has a digit beside {{id}}, so that another pool could make the same names; put a '-' between them"
    )]
    Digit {
        /// The text.
        pattern: String,
    },
    /// The longest name of the pool is invalid.
    #[error("{pattern:?} makes no valid name of slot {slot}, the last one: {source}")]
    Name {
        /// The pattern.
        pattern: String,
        /// The last slot of the pool.
        slot: u32,
        /// What is wrong with its name.
        source: NameError,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str, limit: u32) -> Result<Pattern, PatternError> {
        Pattern::parse(text, NonZeroU32::new(limit).unwrap())
    }

    #[test]
    fn the_spelling_of_idetcd_is_the_same_pattern() {
        let pattern = parse("worker{{.ID}}.tf.local.", 3).unwrap();
        assert_eq!(Ok(&pattern), parse("worker{id}.tf.local", 3).as_ref());
        assert_eq!(pattern.to_string(), "worker{id}.tf.local");
        assert_eq!(pattern.name(2).as_str(), "worker2.tf.local");
    }

    #[test]
    fn the_slot_stands_exactly_once() {
        assert!(matches!(parse("worker.tf.local", 3), Err(PatternError::NoPlace { .. })));
        assert!(matches!(parse("{id}.{id}", 3), Err(PatternError::SeveralPlaces { .. })));
        assert!(matches!(parse("{{.ID}}.{id}", 3), Err(PatternError::SeveralPlaces { .. })));
        assert_eq!(parse("{id}", 1).unwrap().name(0).as_str(), "0");
    }

    #[test]
    fn only_one_trailing_dot_is_dropped() {
        assert_eq!(parse("w{id}.x.", 1).unwrap().name(0).as_str(), "w0.x");
        assert!(matches!(
            parse("w{id}.x..", 1),
            Err(PatternError::Name { source: NameError::EmptyLabel { .. }, .. })
        ));
    }

    #[test]
    fn no_digit_stands_beside_the_slot() {
        for text in ["att1{id}", "{id}0.example", "w9{{.ID}}"] {
            assert!(matches!(parse(text, 3), Err(PatternError::Digit { .. })), "{text}");
        }
        for text in ["att1-{id}", "1.{id}.1", "4att{id}x5"] {
            assert!(parse(text, 3).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_name_in_common_is_found_where_ones_slot_is_the_others_text() {
        for (one, other, name) in [
            ("w{id}.n5", "w5.n{id}", Some("w5.n5")),
            ("Worker{id}.test", "worker{id}.TEST", Some("Worker0.test")),
            ("w{id}", "w{id}.n", None),
            ("w{id}.n05", "w5.n{id}", None),
            ("w{id}.n5", "w5.n{id}.x", None),
            ("w{id}.n9", "w9.n{id}", None),
        ] {
            let [one, other] = [one, other].map(|text| parse(text, 9).unwrap());
            for (one, other) in [(&one, &other), (&other, &one)] {
                let found = one.name_in_common(other).map(|name| name.to_string().to_lowercase());
                assert_eq!(found, name.map(str::to_lowercase), "{one} {other}");
            }
        }
    }

    #[test]
    fn the_last_slot_decides_whether_a_label_is_too_long() {
        let text = format!("{}{{id}}", "a".repeat(62));
        assert_eq!(parse(&text, 10).unwrap().name(9).as_str().len(), 63);
        assert!(matches!(
            parse(&text, 11),
            Err(PatternError::Name { slot: 10, source: NameError::LongLabel { .. }, .. })
        ));
    }

    #[test]
    fn the_last_slot_decides_whether_a_name_is_too_long() {
        let text = format!("{}.{}.{{id}}", "a".repeat(62), "b".repeat(62));
        assert_eq!(parse(&text, 100).unwrap().name(99).as_str().len(), 128);
        assert!(matches!(
            parse(&text, 101),
            Err(PatternError::Name { slot: 100, source: NameError::Long { .. }, .. })
        ));
    }

    #[test]
    #[should_panic(expected = "slot 3 of a pool of 3")]
    fn a_slot_beyond_the_limit_has_no_name() {
        let _ = parse("worker{id}", 3).unwrap().name(3);
    }

    proptest! {
        #[test]
        fn every_slot_of_a_pattern_that_was_taken_has_a_valid_name_of_its_own(
            before in "[a-z0-9.]{0,70}", after in "[a-z0-9.]{0,70}", limit in 1u32.., slots: (u32, u32),
        ) {
            if let Ok(pattern) = parse(&format!("{before}{{id}}{after}"), limit) {
                let [one, other] = [slots.0 % limit, slots.1 % limit].map(|slot| (slot, pattern.name(slot)));
                for (_, name) in [&one, &other] {
                    prop_assert_eq!(name.as_str().parse(), Ok(name.clone()));
                }
                prop_assert_eq!(one.0 == other.0, one.1 == other.1);
            }
        }

        #[test]
        fn two_slots_of_two_patterns_of_one_domain_never_make_one_name(
            befores in ("a[a1]{0,3}", "a[a1]{0,3}"), slots in (0u32..200, 0u32..200),
        ) {
            let patterns = [&befores.0, &befores.1].map(|before| parse(&format!("{before}{{id}}.x"), 200));
            if let [Ok(one), Ok(other)] = patterns && one != other {
                prop_assert_ne!(one.name(slots.0), other.name(slots.1));
            }
        }

        #[test]
        fn a_name_in_common_is_found_if_there_is_one(one in "[a1{]{1,4}", other in "[a1{]{1,4}") {
            let patterns = [&one, &other].map(|text| parse(&text.replacen('{', "{id}", 1), 12));
            let [Ok(one), Ok(other)] = patterns else { return Ok(()) };
            let both_make = (0..12).any(|slot| (0..12).any(|second| one.name(slot) == other.name(second)));
            prop_assert_eq!(one.name_in_common(&other).is_some(), both_make);
        }

        #[test]
        fn what_a_pattern_prints_reads_back_as_the_same_pattern(
            before in "[a-z]{0,9}", after in "[a-z]{0,9}(\\.[a-z]{1,9})?", limit in 1u32..,
        ) {
            let pattern = parse(&format!("{before}{{id}}{after}"), limit).unwrap();
            prop_assert_eq!(parse(&pattern.to_string(), limit), Ok(pattern));
        }
    }
}
