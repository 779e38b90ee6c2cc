//! A store, and the thread that asks it.

use std::{num::NonZeroU32, time::Duration};

use anyhow::{Context as _, Result};
use nsid_tests::{netns::Namespace, unique::Prefix};
use nsid_user::{
    name::Pattern,
    store::{Agreement, Incarnation, Kind, NodeId, Nonce, Progress, Store},
};
use tokio::runtime::{Builder, Runtime};

use super::{
    crowd::{self, Crowd, crowd},
    holders::{Holders, replaced, steady},
    rivals,
    row::{Row, TTL, Way},
    subject::Subject,
};
use crate::{progress::progress, table::Line};

/// Of crowds, longer than all rounds: nobody renews, and what runs out is work for the store.
pub(super) const LONG: Duration = Duration::from_mins(5);

/// In the order in which it is taken down.
pub(super) struct Site<S> {
    runtime: Runtime,
    subject: S,
    namespace: Namespace,
}

impl<S: Subject + Sync> Site<S> {
    pub(super) fn new() -> Result<Self> {
        let namespace = Namespace::new(Prefix::Test, &S::KIND.to_string());
        let subject = S::start(&namespace);
        let runtime = namespace.enter(|| Builder::new_current_thread().enable_all().build())?;
        Ok(Self { runtime, subject, namespace })
    }

    /// The words above a row, and the row.
    pub(super) fn measure(&self, row: &Row) -> Result<(&'static [&'static str], Line)> {
        let line = match row.way {
            Way::Hold => self.steady(row)?,
            Way::Replace => self.replaced(row)?,
            _ => return Ok((crowd::HEADING, self.crowds(row)?)),
        };
        Ok((&["measured", "max", "target"], line))
    }

    fn crowds(&self, row: &Row) -> Result<Line> {
        let mut crowds: Vec<Crowd> = Vec::new();
        for round in 1..=row.rounds {
            progress(format_args!("{row}: round {round} of {}", row.rounds));
            crowds.push(self.run(self.crowd(row, round))?);
        }
        Ok(crowd::line(row, &crowds))
    }

    async fn crowd(&self, row: &Row, round: usize) -> Result<Crowd> {
        let spread = if let Way::Spread(time) = row.way { time } else { Duration::ZERO };
        let pool = format!("worker{{id}}.{}.{}.{round}.test", row.count, spread.as_secs());
        let rival = || vec![(self.subject.endpoint(), pool.clone()); row.count as usize];
        Ok(match row.way {
            Way::Told => {
                let told =
                    (0..).zip(rival()).map(|(slot, (endpoint, pool))| (endpoint, pool, slot)).collect();
                crowd(told, spread, rivals::told).await?.0
            }
            Way::GlobalLock => crowd(rival(), spread, rivals::global_lock).await?.0,
            Way::GetThenPut => crowd(rival(), spread, rivals::get_then_put).await?.0,
            _ => {
                let mut claimants = Vec::new();
                for claimant in self.claimants(&pool, row.count, LONG)? {
                    claimants.push(S::prepare(claimant).await?);
                }
                crowd(claimants, spread, claim).await?.0
            }
        })
    }

    fn steady(&self, row: &Row) -> Result<Line> {
        progress(row);
        self.run(async {
            steady(row, || self.subject.cpu_time(), self.holders("steady{id}.test", row)?).await
        })
    }

    fn replaced(&self, row: &Row) -> Result<Line> {
        const POOL: &str = "replaced{id}.test";
        progress(row);
        self.run(async { replaced(row, self.holders(POOL, row)?, || self.holders(POOL, row)).await })
    }

    fn holders(&self, pool: &str, row: &Row) -> Result<Holders> {
        Holders::begin(S::KIND, self.claimants(pool, row.count, TTL)?, row.count)
    }

    /// Claimants that nobody has been before.
    fn claimants(&self, pool: &str, count: u32, ttl: Duration) -> Result<Vec<S::Claimant>> {
        let pattern = Pattern::parse(pool, NonZeroU32::new(count).context("no slots")?)?;
        let claimant = |_| {
            let nonce = Nonce::random()?;
            let node = NodeId::of(&nonce.to_string(), "bench", 0);
            let who = Incarnation::new(nonce, node, "bench".to_owned());
            Ok(self.subject.claimant(who, Agreement::new(&pattern), ttl))
        };
        (0..count).map(claimant).collect()
    }

    /// Runs it where the store is.
    fn run<T: Send>(&self, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.namespace.enter(|| self.runtime.block_on(work))
    }
}

/// As agents do. With its claim the store is kept, and its connection.
async fn claim<S: Store>(mut store: S) -> Result<(u32, S)> {
    let (progress, _status) = Progress::new(Kind::Local, "bench");
    Ok((store.claim(&progress).await?.slot, store))
}
