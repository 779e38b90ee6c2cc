//! `nsid upgrade`: has the running agent go on as another version, and waits until that one is ready.

use std::{
    env, fmt, fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    config::InstanceName,
    host::{
        control::{self, Answer, AskError},
        instance::Instance,
    },
    state::Program,
    store::{ClaimStatus, State},
};

/// How long the other version may take to check: it loads its programs, on a host that may have much to do.
pub(crate) const CHECK_LIMIT: Duration = Duration::from_secs(20);

/// How long the successor may take to be ready.
const READY: Duration = Duration::from_secs(10);

/// Between two looks whether it is.
const LOOK: Duration = Duration::from_millis(5);

/// What the agent is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct UpgradeRequest {
    /// To go on as the binary at that path, which is one in the host's mount namespace.
    pub upgrade: PathBuf,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpgradeReply {
    /// It is being done.
    Accepted,
    /// It cannot be done, and nothing has changed.
    Refused {
        /// Why.
        why: String,
    },
}

/// Why the agent goes on as before, or is not known to go on.
#[derive(Debug, Error)]
pub enum UpgradeError {
    /// There is no such binary.
    #[error("cannot upgrade to {path}: {source}")]
    Binary {
        /// Its path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Nobody to upgrade.
    #[error(
        "no agent runs instance '{instance}': a newer nsid is simply started; `nsid run --instance {instance}`"
    )]
    Dead {
        /// The instance.
        instance: String,
    },
    /// The agent neither does it nor says why.
    #[error("the agent of instance '{instance}' does not answer; if it is not just starting, restart it")]
    Unresponsive {
        /// The instance.
        instance: String,
    },
    /// The agent will not.
    #[error("the agent goes on as before: {binary} is not fit for it: {why}")]
    Refused {
        /// The binary.
        binary: PathBuf,
        /// Why.
        why: String,
    },
    /// The successor ended.
    #[error("the agent ended as {binary}: its log says why; start it again within the claim's time")]
    Ended {
        /// The binary.
        binary: PathBuf,
    },
    /// The successor does not hold what the predecessor held.
    #[error(
        "the agent goes on as {binary}, but is not ready after {READY:?}: `nsid status` tells what it waits for"
    )]
    NotReady {
        /// The binary.
        binary: PathBuf,
    },
    /// The agent cannot be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Upgraded {
    instance: String,
    from: String,
    to: String,
    took_ms: u64,
    services: Vec<Claim>,
}

/// A service's claim.
#[derive(Debug, Serialize)]
struct Claim {
    source: String,
    slot: Option<u32>,
    token: Option<u64>,
}

/// Of an agent of any version, what matters here.
#[derive(Debug, Deserialize)]
struct Seen {
    program: Program,
    services: Vec<SeenService>,
}

#[derive(Debug, Deserialize)]
struct SeenService {
    source: String,
    claim: ClaimStatus,
}

/// The binary to upgrade to, as it is seen from everywhere.
pub fn binary(given: Option<PathBuf>) -> Result<PathBuf, UpgradeError> {
    match given {
        None => env::current_exe()
            .map_err(|source| UpgradeError::Binary { path: "/proc/self/exe".into(), source }),
        Some(path) => fs::canonicalize(&path).map_err(|source| UpgradeError::Binary { path, source }),
    }
}

/// Has an instance's agent go on as that binary.
pub fn upgrade(instance: &InstanceName, binary: &Path) -> Result<Upgraded, UpgradeError> {
    let instance = Instance::new(instance.as_str());
    let before: Seen = answered(&instance, control::ask(&instance, control::LIMIT)?)?;
    let asked = Instant::now();
    let request = serde_json::to_vec(&UpgradeRequest { upgrade: binary.to_owned() })
        .map_err(|source| UpgradeError::Binary { path: binary.to_owned(), source: source.into() })?;
    let limit = CHECK_LIMIT + control::LIMIT;
    match answered(&instance, control::request(&instance, &request, limit)?)? {
        UpgradeReply::Accepted => {}
        UpgradeReply::Refused { why } => {
            return Err(UpgradeError::Refused { binary: binary.to_owned(), why });
        }
    }
    let patience = Instant::now() + READY;
    loop {
        match control::ask::<Seen>(&instance, control::LIMIT)? {
            Answer::Running(now) if now.goes_on_from(&before) => {
                let took_ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
                return Ok(Upgraded {
                    instance: instance.name().to_owned(),
                    from: before.program.version,
                    to: now.program.version,
                    took_ms,
                    services: now.services.into_iter().map(Claim::from).collect(),
                });
            }
            Answer::Dead => return Err(UpgradeError::Ended { binary: binary.to_owned() }),
            Answer::Running(_) | Answer::Unresponsive => {}
        }
        if Instant::now() > patience {
            return Err(UpgradeError::NotReady { binary: binary.to_owned() });
        }
        thread::sleep(LOOK);
    }
}

fn answered<T>(instance: &Instance, answer: Answer<T>) -> Result<T, UpgradeError> {
    let instance = || instance.name().to_owned();
    match answer {
        Answer::Running(told) => Ok(told),
        Answer::Unresponsive => Err(UpgradeError::Unresponsive { instance: instance() }),
        Answer::Dead => Err(UpgradeError::Dead { instance: instance() }),
    }
}

impl Seen {
    /// Whether this is a successor, and holds again what was held.
    fn goes_on_from(&self, before: &Self) -> bool {
        let held = |service: &SeenService| service.claim.store.state == State::Held;
        self.program.since > before.program.since
            && before.services.iter().enumerate().filter(|(_, service)| held(service)).all(|(index, was)| {
                // What is configured elsewhere, or not any more, is not gone on with.
                self.services.get(index).filter(|service| service.source == was.source).is_none_or(held)
            })
    }
}

impl From<SeenService> for Claim {
    fn from(SeenService { source, claim }: SeenService) -> Self {
        Self { source, slot: claim.slot, token: claim.token }
    }
}

impl fmt::Display for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, from, to, took_ms, services } = self;
        writeln!(f, "instance   {instance}: nsid {from} went on as nsid {to} within {took_ms} ms")?;
        for Claim { source, slot, token } in services {
            write!(f, "service    {source}")?;
            if let (Some(slot), Some(token)) = (slot, token) {
                write!(f, ": slot {slot}, token {token}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
