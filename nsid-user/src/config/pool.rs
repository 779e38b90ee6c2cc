//! The size of a pool of names, and how long a claim of one lasts.

use std::{num::NonZeroU32, str::FromStr, time::Duration};

/// How many slots a pool has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(NonZeroU32);

impl Limit {
    /// The number of slots.
    pub fn get(self) -> NonZeroU32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        const { Self(NonZeroU32::new(64).unwrap()) }
    }
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        text.parse().map(Self).map_err(|_| LimitError { limit: text.to_owned() })
    }
}

/// A text that is no [`Limit`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit {limit:?} is no number of slots; give a whole number from 1 to {}", u32::MAX)]
pub struct LimitError {
    /// The text.
    pub limit: String,
}

/// How long a claim lasts that is not renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl(Duration);

impl Ttl {
    /// The shortest: of less, too little would be left once the fence's margin is taken off (2 % and 6 jiffies).
    pub const MIN: Duration = Duration::from_secs(1);

    /// The longest: for so long may the name of a dead node stay out of use.
    pub const MAX: Duration = Duration::from_hours(24);

    /// The time itself.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl Default for Ttl {
    fn default() -> Self {
        Self(Duration::from_secs(10))
    }
}

impl FromStr for Ttl {
    type Err = TtlError;

    fn from_str(text: &str) -> Result<Self, TtlError> {
        let ttl = humantime::parse_duration(text)
            .map_err(|source| TtlError::NoDuration { text: text.to_owned(), source })?;
        if (Self::MIN..=Self::MAX).contains(&ttl) { Ok(Self(ttl)) } else { Err(TtlError::Range { ttl }) }
    }
}

/// Why a text is no [`Ttl`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TtlError {
    /// No length of time.
    #[error("ttl {text:?} is no duration ({source}); write a number with its unit, such as 10s or 2m")]
    NoDuration {
        /// The text.
        text: String,
        /// What is wrong with it.
        source: humantime::DurationError,
    },
    /// Shorter than [`Ttl::MIN`] or longer than [`Ttl::MAX`].
    #[error(
        "ttl {} is out of range; choose {} to {}, 10s unless there is a reason",
        humantime::format_duration(*ttl),
        humantime::format_duration(Ttl::MIN),
        humantime::format_duration(Ttl::MAX)
    )]
    Range {
        /// The time.
        ttl: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_a_second_to_a_day() {
        for (text, seconds) in [("1s", 1), ("10s", 10), ("1m 30s", 90), ("1day", 86_400)] {
            assert_eq!(text.parse().map(Ttl::get), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["0s", "999ms", "1day 1ms"] {
            assert!(matches!(text.parse::<Ttl>(), Err(TtlError::Range { .. })), "{text}");
        }
        for text in ["", "10", "s", "-1s", "10 parsecs"] {
            assert!(matches!(text.parse::<Ttl>(), Err(TtlError::NoDuration { .. })), "{text}");
        }
    }

    #[test]
    fn a_pool_has_at_least_one_slot() {
        assert_eq!("1".parse().map(|limit: Limit| limit.get().get()), Ok(1));
        for text in ["0", "", "-1", "4294967296", "1.5", "ten"] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
    }
}
