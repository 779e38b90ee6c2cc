//! What was measured: written as JSON, and read from it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{line_rate::Path, load::Load, subject::Subject};
use crate::machine::Machine;

/// All of a run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) series: Vec<Series>,
    pub(crate) paths: Vec<Path>,
}

/// A subject at a load, in each round.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) subject: Subject,
    pub(crate) load: Load,
    pub(crate) rounds: Vec<Sample>,
}

/// A round.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Queries that left the client.
    pub(crate) asked: u64,
    /// Of them, those that the wire took to the server's interface.
    pub(crate) arrived: u64,
    /// Of them, those that were answered as they should be.
    pub(crate) answered: u64,
    /// Of them, those that were by the time that the last one left.
    pub(crate) answered_in_time: u64,
    /// Answers of a program that the wire did not take.
    pub(crate) refused: u64,
    /// From the first to the last.
    #[serde(with = "nanoseconds")]
    pub(crate) time: Duration,
    /// Of the server's CPU, for all of this.
    #[serde(with = "nanoseconds")]
    pub(crate) worked: Duration,
}

impl Sample {
    /// Queries a second.
    pub(crate) fn offered(&self) -> f64 {
        per_second(self.asked, self.time)
    }

    /// Answers a second.
    pub(crate) fn goodput(&self) -> f64 {
        per_second(self.answered_in_time, self.time)
    }

    /// How much of what was asked arrived.
    pub(crate) fn part_arrived(&self) -> f64 {
        part(self.arrived, self.asked)
    }

    /// How much of what arrived was answered.
    pub(crate) fn part_answered(&self) -> f64 {
        part(self.answered, self.arrived)
    }

    /// How much of the time the server's CPU worked.
    pub(crate) fn busy(&self) -> f64 {
        self.worked.as_secs_f64() / self.time.as_secs_f64()
    }

    /// Of the server's CPU, for each query that arrived.
    pub(crate) fn ns_per_query(&self) -> f64 {
        1e9 / per_second(self.arrived, self.worked)
    }
}

impl Results {
    /// A subject at a load.
    pub(crate) fn rounds(&self, subject: Subject, load: Load) -> &[Sample] {
        let series = self.series.iter().find(|series| series.subject == subject && series.load == load);
        series.map_or(&[], |series| &series.rounds)
    }

    /// The most answers a second that a subject has given at any load, in each round.
    pub(crate) fn best(&self, subject: Subject) -> Vec<f64> {
        let of_subject = self.series.iter().filter(|series| series.subject == subject);
        let mut best = Vec::new();
        for series in of_subject {
            best.resize(series.rounds.len(), 0.0);
            for (best, sample) in best.iter_mut().zip(&series.rounds) {
                *best = sample.goodput().max(*best);
            }
        }
        best
    }

    /// Answers a second in the flood, in each round.
    pub(crate) fn flooded(&self, subject: Subject) -> Vec<f64> {
        self.rounds(subject, Load::Flood).iter().map(Sample::goodput).collect()
    }
}

/// The middle of some numbers, the least and the greatest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of numbers that are some at least.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        Self { median: numbers[numbers.len() / 2], min: numbers[0], max: numbers[numbers.len() - 1] }
    }

    /// Of the ratios of numbers of the same round.
    pub(crate) fn of_ratios(numbers: &[f64], over: &[f64]) -> Self {
        Self::of(numbers.iter().zip(over).map(|(number, over)| number / over))
    }
}

#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^52")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^52")]
fn part(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}

/// Times as whole numbers.
mod nanoseconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_nanos)
    }
}
