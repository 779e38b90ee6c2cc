//! `nsid status`: what the agent says of itself, and what the kernel has.

use std::{collections::BTreeMap, fmt, net::SocketAddr};

use anyhow::Result;
use serde::Serialize;

use crate::{
    clock::{BootTime, Deadline},
    config::InstanceName,
    datapath::{Bypass, Chains, IngressMode, Maps, Tc},
    hex::digits,
    host::{
        control::{self, Answer},
        instance::Instance,
        state as file,
    },
    state::{Attached, PolicyState, ServiceState, State},
    store::{self, peers::WitnessStatus},
    switch,
};

/// Everything that is known of an instance. What is not known is null, and never absent.
#[derive(Debug, Serialize)]
pub struct Status {
    instance: String,
    enabled: bool,
    agent: Agent,
    version: Option<String>,
    services: Vec<Service>,
    /// The witnesses that this node is, or should be.
    witnesses: Option<Vec<Witness>>,
    interfaces: Vec<Interface>,
    policies: Option<PolicyState>,
    /// Ranges of clients that would be answered, and are left to the server for want of room.
    left_to_server: Option<usize>,
    outcomes: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Agent {
    Running,
    Unresponsive,
    Dead,
}

#[derive(Debug, Serialize)]
struct Service {
    name: Option<String>,
    nsid: Option<String>,
    listen: Vec<String>,
    store: Store,
    slot: Option<u32>,
    token: Option<u64>,
    deadline_ms: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Store {
    kind: store::Kind,
    state: Option<store::State>,
    /// Why it is unreachable.
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct Witness {
    address: SocketAddr,
    grants: bool,
    /// For how long it grants nothing.
    silent_ms: Option<i64>,
    /// Without whose answers it grants nothing.
    waits_for: Vec<SocketAddr>,
    /// What keeps it from being one.
    trouble: Option<String>,
    /// All of that, for people.
    #[serde(skip)]
    text: String,
}

#[derive(Debug, Serialize)]
struct Interface {
    name: String,
    /// Where queries are seen that arrive, to a server on this host.
    ingress: Option<Ingress>,
    /// Why not at XDP.
    reason: Option<String>,
    /// Whether queries are noted that leave, and responses edited that arrive: to and from a server behind the link.
    behind: bool,
    /// Whether those responses are edited at XDP, and not at tc.
    edits_at_xdp: bool,
    /// How what is at tc is attached.
    tc: Tc,
    /// The programs at tcx, ours and others', in the order in which they run.
    tcx: Chains,
    /// What takes packets past the kernel's stack, and so past all of that.
    bypass: Option<Bypass>,
}

#[derive(Debug, Serialize)]
struct Ingress {
    hook: &'static str,
    mode: IngressMode,
}

impl Status {
    /// Of an instance that is on this host, whether its agent lives or not.
    pub fn of(name: &InstanceName) -> Result<Self> {
        let maps = switch::maps(name)?;
        let instance = Instance::new(name.as_str());
        let (agent, state): (_, Option<State>) = match control::ask(&instance, control::LIMIT)? {
            Answer::Running(state) => (Agent::Running, Some(state)),
            Answer::Unresponsive => (Agent::Unresponsive, file::read(&instance)?),
            Answer::Dead => (Agent::Dead, file::read(&instance)?),
        };
        // The next program of a dead agent may be another one.
        let running = state.as_ref().filter(|_| agent == Agent::Running);
        let version = running.map(|state| state.program.version.clone());
        // A dead one grants nothing, and a frozen one what it does not tell.
        let witnesses = running.map(|state| state.witnesses.iter().map(Witness::from).collect());
        let left_to_server = state.as_ref().map(|state| state.left_to_server);
        let (services, interfaces, policies) =
            state.map_or_else(Default::default, |State { services, interfaces, policies, .. }| {
                let services = (0..)
                    .zip(services)
                    .map(|(index, service)| Service::of(service, agent, &maps, index))
                    .collect();
                (services, interfaces.into_iter().map(Interface::from).collect(), Some(policies))
            });
        let outcomes = maps.outcomes()?.into_iter().map(|(outcome, count)| (outcome.name(), count)).collect();
        Ok(Self {
            instance: name.to_string(),
            enabled: maps.enabled(),
            agent,
            version,
            services,
            witnesses,
            interfaces,
            policies,
            left_to_server,
            outcomes,
        })
    }
}

impl Service {
    fn of(service: ServiceState, agent: Agent, maps: &Maps, index: u32) -> Self {
        let said = maps.said(index);
        let deadline_ms = said.as_ref().and_then(|said| match said.until {
            Deadline::Never => None,
            Deadline::At(point) => Some(milliseconds_left(point)),
        });
        let ServiceState { listen, claim, .. } = service;
        Self {
            nsid: said.as_ref().map(|said| digits(&said.nsid)),
            name: said.map(|said| said.name),
            listen,
            store: Store {
                kind: claim.store.kind,
                // What a dead or frozen agent last wrote down may not be so any more.
                state: (agent == Agent::Running).then_some(claim.store.state),
                reason: claim.store.reason.filter(|_| agent == Agent::Running),
            },
            slot: claim.slot,
            token: claim.token,
            deadline_ms,
        }
    }
}

fn milliseconds_left(point: BootTime) -> i64 {
    let (point, now) = (i128::from(point.as_nanos()), i128::from(BootTime::now().as_nanos()));
    i64::try_from((point - now) / 1_000_000).unwrap_or(i64::MAX)
}

impl From<&WitnessStatus> for Witness {
    fn from(status: &WitnessStatus) -> Self {
        let WitnessStatus { address, grants, silent_until, waits_for, trouble } = status.clone();
        let silent_ms = silent_until.map(milliseconds_left);
        Self { address, grants, silent_ms, waits_for, trouble, text: status.to_string() }
    }
}

impl From<Attached> for Interface {
    fn from(attached: Attached) -> Self {
        let Attached { name, index: _, ingress, why_tc, behind, edits_at_xdp, tc, tcx, bypass } = attached;
        let ingress = ingress.map(|mode| {
            let hook = match mode {
                IngressMode::Native | IngressMode::Generic => "xdp",
                IngressMode::Tc => "tc",
            };
            Ingress { hook, mode }
        });
        Self { name, ingress, reason: why_tc, behind, edits_at_xdp, tc, tcx, bypass }
    }
}

/// For people: a line each, and one for all outcomes that there were none of.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            instance,
            enabled,
            agent,
            version,
            services,
            witnesses,
            interfaces,
            policies,
            left_to_server,
            outcomes,
        } = self;
        let switch = if *enabled { "on" } else { "off" };
        write!(f, "instance   {instance}: {switch}, agent {}", word(agent))?;
        match version {
            Some(version) => writeln!(f, ", nsid {version}")?,
            None => writeln!(f)?,
        }
        for Service { name, nsid, listen, store, slot, token, deadline_ms } in services {
            write!(f, "service    {}", name.as_deref().unwrap_or("(no name)"))?;
            let plain = name.as_ref().map(|name| digits(name.as_bytes()));
            if let Some(nsid) = nsid.as_ref().filter(|nsid| plain.as_ref() != Some(nsid)) {
                write!(f, " said as {nsid}")?;
            }
            match deadline_ms {
                Some(left) if *left < 0 => write!(f, ", lapsed {} ms ago", -left)?,
                Some(left) => write!(f, " for {left} ms more")?,
                None => {}
            }
            write!(f, ", on {}; {} store", listen.join(" "), store.kind)?;
            if let Some(state) = &store.state {
                write!(f, ": {}", word(state))?;
            }
            if let Some(reason) = &store.reason {
                write!(f, " ({reason})")?;
            }
            if let (Some(slot), Some(token)) = (slot, token) {
                write!(f, ", slot {slot}, token {token}")?;
            }
            writeln!(f)?;
        }
        for witness in witnesses.iter().flatten() {
            writeln!(f, "witness    {}", witness.text)?;
        }
        for interface in interfaces {
            writeln!(f, "interface  {interface}")?;
        }
        if let Some(policies) = policies {
            write!(f, "{policies}")?;
        }
        if let Some(ranges @ 1..) = left_to_server {
            writeln!(
                f,
                "policy     {ranges} ranges of clients are left to the server: this host has too many networks"
            )?;
        }
        for (outcome, count) in outcomes.iter().filter(|(_, count)| **count != 0) {
            writeln!(f, "outcome    {outcome}: {count}")?;
        }
        let none: Vec<_> =
            outcomes.iter().filter(|(_, count)| **count == 0).map(|(outcome, _)| *outcome).collect();
        if !none.is_empty() {
            writeln!(f, "outcome    none: {}", none.join(" "))?;
        }
        Ok(())
    }
}

