//! How long it takes until each of many claimants that begin at once has a name of its own, from one etcd.
//!
//! The claimants are tasks of one thread, each with its connection. That is the agents' claim code without the agents.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use anyhow::Result;
use nsid_tests::{etcd, netns::Namespace, unique::Prefix};
use nsid_user::{
    name::Pattern,
    store::{Agreement, Cluster, Etcd, Incarnation, Kind, NodeId, Nonce, Progress, Store as _},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::{runtime, task::JoinSet, time::timeout_at};

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
    Ok(Table { heading: &["median", "max", "target", "granted", "duplicates"], lines })
}

/// A round that takes longer is over, and took so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of a crowd.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    time: Duration,
    /// Claimants that got a slot in that time.
    granted: usize,
    /// Those of them that got what another one has.
    duplicates: usize,
    /// Whether the slots are the lowest, each granted once.
    exact: bool,
}

/// Lets that many claim one slot each.
fn crowd(endpoint: &str, pool: &str, count: u32) -> Result<Crowd> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let nonces = (0..count).map(|_| Nonce::random()).collect::<Result<Vec<_>, _>>()?;
    let agreement = Agreement::new(&Pattern::parse(pool, count.try_into()?)?);
    runtime.block_on(async {
        let start = Instant::now();
        let mut claims = JoinSet::new();
        for nonce in nonces {
            let cluster = Cluster { endpoints: vec![endpoint.to_owned()], credentials: None };
            let node = NodeId::of(&nonce.to_string(), "bench", 0);
            let incarnation = Incarnation::new(nonce, node, "bench".to_owned());
            let mut store = Etcd::new(cluster, incarnation, agreement.clone(), TTL);
            // With its claim the store is kept, and its connection.
            let (progress, _status) = Progress::new(Kind::Etcd, pool);
            claims.spawn(async move { (store.claim(&progress).await, store) });
        }
        let (mut slots, mut stores) = (Vec::new(), Vec::new());
        while let Ok(Some(claim)) = timeout_at((start + PATIENCE).into(), claims.join_next()).await {
            let (grant, store) = claim?;
            slots.push(grant?.slot);
            stores.push(store);
        }
        let time = start.elapsed();
        slots.sort_unstable();
        let exact = slots.iter().copied().eq(0..count);
        let granted = slots.len();
        slots.dedup();
        Ok(Crowd { time, granted, duplicates: granted - slots.len(), exact })
    })
}

/// Whatever the target, each round has to grant the lowest slots, each once.
fn line(name: String, rounds: &[Crowd], target: Option<Duration>) -> Line {
    let granted = rounds.iter().map(|round| round.granted).min();
    let duplicates: usize = rounds.iter().map(|round| round.duplicates).sum();
    let exact = rounds.iter().all(|round| round.exact);
    let mut line = Line::timed(name, rounds.iter().map(|round| round.time).collect(), target);
    line.cells.extend([granted.unwrap_or_default().to_string(), duplicates.to_string()]);
    line.holds = if exact { line.holds } else { Some(false) };
    line.figures["granted"] = json!(granted);
    line.figures["duplicates"] = json!(duplicates);
    line.figures["exact"] = json!(exact);
    line
}

/// To this process, and to those that it starts.
fn allow_many_connections() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
