//! `nsid names`: who of the whole cluster has which name, as the store tells the agent of this host.

mod wait;
mod watch;

use std::{fmt, time::Duration};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

pub use self::{wait::wait, watch::watch};
use crate::{
    clock,
    config::InstanceName,
    host::{
        control::{self, Answer},
        instance::Instance,
    },
    plain::Plain,
    switch,
};

/// How long a store may take to tell.
pub(crate) const LOOK_LIMIT: Duration = Duration::from_secs(3);

/// How long the agent may take.
const LIMIT: Duration = LOOK_LIMIT.saturating_add(control::LIMIT);

/// What the agent is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct NamesRequest {
    /// Patterns of pools; none: all that it claims from. What the request is told by is its key.
    #[serde(rename = "names")]
    pub pools: Vec<String>,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum NamesReply {
    /// The pools, in the order of the services.
    Names(Vec<PoolNames>),
    /// A store does not tell at present.
    Unreachable(String),
    /// There is none to ask, and waiting does not mend that.
    Refused(String),
}

/// A pool, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolNames {
    /// Where it is ([`StoreConfig::source`](crate::config::StoreConfig::source)).
    pub source: String,
    /// How many names it has.
    pub limit: u32,
    /// Those that somebody has, by slot.
    pub names: Vec<HeldName>,
    /// How many wait in line for one.
    pub waiting: usize,
}

/// A name that somebody has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldName {
    /// The name.
    pub name: String,
    /// Its place in the pool.
    pub slot: u32,
    /// The fencing token.
    pub token: u64,
    /// Its holder, by the name of that host.
    pub host: String,
    /// Since when, by that host's clock (among peers, by this one's), in ms since 1970.
    pub since_ms: u64,
    /// Whether the holder is the agent that tells.
    pub ours: bool,
}

/// What an instance's agent knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Names {
    pools: Vec<PoolNames>,
}

/// Asks an instance's agent for all pools that it claims from, or for one.
pub fn names(name: &InstanceName, pool: Option<&str>) -> Result<Names> {
    match ask(name, pool)? {
        Told::Names(names) => Ok(names),
        Told::NotNow(why) => bail!("{why}"),
    }
}

/// What is told of names: or why that may be told another time.
enum Told {
    Names(Names),
    NotNow(String),
}

/// An error is one that waiting does not mend.
fn ask(name: &InstanceName, pool: Option<&str>) -> Result<Told> {
    let instance = Instance::new(name.as_str());
    let request = NamesRequest { pools: pool.map(ToOwned::to_owned).into_iter().collect() };
    match control::request(&instance, &serde_json::to_vec(&request)?, LIMIT)? {
        Answer::Running(NamesReply::Names(pools)) => Ok(Told::Names(Names { pools })),
        Answer::Running(NamesReply::Unreachable(why)) => Ok(Told::NotNow(why)),
        Answer::Running(NamesReply::Refused(why)) => bail!("{why}"),
        Answer::Unresponsive => Ok(Told::NotNow(format!(
            "the agent of instance '{name}' does not answer; it is frozen, starting or ending"
        ))),
        Answer::Dead => {
            // Whatever else there is of it, its absence is told as by the other verbs.
            switch::maps(name)?;
            bail!(
                "the agent of instance '{name}' is dead, and it is the agent that asks the store; start it again"
            )
        }
    }
}

impl HeldName {
    /// For how long, as far as clocks agree.
    fn age(&self) -> Duration {
        Duration::from_secs(clock::millis_since_1970().saturating_sub(self.since_ms) / 1000)
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pools.iter().try_for_each(|pool| pool.fmt(f))
    }
}

impl fmt::Display for PoolNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, limit, names, waiting } = self;
        write!(f, "pool       {source}: {} of {limit} names are held", names.len())?;
        match waiting {
            0 => writeln!(f)?,
            waiting => writeln!(f, ", {waiting} in line")?,
        }
        let column = |text: fn(&HeldName) -> usize| names.iter().map(text).max().unwrap_or(0);
        let widest = (column(|held| held.name.len()), column(|held| held.host_shown().chars().count()));
        names.iter().try_for_each(|held| held.line(f, widest))
    }
}

impl HeldName {
    fn line(&self, f: &mut fmt::Formatter<'_>, (name, host): (usize, usize)) -> fmt::Result {
        let age = humantime::format_duration(self.age());
        let ours = if self.ours { ", this agent" } else { "" };
        let (of, token) = (self.host_shown(), self.token);
        writeln!(f, "  {:name$}  {of:host$}  for {age}, token {token}{ours}", self.name)
    }

    /// Whoever may write to the store has written it.
    fn host_shown(&self) -> String {
        Plain(&self.host).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(slot: u32, host: &str, age: i64) -> HeldName {
        let since_ms = clock::millis_since_1970().checked_add_signed(-age * 1000).unwrap();
        let name = format!("worker{slot}.tf.local");
        HeldName { name, slot, token: 7, host: host.to_owned(), since_ms, ours: slot == 1 }
    }

    #[test]
    fn a_pool_is_a_line_and_a_line_for_each_name() {
        let names = vec![held(1, "ns1", 3600), held(10, "ns10", -90)];
        let pool = PoolNames { source: "local:worker{id}.tf.local".into(), limit: 64, names, waiting: 2 };
        assert_eq!(
            Names { pools: vec![pool] }.to_string().replace("1h 1s", "1h"),
            "pool       local:worker{id}.tf.local: 2 of 64 names are held, 2 in line\n  \
               worker1.tf.local   ns1   for 1h, token 7, this agent\n  \
               worker10.tf.local  ns10  for 0s, token 7\n"
        );
    }

    #[test]
    fn a_host_of_whatever_name_makes_no_line_and_moves_no_cursor() {
        let names = vec![held(1, "ns1\n  worker2.tf.local\x1b[1A", -90), held(10, "höst", -90)];
        let pool = PoolNames { source: "local:worker{id}.tf.local".into(), limit: 64, names, waiting: 0 };
        assert_eq!(
            pool.to_string(),
            "pool       local:worker{id}.tf.local: 2 of 64 names are held\n  \
               worker1.tf.local   ns1\\n  worker2.tf.local\\u{1b}[1A  for 0s, token 7, this agent\n  \
               worker10.tf.local  höst                              for 0s, token 7\n"
        );
    }
}
