//! What an agent tells of itself: over its control socket while it lives, and in a file for when it does not.

use serde::{Deserialize, Serialize};

use crate::{
    datapath::{Chains, IngressMode, Tc},
    host::namespaces::NetNs,
    store::ClaimStatus,
};

/// An agent's own view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The network namespace that it serves.
    pub netns: NetNs,
    /// The interfaces that its programs are attached to.
    pub interfaces: Vec<Attached>,
    /// Its services, in the order of the maps.
    pub services: Vec<ServiceState>,
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
