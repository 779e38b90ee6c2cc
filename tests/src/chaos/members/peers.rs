//! The witnesses of `peers://`: agents that have names of another pool of the same list. None of them leads; the first
//! one is taken for who does.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Member, Role, Taken};
use crate::{
    agent::{Agent, Instance, nsid, run_command},
    netns::Namespace,
    pool::Pool,
    star::Node,
    unique::Prefix,
    wire::INTERFACE,
};

/// Starts one at each of these nodes.
pub(super) fn start(nodes: &[Node], address: &str, binary: &Path, ttl: Duration) -> Vec<Box<dyn Member>> {
    // Its names are told apart from those of another run by its agents, which outlive it.
    let pattern = Pool::new(Prefix::Test).pattern();
    let limit = nodes.len().to_string();
    let ttl = format!("{}ms", ttl.as_millis());
    let arguments = [
        &["--verbose"][..],
        &["--iface", INTERFACE],
        &["--store", address],
        &["--pattern", &pattern],
        &["--limit", &limit],
        &["--ttl", &ttl],
    ];
    let arguments: Vec<String> = arguments.concat().into_iter().map(str::to_owned).collect();
    let start = |(index, node): (usize, &Node)| {
        let mut witness = Witness {
            agent: None,
            left: None,
            is_frozen: Cell::new(false),
            is_first: index == 0,
            binary: binary.to_owned(),
            arguments: arguments.clone(),
        };
        witness.start(&node.namespace);
        Box::new(witness) as Box<dyn Member>
    };
    nodes.iter().enumerate().map(start).collect()
}

/// The agent of one of them.
#[derive(Debug)]
struct Witness {
    agent: Option<Agent>,
    /// What a killed one has left in the kernel.
    left: Option<Instance>,
    is_frozen: Cell<bool>,
    is_first: bool,
    binary: PathBuf,
    arguments: Vec<String>,
}

impl Member for Witness {
    fn start(&mut self, namespace: &Namespace) {
        self.kill();
        let instance = self.left.take().unwrap_or_else(|| Instance::new(Prefix::Test));
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let command = run_command(&self.binary, &instance, namespace, &arguments);
        self.agent = Some(Agent::spawn_command(instance, namespace, command));
    }

    fn kill(&mut self) {
        if let Some(agent) = self.agent.take() {
            self.left = Some(agent.kill());
        }
        self.is_frozen.set(false);
    }

    fn freeze(&self) {
        if let Some(agent) = &self.agent {
            agent.freeze();
            self.is_frozen.set(true);
        }
    }

    fn thaw(&self) {
        if let Some(agent) = &self.agent {
            agent.thaw();
            self.is_frozen.set(false);
        }
    }

    fn role(&self, _: &Namespace) -> Option<Role> {
        let agent = self.agent.as_ref().filter(|_| !self.is_frozen.get())?;
        let serves = agent.instance().claim_state().as_deref() == Some("held");
        serves.then_some(if self.is_first { Role::Leader } else { Role::Follower })
    }

    fn step_down(&mut self, _: &Namespace, _: &Namespace) -> Option<()> {
        None
    }

    fn take_away(&self, _: &Namespace, _: &str, _: u32, _: Taken) -> Option<()> {
        None
    }

    fn version(&self, _: &Namespace) -> Option<String> {
        let version = String::from_utf8(nsid(&["--version"]).stdout).ok()?;
        Some(version.trim().strip_prefix("nsid ").unwrap_or(version.trim()).to_owned())
    }
}
