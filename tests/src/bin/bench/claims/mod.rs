//! How long it takes until each of many claimants has a name of its own; and what those cost who hold one.

mod crowd;
mod holders;
mod rivals;

use std::{net::Ipv4Addr, num::NonZeroU32, time::Duration};

use anyhow::{Context as _, Result};
use nsid_tests::{etcd, netns::Namespace, unique::Prefix};
use nsid_user::{
    name::Pattern,
    store::{Agreement, Cluster, Etcd, Incarnation, Kind, NodeId, Nonce, Progress, Store as _},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

use self::{
    crowd::{Crowd, Figure, HEADING, crowd, exact, line},
    holders::{Holders, replaced, steady},
};
use crate::{
    progress::progress,
    table::{Line, Table},
};

/// How many claimants, how often, and how long it should take at most.
const AT_ONCE: [(u32, usize, Option<Duration>); 4] = [
    (100, 5, None),
    (1000, 5, Some(Duration::from_millis(500))),
    (5000, 3, Some(Duration::from_secs(2))),
    (10_000, 3, Some(Duration::from_secs(7))),
];

/// Of those, the rows of a bench of everything.
const SMALL: u32 = 1000;

/// Over how long a crowd is spread that does not come at once.
const SPREADS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(20)];

/// How many those are.
const SPREAD: [u32; 2] = [1000, 10_000];

/// Of crowds, longer than all rounds: nobody renews, and what runs out is work for etcd.
const TTL: Duration = Duration::from_mins(5);

/// Measures the small crowds that are wanted, as part of a bench of everything.
pub(crate) fn small(wanted: impl Fn(&str) -> bool) -> Result<Table> {
    let rows: Vec<_> =
        AT_ONCE.into_iter().filter(|&(count, ..)| count <= SMALL && wanted(&at_once(count))).collect();
    let mut lines = Vec::new();
    if !rows.is_empty() {
        let site = Site::new()?;
        for (count, rounds, target) in rows {
            lines.push(site.ours(at_once(count), Figure::All, count, Duration::ZERO, rounds, target)?);
        }
    }
    Ok(Table { heading: HEADING, lines })
}

/// Measures crowds of all sizes, rivals and holders.
pub(crate) fn all() -> Result<Vec<Table>> {
    let site = Site::new()?;
    let mut crowds = Vec::new();
    for (count, rounds, target) in AT_ONCE {
        crowds.push(site.ours(at_once(count), Figure::All, count, Duration::ZERO, rounds, target)?);
    }
    for count in SPREAD {
        for spread in SPREADS {
            let name = format!("etcd: {count} claims in {spread:?}, the longest");
            crowds.push(site.ours(name, Figure::Each, count, spread, 1, None)?);
        }
    }
    let mut rivals = Vec::new();
    for count in [100, 1000] {
        let name = format!("etcd: {count} claims at once, by a global lock");
        rivals.push(site.crowds(name, Figure::All, count, Duration::ZERO, 1, None, |pool| {
            Ok(rivals::global_lock(site.endpoint(), pool))
        })?);
        let name = format!("etcd: {count} claims at once, by Get-then-Put");
        rivals.push(site.crowds(name, Figure::All, count, Duration::ZERO, 1, None, |pool| {
            Ok(rivals::get_then_put(site.endpoint(), pool))
        })?);
    }
    let held = vec![site.steady(1000)?, site.replaced(1000)?];
    Ok(vec![
        Table { heading: HEADING, lines: crowds },
        Table { heading: HEADING, lines: rivals },
        Table { heading: &["measured", "max", "target"], lines: held },
    ])
}

fn at_once(count: u32) -> String {
    format!("etcd: {count} claims at once")
}

/// An etcd, and the thread that asks it.
struct Site {
    namespace: Namespace,
    etcd: etcd::Etcd,
    runtime: Runtime,
}

impl Site {
    fn new() -> Result<Self> {
        allow_many_connections()?;
        let namespace = Namespace::new(Prefix::Test, "etcd");
        let etcd = etcd::Etcd::start(&namespace, Ipv4Addr::LOCALHOST.into());
        let runtime = namespace.enter(|| Builder::new_current_thread().enable_all().build())?;
        Ok(Self { namespace, etcd, runtime })
    }

    fn endpoint(&self) -> String {
        self.etcd.endpoint().to_string()
    }

    /// A claimant that nobody has been before.
    fn claimant(&self, pool: &str, limit: u32, ttl: Duration) -> Result<Etcd> {
        let cluster = Cluster::new(vec![self.endpoint()]);
        let nonce = Nonce::random()?;
        let who = Incarnation::new(nonce, NodeId::of(&nonce.to_string(), "bench", 0), "bench".to_owned());
        let pattern = Pattern::parse(pool, NonZeroU32::new(limit).context("no slots")?)?;
        Ok(Etcd::new(cluster, who, Agreement::new(&pattern), ttl))
    }

    /// Runs it where etcd is.
    fn run<T: Send>(&self, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.namespace.enter(|| self.runtime.block_on(work))
    }

    fn ours(
        &self,
        name: String,
        figure: Figure,
        count: u32,
        spread: Duration,
        rounds: usize,
        target: Option<Duration>,
    ) -> Result<Line> {
        let claim = |pool: String| {
            let mut store = self.claimant(&pool, count, TTL)?;
            Ok(async move {
                // With its claim the store is kept, and its connection.
                let (progress, _status) = Progress::new(Kind::Etcd, pool);
                Ok((store.claim(&progress).await?.slot, store))
            })
        };
        Ok(exact(self.crowds(name, figure, count, spread, rounds, target, claim)?))
    }

    #[expect(clippy::too_many_arguments, reason = "a row has as many columns")]
    fn crowds<K, F>(
        &self,
        name: String,
        figure: Figure,
        count: u32,
        spread: Duration,
        rounds: usize,
        target: Option<Duration>,
        claim: impl Fn(String) -> Result<F> + Sync,
    ) -> Result<Line>
    where
        K: Send + 'static,
        F: Future<Output = Result<(u32, K)>> + Send + 'static,
    {
        let mut crowds: Vec<Crowd> = Vec::new();
        for round in 1..=rounds {
            progress(format_args!("{name}: round {round} of {rounds}"));
            let pool = format!("worker{{id}}.{count}.{}.{round}.test", spread.as_secs());
            let (came, _kept) = self.run(crowd(count, spread, || claim(pool.clone())))?;
            crowds.push(came);
        }
        Ok(line(name, figure, &crowds, target))
    }

    fn holders(&self, pool: &str, count: u32) -> Result<Holders> {
        let stores =
            (0..count).map(|_| self.claimant(pool, count, holders::TTL)).collect::<Result<Vec<_>>>()?;
        Holders::begin(stores.into_iter(), count)
    }

    fn steady(&self, count: u32) -> Result<Line> {
        let name = format!("etcd: cores for {count} holders");
        progress(&name);
        self.run(async { steady(name, &self.etcd, count, self.holders("steady{id}.test", count)?).await })
    }

    fn replaced(&self, count: u32) -> Result<Line> {
        let name = format!("etcd: {count} replacements of {count} dead");
        progress(&name);
        self.run(async {
            let dying = self.holders("replaced{id}.test", count)?;
            replaced(name, count, dying, || self.holders("replaced{id}.test", count)).await
        })
    }
}

/// To this process, and to those that it starts.
fn allow_many_connections() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
