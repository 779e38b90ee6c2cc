//! Claims that are held: what they cost their store, and how soon a crowd of dead holders is replaced.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nsid_user::{
    claim::{Event, Orders, Report, Voice, hold},
    clock::{BootTime, Deadline},
    name::{NodeName, Pattern},
    store::{ClaimError, Kind, Progress, Store},
};
use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout_at},
};

use super::{
    crowd::PATIENCE,
    rivals,
    row::{Row, TTL, Target},
};
use crate::table::Line;

/// For how long the store's work is measured: two leases.
const STEADY: Duration = Duration::from_secs(20);

/// A datapath that nobody looks at.
struct Mute;

impl Voice for Mute {
    fn say(&mut self, _: &NodeName, _: Deadline) {}
    fn extend(&mut self, _: BootTime) {}
    fn silence(&mut self) {}
}

/// Holders of names, each a task that the agents' driver runs, and what happens to the names.
pub(super) struct Holders {
    tasks: JoinSet<Result<(), ClaimError>>,
    events: mpsc::UnboundedReceiver<Event>,
    /// They give their names back once it is gone.
    stop: watch::Sender<bool>,
}

impl Holders {
    /// Lets each of these claim a name of a pool of that many, and keep it.
    pub(super) fn begin<S: Store + 'static>(kind: Kind, stores: Vec<S>, limit: u32) -> Result<Self> {
        let pattern = Pattern::parse("worker{id}.held.test", NonZeroU32::new(limit).context("no slots")?)?;
        let (stop, stopped) = watch::channel(false);
        let (sender, events) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for store in stores {
            let (progress, _) = Progress::new(kind, "bench");
            let report = Report { progress, events: sender.clone() };
            let (pattern, stop) = (pattern.clone(), stopped.clone());
            tasks.spawn(async move {
                let (_never, hand_on) = mpsc::unbounded_channel();
                let mut orders = Orders { stop, hand_on };
                hold(store, &pattern, Mute, &report, None, &mut orders).await
            });
        }
        Ok(Self { tasks, events, stop })
    }

    /// Waits until so many have a name; when that was.
    pub(super) async fn ready(&mut self, count: u32) -> Result<Instant> {
        let due = (Instant::now() + PATIENCE).into();
        for _ in 0..count {
            match timeout_at(due, self.events.recv()).await.context("not all have a name")? {
                Some(Event::Ready(_)) => {}
                other => anyhow::bail!("{other:?} instead of a name"),
            }
        }
        Ok(Instant::now())
    }

    /// Ends all of them as a crash would: nothing is given back. When that was.
    pub(super) fn die(mut self) -> Instant {
        self.tasks.abort_all();
        drop(self.stop);
        Instant::now()
    }
}

/// How fast a meter runs while the claims of all these holders are renewed, a second.
pub(super) async fn steady(
    row: &Row,
    (unit, meter): (&'static str, impl Fn() -> Result<f64>),
    mut holders: Holders,
) -> Result<Line> {
    holders.ready(row.count).await?;
    let value = rate(meter).await?;
    let lost = holders.events.try_recv().is_ok();
    holders.die();
    Ok(line(row, unit, value, lost))
}

/// The same while as many leases are kept alive as a holder's is, by tasks that do nothing else.
pub(super) async fn kept_alive(
    row: &Row,
    (unit, meter): (&'static str, impl Fn() -> Result<f64>),
    endpoint: String,
) -> Result<Line> {
    let mut leases = JoinSet::new();
    for number in 0..row.count {
        let lease = rivals::lease(endpoint.clone()).await?;
        let (between, first) = (TTL / 3, TTL / 3 * number / row.count);
        leases.spawn(rivals::keep_alive(lease, first, between));
    }
    let value = rate(meter).await?;
    let lost = leases.try_join_next().is_some();
    Ok(line(row, unit, value, lost))
}

async fn rate(meter: impl Fn() -> Result<f64>) -> Result<f64> {
    // The first renewal of a claim may be another one than all that follow.
    sleep(TTL).await;
    let (before, start) = (meter()?, Instant::now());
    sleep(STEADY).await;
    Ok((meter()? - before) / start.elapsed().as_secs_f64())
}

fn line(row: &Row, unit: &str, value: f64, lost: bool) -> Line {
    let target = row.target.and_then(Target::cores);
    let shown = |value: f64| if unit == "cores" { format!("{value:.3}") } else { format!("{value:.0}") };
    Line {
        name: row.to_string(),
        cells: vec![shown(value), String::new(), target.map_or(String::new(), shown)],
        holds: if lost { Some(false) } else { target.map(|target| value <= target) },
        figures: json!({ "unit": unit, "value": value, "target": target, "lost": lost }),
    }
}

/// How long after the death of all holders those who wait in line have all of their names.
pub(super) async fn replaced(
    row: &Row,
    mut holders: Holders,
    line: impl FnOnce() -> Result<Holders>,
) -> Result<Line> {
    holders.ready(row.count).await?;
    let mut line = line()?;
    // Until they wait in line.
    sleep(TTL / 2).await;
    let died = holders.die();
    let took = line.ready(row.count).await? - died;
    line.die();
    Ok(Line::timed(row.to_string(), vec![took], row.target.and_then(Target::time)))
}