/// `eth0: queries at XDP (native), responses at tc (tcx)`.
impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, ingress, reason, behind, edits_at_xdp, tc, tcx, bypass } = self;
        let tc = word(tc);
        write!(f, "{name}: ")?;
        match ingress.as_ref().map(|ingress| ingress.mode) {
            Some(IngressMode::Tc) => write!(f, "queries and responses at tc ({tc})")?,
            Some(mode) => write!(f, "queries at XDP ({}), responses at tc ({tc})", word(&mode))?,
            None => {}
        }
        if *behind {
            let also = if ingress.is_some() { "; " } else { "" };
            let seen =
                if *edits_at_xdp { "queries at tc, responses at XDP" } else { "queries and responses at tc" };
            write!(f, "{also}of a server behind it, {seen} ({tc})")?;
        }
        if let Some(reason) = reason {
            write!(f, "; not at XDP: {reason}")?;
        }
        for (hook, chain) in [("ingress", &tcx.ingress), ("egress", &tcx.egress)] {
            if chain.iter().any(|program| !program.starts_with("nsid_")) {
                write!(f, "; tcx {hook}, in order: {}", chain.join(", "))?;
            }
        }
        if let Some(bypass) = bypass {
            write!(f, "; {bypass}")?;
        }
        Ok(())
    }
}

/// The word of it in JSON.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "?".to_owned(),
    }
}
