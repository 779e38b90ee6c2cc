//! How long it takes until each of many claimants that begin at once has a name of its own, from one etcd.
//!
//! The claimants are tasks of one thread, each with its connection. That is the agents' claim code without the agents.

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use nsid_tests::{etcd, netns::Namespace, unique::Prefix};
use nsid_user::store::{Etcd, Grant, Kind, Nonce, Progress, Store as _};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::{runtime, task::JoinSet, time::timeout};

use crate::{
    progress::progress,
    table::{Line, Table},
};

/// How many claimants, and how long it should take at most.
const ROWS: [(u32, Option<Duration>); 2] = [(100, None), (1000, Some(Duration::from_millis(500)))];

const ROUNDS: usize = 5;

/// Longer than all rounds: nobody renews, and what runs out is work for etcd.
const TTL: Duration = Duration::from_mins(5);

/// Measures the rows that are wanted.
pub(crate) fn claims(wanted: impl Fn(&str) -> bool) -> Result<Table> {
    let name = |count| format!("etcd: {count} claims at once");
    let rows: Vec<_> = ROWS.into_iter().filter(|&(count, _)| wanted(&name(count))).collect();
    let mut lines = Vec::new();
    if !rows.is_empty() {
        allow_many_connections()?;
        let namespace = Namespace::new(Prefix::Test, "etcd");
        let etcd = etcd::Etcd::start(&namespace, Ipv4Addr::LOCALHOST.into());
        let endpoint = etcd.endpoint().to_string();
        for (count, target) in rows {
            let mut rounds = Vec::new();
            for round in 1..=ROUNDS {
                progress(format_args!("{}: round {round} of {ROUNDS}", name(count)));
                let pool = format!("worker{{id}}.{count}.{round}.test");
                rounds.push(namespace.enter(|| crowd(&endpoint, &pool, count))?);
            }
            lines.push(line(name(count), &rounds, target));
        }
    }
    Ok(Table { heading: &["median", "max", "target", "duplicates"], lines })
}

/// A round that takes longer is over, and took so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of a crowd.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    time: Duration,
    /// Claimants that got what another one has.
    duplicates: usize,
}

/// Lets that many claim one slot each.
fn crowd(endpoint: &str, pool: &str, count: u32) -> Result<Crowd> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let nonces = (0..count).map(|_| Nonce::random()).collect::<Result<Vec<_>, _>>()?;
    let (time, grants) = runtime.block_on(async {
        let start = Instant::now();
        let mut claims = JoinSet::new();
        for nonce in nonces {
            let mut store = Etcd::new(vec![endpoint.to_owned()], None, pool, nonce, count, TTL);
            // With its claim the store is kept, and its connection.
            let (progress, _status) = Progress::new(Kind::Etcd, pool);
            claims.spawn(async move { (store.claim(&progress).await, store) });
        }
        let Ok(claims) = timeout(PATIENCE, claims.join_all()).await else { return Ok((PATIENCE, vec![])) };
        let time = start.elapsed();
        let grants = claims.into_iter().map(|(grant, _)| grant).collect::<Result<Vec<Grant>, _>>();
        grants.map(|grants| (time, grants))
    })?;
    let slots: BTreeSet<u32> = grants.iter().map(|grant| grant.slot).collect();
    let duplicates = grants.len() - slots.len();
    ensure!(slots.last().is_none_or(|last| *last < count), "a slot that the pool does not have: {slots:?}");
    Ok(Crowd { time, duplicates })
}

fn line(name: String, rounds: &[Crowd], target: Option<Duration>) -> Line {
    let duplicates: usize = rounds.iter().map(|round| round.duplicates).sum();
    let mut line = Line::timed(name, rounds.iter().map(|round| round.time).collect(), target);
    line.cells.push(duplicates.to_string());
    line.holds = line.holds.map(|holds| holds && duplicates == 0);
    line.figures["duplicates"] = json!(duplicates);
    line
}

/// To this process, and to those that it starts.
fn allow_many_connections() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
