//! The witnesses of `peers://` at nodes of their own: agents that have names of another pool of the same list.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    agent::{Agent, Instance, run_command},
    netns::Namespace,
    pool::Pool,
    star::Node,
    unique::Prefix,
    wire::INTERFACE,
};

/// One of them; killed on Drop.
#[derive(Debug)]
pub struct Witness {
    agent: Option<Agent>,
    /// What a killed one has left in the kernel.
    left: Option<Instance>,
    is_frozen: Cell<bool>,
    binary: PathBuf,
    arguments: Vec<String>,
}

impl Witness {
    /// Starts one at each of these nodes, whose list is `address`, and does not wait. They are agents, `binary`, and grant
    /// leases of up to `ttl`.
    pub fn start_at(nodes: &[Node], address: &str, binary: &Path, ttl: Duration) -> Vec<Self> {
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
        let start = |node: &Node| {
            let mut witness = Self {
                agent: None,
                left: None,
                is_frozen: Cell::new(false),
                binary: binary.to_owned(),
                arguments: arguments.clone(),
            };
            witness.start(&node.namespace);
            witness
        };
        nodes.iter().map(start).collect()
    }

    /// Starts it as the instance that it was, and does not wait; the old one is killed, if it still runs.
    pub fn start(&mut self, namespace: &Namespace) {
        self.kill();
        let instance = self.left.take().unwrap_or_else(|| Instance::new(Prefix::Test));
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let command = run_command(&self.binary, &instance, namespace, &arguments);
        self.agent = Some(Agent::spawn_command(instance, namespace, command));
    }

    /// `SIGKILL`.
    pub fn kill(&mut self) {
        if let Some(agent) = self.agent.take() {
            self.left = Some(agent.kill());
        }
        self.is_frozen.set(false);
    }

    /// `SIGSTOP`.
    pub fn freeze(&self) {
        if let Some(agent) = &self.agent {
            agent.freeze();
            self.is_frozen.set(true);
        }
    }

    /// `SIGCONT`.
    pub fn thaw(&self) {
        if let Some(agent) = &self.agent {
            agent.thaw();
            self.is_frozen.set(false);
        }
    }

    /// Whether a majority grants names, as far as it knows: it has one.
    pub fn serves(&self) -> bool {
        let agent = self.agent.as_ref().filter(|_| !self.is_frozen.get());
        agent.is_some_and(|agent| agent.instance().claim_state().as_deref() == Some("held"))
    }
}
