//! What an agent tells of itself: over its control socket while it lives, and in a file for when it does not.

use std::{fmt, num::NonZeroU32};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::{
    cli::VERSION,
    clock::BootTime,
    config::Policies,
    datapath::{Bypass, Chains, IngressMode, Tc},
    host::namespaces::NetNs,
    store::{ClaimStatus, peers::WitnessStatus},
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
    /// The witnesses that this node is, or should be.
    #[serde(default)]
    pub witnesses: Vec<WitnessStatus>,
    /// What it was told, and may be told anew.
    pub policies: PolicyState,
    /// Ranges of clients that would be answered, and are left to the server for want of room.
    #[serde(default)]
    pub left_to_server: usize,
}

/// What may be changed while an agent runs, as a person gives it; null: no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyState {
    /// Whom the kernel answers.
    pub answer: String,
    /// Who may see the name.
    pub allow: Vec<String>,
    /// Who may not.
    pub deny: Vec<String>,
    /// What NSID holds.
    pub nsid: String,
    /// How long an HMAC stands for a name.
    pub nsid_period: String,
    /// What becomes of the server's own NSID.
    pub own_nsid: String,
    /// Bytes of a message that a name is put into.
    pub max_udp_size: Option<u16>,
    /// Answers of the kernel to a network in a second.
    pub answer_rate: Option<u32>,
}

impl From<&Policies> for PolicyState {
    fn from(policies: &Policies) -> Self {
        Self {
            answer: word(&policies.answer),
            allow: policies.allow.iter().map(ToString::to_string).collect(),
            deny: policies.deny.iter().map(ToString::to_string).collect(),
            nsid: policies.nsid.to_string(),
            nsid_period: policies.nsid_period.to_string(),
            own_nsid: word(&policies.own_nsid),
            max_udp_size: policies.max_udp_size.get(),
            answer_rate: policies.answer_rate.get().map(NonZeroU32::get),
        }
    }
}

impl PolicyState {
    /// What a person would set to have them so.
    pub fn settings(&self) -> [String; 8] {
        let Self { answer, allow, deny, nsid, nsid_period, own_nsid, max_udp_size, answer_rate } = self;
        let or_off = |limit: Option<u32>| limit.map_or_else(|| "off".to_owned(), |limit| limit.to_string());
        [
            format!("answer={answer}"),
            format!("allow={}", allow.join(",")),
            format!("deny={}", deny.join(",")),
            format!("nsid={nsid}"),
            format!("nsid-period={nsid_period}"),
            format!("own-nsid={own_nsid}"),
            format!("max-udp-size={}", or_off(max_udp_size.map(u32::from))),
            format!("answer-rate={}", or_off(*answer_rate)),
        ]
    }
}

/// The word that a person gives for it.
fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// For people: a line each, and of what is off or empty none.
impl fmt::Display for PolicyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answer, allow, deny, nsid, nsid_period, own_nsid, max_udp_size, answer_rate } = self;
        writeln!(f, "policy     answer={answer}")?;
        for (key, list) in [("allow", allow), ("deny", deny)].into_iter().filter(|(_, list)| !list.is_empty())
        {
            writeln!(f, "policy     {key}={}", list.join(","))?;
        }
        writeln!(f, "policy     nsid={nsid}")?;
        if nsid.starts_with("hmac:") {
            writeln!(f, "policy     nsid-period={nsid_period}")?;
        }
        writeln!(f, "policy     own-nsid={own_nsid}")?;
        if let Some(bytes) = max_udp_size {
            writeln!(f, "policy     max-udp-size={bytes}")?;
        }
        if let Some(rate) = answer_rate {
            writeln!(f, "policy     answer-rate={rate}")?;
        }
        Ok(())
    }
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
    /// Its responses are edited at XDP, and not at tc.
    pub edits_at_xdp: bool,
    /// How the programs at tc are attached.
    pub tc: Tc,
    /// Ours and others', as the agent last saw them.
    pub tcx: Chains,
    /// What takes packets there past the kernel's stack.
    pub bypass: Option<Bypass>,
}

/// Those of them that have filters of ours, which no pin tells of, by their names.
pub fn filtered<'a>(interfaces: impl IntoIterator<Item = &'a Attached>) -> Vec<String> {
    let filtered = interfaces.into_iter().filter(|attached| attached.tc == Tc::Clsact);
    filtered.map(|attached| attached.name.clone()).collect()
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// Where its name comes from ([`StoreConfig::source`](crate::config::StoreConfig::source)): by it, the next run knows
    /// whether the name on the wire is still wanted.
    pub source: String,
    /// Where it listens.
    pub listen: Vec<String>,
    /// Where its claim stands.
    pub claim: ClaimStatus,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As version 0.1.0 wrote it at first.
    const OLDER: &str = r#"{
        "program": {"version": "0.1.0", "since": 1},
        "netns": {"dev": 4, "inode": 4026531840},
        "interfaces": [],
        "services": [{
            "source": "local/worker{id}.test",
            "listen": ["0.0.0.0:53"],
            "claim": {"store": {"kind": "local", "state": "held"}, "slot": 3, "token": 7}
        }],
        "policies": {
            "answer": "local", "allow": [], "deny": [], "nsid": "name", "nsid_period": "1h", "own_nsid": "replace",
            "max_udp_size": null, "answer_rate": null
        }
    }"#;

    #[test]
    fn the_state_of_an_agent_before_there_were_witnesses_is_read() {
        let state: State = serde_json::from_str(OLDER).unwrap();
        assert_eq!((state.services[0].claim.slot, state.witnesses), (Some(3), vec![]));
    }
}
