//! How long a server has to answer.

use std::{fmt, str::FromStr, time::Duration};

/// How long an answer to one question is waited for, in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(Duration);

impl Timeout {
    /// The shortest: the kernel rounds less up, to the ticks of its clock.
    pub const MIN: Duration = Duration::from_millis(10);

    /// The longest.
    pub const MAX: Duration = Duration::from_mins(1);

    /// The time itself.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl Default for Timeout {
    fn default() -> Self {
        Self(Duration::from_secs(2))
    }
}

impl FromStr for Timeout {
    type Err = TimeoutError;

    fn from_str(text: &str) -> Result<Self, TimeoutError> {
        let timeout = humantime::parse_duration(text)
            .map_err(|source| TimeoutError::NoDuration { text: text.to_owned(), source })?;
        if (Self::MIN..=Self::MAX).contains(&timeout) {
            Ok(Self(timeout))
        } else {
            Err(TimeoutError::Range { timeout })
        }
    }
}

/// As it is read.
impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// Why a text is no [`Timeout`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TimeoutError {
    /// No length of time.
    #[error("{text:?} is no duration ({source}); write a number with its unit, such as 2s or 500ms")]
    NoDuration {
        /// The text.
        text: String,
        /// What is wrong with it.
        source: humantime::DurationError,
    },
    /// Shorter than [`Timeout::MIN`] or longer than [`Timeout::MAX`].
    #[error(
        "{} is out of range; choose {} to {}",
        humantime::format_duration(*timeout),
        humantime::format_duration(Timeout::MIN),
        humantime::format_duration(Timeout::MAX)
    )]
    Range {
        /// The time.
        timeout: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_ten_milliseconds_to_a_minute() {
        for (text, milliseconds) in [("10ms", 10), ("2s", 2000), ("1m", 60_000)] {
            assert_eq!(text.parse().map(Timeout::get), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["0s", "9ms", "1m 1ms"] {
            assert!(matches!(text.parse::<Timeout>(), Err(TimeoutError::Range { .. })), "{text}");
        }
        for text in ["", "2", "-1s"] {
            assert!(matches!(text.parse::<Timeout>(), Err(TimeoutError::NoDuration { .. })), "{text}");
        }
    }

    #[test]
    fn the_default_is_one_of_them() {
        let default = Timeout::default();
        assert_eq!(default.to_string().parse(), Ok(default));
    }
}
