//! What an agent tells of itself: over its control socket while it lives, and in a file for when it does not.

use serde::{Deserialize, Serialize};

use crate::{
    cli::VERSION,
    clock::BootTime,
    datapath::{Bypass, Chains, IngressMode, Tc},
    host::namespaces::NetNs,
    store::ClaimStatus,
};

/// An agent's own view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Who tells.
    pub program: Program,
    /// The network namespace that it serves.
    pub netns: NetNs,
    /// The interfaces that its programs are attached to.
    pub interfaces: Vec<Attached>,
    /// Its services, in the order of the maps.
    pub services: Vec<ServiceState>,
}

/// The program that an agent runs. It changes when the agent is upgraded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its version.
    pub version: String,
    /// When it began: a successor's began later.
    pub since: BootTime,
}

impl Program {
    /// This one, which begins now.
    pub fn begin() -> Self {
        Self { version: VERSION.to_owned(), since: BootTime::now() }
    }
}

/// An interface with our programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// A server is on this host: how queries that arrive are seen. `None`: every server is behind the link.
    pub ingress: Option<IngressMode>,
    /// Why queries are seen at tc where XDP was tried first.
    pub why_tc: Option<String>,
    /// A server is behind the link.
    pub behind: bool,
    /// How the programs at tc are attached.
    pub tc: Tc,
    /// Ours and others', as the agent last saw them.
    pub tcx: Chains,
    /// What takes packets there past the kernel's stack.
    pub bypass: Option<Bypass>,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// Where its name comes from ([`StoreConfig::source`](crate::config::StoreConfig::source)): by it, the next run knows whether the name on the wire is still wanted.
    pub source: String,
    /// Where it listens.
    pub listen: Vec<String>,
    /// Where its claim stands.
    pub claim: ClaimStatus,
}
