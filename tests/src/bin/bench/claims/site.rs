//! A store, and the thread that asks it.

use std::{num::NonZeroU32, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nsid_tests::{netns::Namespace, unique::Prefix};
use nsid_user::{
    name::Pattern,
    store::{Agreement, Incarnation, Kind, NodeId, Nonce, Progress, RenewError, Store},
};
use serde_json::Value;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
    time::sleep,
};

use super::{
    crowd::{self, Crowd, crowd},
    holders::{Holders, kept_alive, replaced, steady},
    rivals,
    row::{AFTER_THE_LEASE, Row, TTL, Way},
    subject::Subject,
};
use crate::{progress::progress, table::Line};

/// Longer than all rounds of a crowd.
pub(super) const LONG: Duration = Duration::from_mins(5);

/// How soon who could not renew its claim tries again, about as agents do.
const AGAIN: Duration = Duration::from_millis(100);

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
            Way::Hold => self.steady(row, self.cores())?,
            Way::Talk => {
                let each = || Ok(bytes_on_loopback(&self.namespace)? / f64::from(row.count));
                self.steady(row, ("bytes a second", each))?
            }
            Way::KeepAlive => self.kept_alive(row)?,
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
            Way::Renew => {
                let claimants = self.prepared(&pool, row.count).await?;
                let holders = crowd(claimants, spread, granted).await?.1;
                crowd(holders, spread, renewed).await?.0
            }
            Way::Again => {
                let lapsed = self.lapsed(&pool, row.count).await?;
                crowd(lapsed, spread, |claimant| claim(claimant, TTL)).await?.0
            }
            _ => {
                if row.way == Way::InUse {
                    let before = self.claimants(&pool, row.count, TTL)?;
                    let (_, holders) = crowd(before, spread, granted).await?;
                    crowd(holders, spread, released).await?;
                }
                let claimants = self.prepared(&pool, row.count).await?;
                let claim = |claimant| claim(claimant, S::CROWDS);
                let (crowd, mut kept) = crowd(claimants, spread, claim).await?;
                let is_kept = |keeping: &mut JoinSet<()>| keeping.try_join_next().is_none();
                ensure!(kept.iter_mut().all(is_kept), "a claim was lost before all had one");
                crowd
            }
        })
    }

    fn steady(&self, row: &Row, meter: (&'static str, impl Fn() -> Result<f64> + Send)) -> Result<Line> {
        progress(row);
        let pool = format!("steady{{id}}.{}.test", meter.0.replace(' ', "-"));
        self.run(async { steady(row, meter, self.holders(&pool, row)?).await })
    }

    fn kept_alive(&self, row: &Row) -> Result<Line> {
        progress(row);
        self.run(async { kept_alive(row, self.cores(), self.subject.endpoint()).await })
    }

    fn cores(&self) -> (&'static str, impl Fn() -> Result<f64> + Send) {
        ("cores", || Ok(self.subject.cpu_time().as_secs_f64()))
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

    /// Such that have done what they do before the clock runs.
    async fn prepared(&self, pool: &str, count: u32) -> Result<Vec<S::Claimant>> {
        let mut prepared = Vec::new();
        for claimant in self.claimants(pool, count, S::CROWDS)? {
            prepared.push(S::prepare(claimant).await?);
        }
        Ok(prepared)
    }

    /// Such that had a slot each until their leases ended, of a pool that one of them had left before.
    async fn lapsed(&self, pool: &str, count: u32) -> Result<Vec<S::Claimant>> {
        let claimants = self.claimants(pool, count, TTL)?;
        let (_, holders) = crowd(claimants, Duration::ZERO, granted).await?;
        // What is had by arrival has its record then.
        let (_, mut lapsed) = crowd(holders, Duration::ZERO, renewed).await?;
        if let Some(mut leaver) = lapsed.pop() {
            leaver.release().await?;
            lapsed.push(granted(leaver).await?.1.1);
        }
        sleep(TTL + AFTER_THE_LEASE).await;
        Ok(lapsed)
    }

    /// Runs it where the store is.
    fn run<T: Send>(&self, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.namespace.enter(|| self.runtime.block_on(work))
    }
}

/// As agents do. The claim is kept, and renewed, for as long as the task that is given back.
async fn claim<S: Store + 'static>(store: S, ttl: Duration) -> Result<(u32, JoinSet<()>)> {
    let (slot, (_, mut store)) = granted(store).await?;
    let mut keeping = JoinSet::new();
    keeping.spawn(async move {
        loop {
            sleep(store.rhythm(ttl)).await;
            if renew(&mut store).await.is_err() {
                return;
            }
        }
    });
    Ok((slot, keeping))
}

/// Once; with the slot, who holds it.
async fn granted<S: Store>(mut store: S) -> Result<(u32, (u32, S))> {
    let (progress, _status) = Progress::new(Kind::Local, "bench");
    let slot = store.claim(&progress).await?.slot;
    Ok((slot, (slot, store)))
}

async fn released<S: Store>((slot, mut store): (u32, S)) -> Result<(u32, ())> {
    store.release().await?;
    Ok((slot, ()))
}

async fn renewed<S: Store>((slot, mut store): (u32, S)) -> Result<(u32, S)> {
    renew(&mut store).await?;
    Ok((slot, store))
}

async fn renew(store: &mut impl Store) -> Result<(), RenewError> {
    loop {
        match store.renew().await {
            Ok(_) => return Ok(()),
            Err(RenewError::Lost) => return Err(RenewError::Lost),
            Err(RenewError::Unreachable(_)) => sleep(AGAIN).await,
        }
    }
}

/// What was sent there so far, in packets of IP.
fn bytes_on_loopback(namespace: &Namespace) -> Result<f64> {
    let link: Value = serde_json::from_str(&namespace.ip_shows("-json -statistics link show lo"))?;
    link[0]["stats64"]["tx"]["bytes"].as_f64().context("no count of bytes")
}
