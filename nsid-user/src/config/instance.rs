//! The name of an instance: one agent with its own pins, control socket and state.

use std::{fmt, str::FromStr};

use crate::host::instance::WITNESSES;

/// Bytes that the name of an instance may have.
const INSTANCE_NAME_MAX: usize = 32;

/// The name of an instance, fit for a component of a path: 1 to 32 of `a-z 0-9 _ -`, and not [`WITNESSES`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstanceName(String);

impl InstanceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The instance of a host that runs only one.
impl Default for InstanceName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl FromStr for InstanceName {
    type Err = InstanceNameError;

    fn from_str(text: &str) -> Result<Self, InstanceNameError> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
        let is_free = text != WITNESSES;
        if (1..=INSTANCE_NAME_MAX).contains(&text.len()) && text.bytes().all(fits) && is_free {
            Ok(Self(text.to_owned()))
        } else {
            Err(InstanceNameError { name: text.to_owned() })
        }
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no [`InstanceName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} names no instance; use 1 to {INSTANCE_NAME_MAX} of the characters a-z, 0-9, '_' and '-', and \
     not {WITNESSES:?}, where the records of witnesses are"
)]
pub struct InstanceNameError {
    /// The text.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lead_out_of_its_directory_nor_into_that_of_witnesses() {
        for name in ["", ".", "..", "a/b", "a.b", "A", "ä", "a b", "a\n", "witnesses"] {
            assert!(name.parse::<InstanceName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_name_may_have_32_bytes_and_not_33() {
        assert!("a".repeat(32).parse::<InstanceName>().is_ok());
        assert!("a".repeat(33).parse::<InstanceName>().is_err());
    }

    #[test]
    fn the_default_is_itself_a_valid_name() {
        assert_eq!("default".parse(), Ok(InstanceName::default()));
    }
}
