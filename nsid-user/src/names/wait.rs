//! `nsid wait`: returns once so many names of a pool are held.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::{Names, Told, ask};
use crate::{config::InstanceName, lines};

/// Between two looks: at the store, by each node that waits.
const LOOK: Duration = Duration::from_secs(1);

/// Waits until at least `expected` names are held of the one pool that this is about; fails after `limit`, if there is
/// one. Tells on stderr how many there are when that changes.
pub fn wait(
    instance: &InstanceName,
    pool: Option<&str>,
    expected: u32,
    limit: Option<Duration>,
) -> Result<Names> {
    let start = Instant::now();
    let mut told = String::new();
    loop {
        let news = match ask(instance, pool)? {
            Told::Names(names) => {
                let [pool] = &names.pools[..] else {
                    let sources: Vec<_> = names.pools.iter().map(|pool| pool.source.as_str()).collect();
                    bail!("which pool? name its pattern by --pool: {}", sources.join(", "));
                };
                if expected > pool.limit {
                    bail!("{} has {} names, and never {expected}", pool.source, pool.limit);
                }
                if pool.names.len() >= expected as usize {
                    return Ok(names);
                }
                format!("{} of {expected} names are held", pool.names.len())
            }
            // An agent that is about to be started, or a store that is away, may come.
            Told::NotNow(why) => why,
        };
        if let Some(limit) = limit.filter(|limit| start.elapsed() >= *limit) {
            bail!("after {}: {news}", humantime::format_duration(limit));
        }
        if news != told {
            lines::STDERR.say(format!("{news}\n"));
            told = news;
        }
        let left = limit.map_or(LOOK, |limit| limit.saturating_sub(start.elapsed()));
        thread::sleep(LOOK.min(left));
    }
}
