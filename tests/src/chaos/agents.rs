//! The agents, one at each place of a star, and what becomes of them.

use std::{
    path::PathBuf,
    process::{Child, Stdio},
};

use super::watch::Watch;
use crate::{
    agent::{Agent, Instance, run_command},
    netns::Namespace,
    star::Node,
    unique::Prefix,
};

/// Agents with one configuration.
#[derive(Debug)]
pub(super) struct Agents {
    seats: Vec<Seat>,
    binary: PathBuf,
    /// Those of `nsid run`.
    arguments: Vec<String>,
}

/// Where an agent runs, or did.
#[derive(Debug, Default)]
struct Seat {
    agent: Option<Agent>,
    /// One that was told to end.
    ending: Option<Agent>,
    /// What a killed one has left in the kernel.
    left: Option<Instance>,
    /// `nsid upgrade`, that is under way.
    upgrade: Option<Child>,
}

impl Agents {
    /// Starts one at each node, and does not wait.
    pub(super) fn start(binary: PathBuf, arguments: Vec<String>, nodes: &[Node], watch: &Watch) -> Self {
        let seats = nodes.iter().map(|_| Seat::default()).collect();
        let mut agents = Self { seats, binary, arguments };
        nodes.iter().enumerate().for_each(|(node, place)| agents.seat(node, place, watch));
        agents
    }

    /// Whether one runs there.
    pub(super) fn runs(&self, node: usize) -> bool {
        self.seats[node].agent.is_some()
    }

    /// The one that runs there.
    pub(super) fn at(&self, node: usize) -> &Agent {
        self.seats[node].agent.as_ref().expect("one runs there")
    }

    /// `SIGKILL`. What it has in the kernel stays.
    pub(super) fn kill(&mut self, node: usize) {
        self.seats[node].left = self.seats[node].agent.take().map(Agent::kill);
    }

    /// `SIGTERM`, not waited for.
    pub(super) fn tell_to_end(&mut self, node: usize) {
        self.at(node).tell_to_end();
        self.seats[node].ending = self.seats[node].agent.take();
    }

    /// Starts one again that was killed.
    pub(super) fn restart(&mut self, node: usize, place: &Node, watch: &Watch) {
        let left = self.seats[node].left.take().expect("one was killed there");
        self.seat_as(left, node, &place.namespace, watch);
    }

    /// Starts one in place of one that was killed, told to end, whose end is waited for, or has ended by itself: of that
    /// nothing is left.
    pub(super) fn seat(&mut self, node: usize, place: &Node, watch: &Watch) {
        if let Some(mut agent) = self.seats[node].ending.take() {
            agent.wait();
        }
        self.seats[node] = Seat::default();
        self.seat_as(Instance::new(Prefix::Test), node, &place.namespace, watch);
    }

    /// Begins to upgrade one to what it is.
    pub(super) fn upgrade(&mut self, node: usize, place: &Node) {
        let mut command = place.namespace.command(&self.binary);
        command.arg("upgrade").arg(&self.binary).args(["--instance", self.at(node).instance().name()]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        self.seats[node].upgrade = Some(command.spawn().expect("nsid can be run"));
    }

    /// Waits until that is done; in vain, if the store is gone meanwhile.
    pub(super) fn finish_upgrade(&mut self, node: usize) {
        if let Some(mut upgrade) = self.seats[node].upgrade.take() {
            upgrade.wait().expect("it is our child");
        }
    }

    /// What those wrote that have ended by themselves, which none should, and where they did.
    pub(super) fn ended(&mut self) -> Vec<(usize, String)> {
        let ended = self.seats.iter_mut().enumerate().filter_map(|(node, seat)| {
            let agent = seat.agent.as_mut()?;
            let status = agent.ended()?;
            Some((node, format!("the agent of node {node} ended: {status}: {}", agent.stderr())))
        });
        ended.collect()
    }

    fn seat_as(&mut self, instance: Instance, node: usize, namespace: &Namespace, watch: &Watch) {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let command = run_command(&self.binary, &instance, namespace, &arguments);
        watch.next_run(node);
        let agent = Agent::spawn_command(instance, namespace, command);
        watch.listen(node, agent.stdout_path().to_owned());
        self.seats[node].agent = Some(agent);
    }
}
