//! How fast is asked.

use serde::{Deserialize, Serialize};

/// How fast is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Load {
    /// So many queries a second, whatever becomes of them.
    PerSecond(u32),
    /// The next query when one is answered: so many are on their way, as many as a socket surely has room for.
    InFlight(u32),
    /// As many as there can be.
    Flood,
}

impl Load {
    /// Each of them.
    pub(crate) const ALL: [Self; 10] = [
        Self::PerSecond(10_000),
        Self::PerSecond(20_000),
        Self::PerSecond(50_000),
        Self::PerSecond(100_000),
        Self::PerSecond(200_000),
        Self::PerSecond(500_000),
        Self::PerSecond(1_000_000),
        Self::PerSecond(2_000_000),
        Self::Flood,
        Self::InFlight(32),
    ];

    /// Nanoseconds from one query to the next.
    pub(super) fn interval(self) -> u64 {
        match self {
            Self::PerSecond(queries) => 1_000_000_000 / u64::from(queries),
            Self::InFlight(_) | Self::Flood => 0,
        }
    }

    /// Queries that may be on their way.
    pub(super) fn window(self) -> u64 {
        match self {
            Self::InFlight(queries) => queries.into(),
            Self::PerSecond(_) | Self::Flood => u64::MAX,
        }
    }

    /// In a few words.
    pub(crate) fn title(self) -> String {
        match self {
            Self::PerSecond(queries) => format!("{} k/s", queries / 1000),
            Self::InFlight(queries) => format!("{queries} in flight"),
            Self::Flood => "flood".to_owned(),
        }
    }
}
