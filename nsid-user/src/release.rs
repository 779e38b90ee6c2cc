//! `nsid release`: has a running agent hand its names on to who waits in line for one.

use std::{fmt, time::Duration};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::{
    claim::RELEASE_LIMIT,
    config::InstanceName,
    host::{
        control::{self, Answer},
        instance::Instance,
    },
    name::NodeName,
    switch,
};

/// How long the agent may take: the store is asked last, and once.
const LIMIT: Duration = RELEASE_LIMIT.saturating_add(Duration::from_secs(1));

/// What the agent is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReleaseRequest {
    /// Names that it holds; none: whatever it holds.
    pub release: Vec<String>,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum ReleaseReply {
    /// It says these no more, and the store has them for the next in line.
    Released(Vec<String>),
    /// It could not, or would not.
    Refused(String),
}

/// What was handed on.
#[derive(Debug, Serialize)]
pub struct Released {
    instance: String,
    released: Vec<String>,
}

/// Has an instance's agent hand a name on, or all that it holds.
pub fn release(name: &InstanceName, which: Option<&NodeName>) -> Result<Released> {
    let instance = Instance::new(name.as_str());
    let request = ReleaseRequest { release: which.map(ToString::to_string).into_iter().collect() };
    match control::request(&instance, &serde_json::to_vec(&request)?, LIMIT)? {
        Answer::Running(ReleaseReply::Released(released)) => {
            Ok(Released { instance: name.to_string(), released })
        }
        Answer::Running(ReleaseReply::Refused(why)) => bail!("{why}"),
        Answer::Unresponsive => bail!(
            "the agent of instance '{name}' does not answer; it is frozen, starting or ending, and what it says ends with \
             its claim at the latest; `nsid off --instance {name}` silences it at once"
        ),
        Answer::Dead => {
            // Whatever else there is of it, its absence is told as by the other verbs.
            switch::maps(name)?;
            bail!(
                "the agent of instance '{name}' is dead, and its name free once its claim is over; \
                 `nsid detach --instance {name}` silences it at once"
            )
        }
    }
}

impl fmt::Display for Released {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.released {
            writeln!(f, "released   {name}")?;
        }
        Ok(())
    }
}
