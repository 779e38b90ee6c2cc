//! How long an HMAC stands for a name.

use std::{fmt, str::FromStr, time::Duration};

/// How long an HMAC stands for a name, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(u64);

impl Period {
    /// The shortest.
    pub const MIN: Duration = Duration::from_secs(1);
    /// The longest.
    pub const MAX: Duration = Duration::from_hours(24 * 366);

    /// In seconds; never 0.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

impl Default for Period {
    fn default() -> Self {
        Self(24 * 60 * 60)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(Duration::from_secs(self.0)).fmt(f)
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        match humantime::parse_duration(text) {
            Ok(period) if period.subsec_nanos() == 0 && (Self::MIN..=Self::MAX).contains(&period) => {
                Ok(Self(period.as_secs()))
            }
            Ok(_) | Err(_) => Err(PeriodError { text: text.to_owned() }),
        }
    }
}

/// A text that is no [`Period`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no period of whole seconds; write a number with its unit, from 1s to 366days, such as 1day"
)]
pub struct PeriodError {
    /// The text.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_second_to_a_year_in_whole_seconds() {
        for (text, seconds) in [("1s", 1), ("1h", 3600), ("1day", 86_400), ("366days", 31_622_400)] {
            assert_eq!(text.parse().map(Period::seconds), Ok(seconds), "{text}");
        }
        for text in ["", "0s", "1500ms", "367days", "1", "-1s", "daily"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
