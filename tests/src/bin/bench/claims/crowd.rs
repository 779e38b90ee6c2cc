//! Many claimants, each on its way to a slot.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout_at},
};

use super::row::{Row, Target, Way};
use crate::table::Line;

/// A crowd that takes longer, after the last of it has begun, is over, and took so long.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// What came of a crowd.
#[derive(Debug)]
pub(super) struct Crowd {
    /// Until the last had its slot, from when the first began.
    time: Duration,
    /// The longest that one of them took.
    longest: Duration,
    /// Claimants that got a slot in that time.
    granted: usize,
    /// Those of them that got what another one has.
    duplicates: usize,
    /// Whether the slots are the lowest, each granted once.
    exact: bool,
}

/// Lets each of these claim one slot, evenly spread over a time; with what came of it, what has to be kept for the claims
/// to last.
///
/// The claimants are tasks of one thread, each with its connection. That is the agents' claim code without the agents.
pub(super) async fn crowd<C, K, F>(
    claimants: Vec<C>,
    spread: Duration,
    claim: impl Fn(C) -> F,
) -> Result<(Crowd, Vec<K>)>
where
    K: Send + 'static,
    F: Future<Output = Result<(u32, K)>> + Send + 'static,
{
    let count = u32::try_from(claimants.len())?;
    let start = Instant::now();
    let mut claiming = JoinSet::new();
    for (number, claimant) in (0..).zip(claimants) {
        let (begin, claim) = (spread * number / count, claim(claimant));
        claiming.spawn(async move {
            sleep(begin).await;
            let start = Instant::now();
            (claim.await, start.elapsed())
        });
    }
    let (mut slots, mut kept, mut longest) = (Vec::new(), Vec::new(), Duration::ZERO);
    let due = start + spread + PATIENCE;
    while let Ok(Some(claimed)) = timeout_at(due.into(), claiming.join_next()).await {
        let (granted, took) = claimed?;
        let (slot, keep) = granted?;
        slots.push(slot);
        kept.push(keep);
        longest = longest.max(took);
    }
    let time = start.elapsed();
    slots.sort_unstable();
    let exact = slots.iter().copied().eq(0..count);
    let granted = slots.len();
    slots.dedup();
    let duplicates = granted - slots.len();
    Ok((Crowd { time, longest, granted, duplicates, exact }, kept))
}

/// The words above a row of crowds.
pub(super) const HEADING: &[&str] = &["median", "max", "target", "granted", "duplicates", "times least"];

/// How long the least that claims can be took a crowd of so many, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Least(HashMap<u32, f64>);

impl Least {
    /// Has that row tell how many times as long it took.
    pub(super) fn compare(&mut self, row: &Row, line: &mut Line) {
        if !row.is_at_once() {
            return;
        }
        let Some(took) = line.figures["value"].as_f64() else { return };
        if matches!(row.way, Way::Told | Way::Renew) {
            self.0.insert(row.count, took);
        }
        if let Some(least) = self.0.get(&row.count) {
            line.cells.push(format!("{:.1}", took / least));
            line.figures["baseline"] = json!(least);
            line.figures["ratio"] = json!(took / least);
        }
    }
}

/// Whatever the target, each of our rounds has to grant the lowest slots, each once.
pub(super) fn line(row: &Row, rounds: &[Crowd]) -> Line {
    let granted = rounds.iter().map(|round| round.granted).min();
    let duplicates = rounds.iter().map(|round| round.duplicates).max();
    let exact = rounds.iter().all(|round| round.exact);
    let times =
        rounds.iter().map(|round| if let Way::Spread(_) = row.way { round.longest } else { round.time });
    let target = row.target.and_then(Target::time);
    let mut line = Line::timed(row.to_string(), times.collect(), target);
    line.cells.extend([granted, duplicates].map(|count| count.unwrap_or_default().to_string()));
    line.figures["granted"] = json!(granted);
    line.figures["duplicates"] = json!(duplicates);
    line.figures["exact"] = json!(exact);
    if row.is_ours() && !exact {
        line.holds = Some(false);
    }
    line
}
