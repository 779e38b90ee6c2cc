//! `nsid set`: has a running agent change its policies, all that are named or none.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::{
    clock::BootTime,
    config::{Change, InstanceName},
    host::{
        control::{self, Answer},
        instance::Instance,
    },
    state::PolicyState,
    switch,
};

/// How long the agent may take: it may be about to follow a change of the interfaces.
const LIMIT: Duration = Duration::from_millis(1500);

/// What the agent is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetRequest {
    /// Each a `KEY=VALUE`.
    pub set: Vec<String>,
    /// Who asks does not wait longer, and takes it for not done: a point of `CLOCK_BOOTTIME`, in ns.
    pub until: u64,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum SetReply {
    /// All of it is done; this is in force now.
    Set(PolicyState),
    /// Nothing is changed.
    Refused(String),
}

/// Changes the policies of an instance; what is in force then.
pub fn set(name: &InstanceName, changes: &[Change]) -> Result<PolicyState> {
    let instance = Instance::new(name.as_str());
    let until = BootTime::now().saturating_add(LIMIT).as_nanos();
    let request = SetRequest { set: changes.iter().map(ToString::to_string).collect(), until };
    match control::request(&instance, &serde_json::to_vec(&request)?, LIMIT)? {
        Answer::Running(SetReply::Set(policies)) => Ok(policies),
        Answer::Running(SetReply::Refused(why)) => bail!("nothing is changed: {why}"),
        Answer::Unresponsive => bail!(
            "nothing is changed: the agent of instance '{name}' does not answer; it is frozen, starting or ending"
        ),
        Answer::Dead => {
            // Whatever else there is of it, its absence is told as by the other verbs.
            switch::maps(name)?;
            bail!(
                "nothing is changed: the agent of instance '{name}' is dead; `nsid run --instance {name}` starts it \
                 again, with other policies if you like"
            )
        }
    }
}
