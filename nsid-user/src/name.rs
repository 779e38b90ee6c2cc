//! Names of DNS server nodes, and the patterns that a pool's names are made from.

mod pattern;

use std::{fmt, str::FromStr};

pub use self::pattern::{Pattern, PatternError};

/// Bytes that a label may have (RFC 1035 section 2.3.4).
pub const LABEL_MAX: usize = 63;

/// Bytes that a whole name may have, dots included. Far less than the DNS allows, so that an answer with the
/// name in it still fits where the requestor allows only 512 bytes.
pub const NAME_MAX: usize = nsid_common::image::MAX_NODE_NAME;

/// The name of one DNS server node: labels of ASCII letters, digits, `-` and `_` with dots between them.
///
/// **Invariant:** every label has 1 to [`LABEL_MAX`] bytes and the whole 1 to [`NAME_MAX`]; no dot at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeName(String);

impl NodeName {
    /// The name as text, without a trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeName {
    type Err = NameError;

    /// Takes a name with or without the trailing dot of a fully qualified one.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        for label in name.split('.') {
            if label.is_empty() {
                return Err(NameError::EmptyLabel { name: name.to_owned() });
            }
            if let Some(character) = label.chars().find(|c| !belongs_in_a_label(*c)) {
                return Err(NameError::Character { label: label.to_owned(), character });
            }
            if label.len() > LABEL_MAX {
                return Err(NameError::LongLabel { label: label.to_owned() });
            }
        }
        if name.len() > NAME_MAX {
            return Err(NameError::Long { name: name.to_owned() });
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// RFC 1123 section 2.1, and the underscore, which host names in the wild have.
fn belongs_in_a_label(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}

/// Why a text is no [`NodeName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or a dot alone.
    #[error("the name is empty; give one such as ns1.example.net")]
    Empty,
    /// Two dots in a row, or one at the front.
    #[error("the name {name:?} has an empty label; leave one dot between labels and none in front")]
    EmptyLabel {
        /// The whole name.
        name: String,
    },
    /// A character that no label may have.
    #[error("the label {label:?} has a {character:?}; use ASCII letters, digits, '-' and '_'")]
    Character {
        /// The label with the character in it.
        label: String,
        /// The first such character.
        character: char,
    },
    /// A label beyond [`LABEL_MAX`].
    #[error("the label {label:?} has {} bytes; shorten it to {LABEL_MAX}", label.len())]
    LongLabel {
        /// The label.
        label: String,
    },
    /// A name beyond [`NAME_MAX`].
    #[error("the name {name:?} has {} bytes; shorten it to {NAME_MAX}", name.len())]
    Long {
        /// The whole name.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_label_may_have_63_bytes_and_not_64() {
        assert!("a".repeat(63).parse::<NodeName>().is_ok());
        let label = "a".repeat(64);
        assert_eq!(format!("x.{label}.y").parse::<NodeName>(), Err(NameError::LongLabel { label }));
    }

    #[test]
    fn a_name_may_have_128_bytes_and_not_129() {
        let three_labels = ["a".repeat(63), "b".repeat(62), "c".to_owned()].join(".");
        assert_eq!(three_labels.len(), 128);
        assert_eq!(three_labels.parse::<NodeName>().map(|n| n.to_string()), Ok(three_labels.clone()));
        assert!(format!("{three_labels}.").parse::<NodeName>().is_ok(), "the trailing dot does not count");
        let name = format!("{three_labels}c");
        assert_eq!(name.parse::<NodeName>(), Err(NameError::Long { name }));
    }

    #[test]
    fn only_one_trailing_dot_is_dropped() {
        assert_eq!("ns1.example.net.".parse::<NodeName>().unwrap().as_str(), "ns1.example.net");
        assert_eq!("ns1..".parse::<NodeName>(), Err(NameError::EmptyLabel { name: "ns1.".to_owned() }));
        assert_eq!(".".parse::<NodeName>(), Err(NameError::Empty));
    }

    proptest! {
        #[test]
        fn labels_within_the_limits_make_a_name_that_reads_back_the_same(
            labels in prop::collection::vec("[A-Za-z0-9_-]{1,63}", 1..=4),
        ) {
            let text = labels.join(".");
            prop_assume!(text.len() <= NAME_MAX);
            let name = text.parse::<NodeName>().unwrap();
            prop_assert_eq!(name.as_str(), text);
        }

        #[test]
        fn any_text_that_is_taken_keeps_the_invariant(text in "[a-c.ß _{-]{0,140}|\\PC{0,8}") {
            if let Ok(name) = text.parse::<NodeName>() {
                prop_assert!((1..=NAME_MAX).contains(&name.as_str().len()));
                for label in name.as_str().split('.') {
                    prop_assert!((1..=LABEL_MAX).contains(&label.len()));
                    prop_assert!(label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
                }
            }
        }
    }
}
