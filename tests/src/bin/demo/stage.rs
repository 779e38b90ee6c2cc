//! Nodes around a client, each in a network namespace, and what the client sees of them.

use std::{
    net::Ipv4Addr,
    process::{ExitCode, ExitStatus},
};

use nsid_tests::{
    agent::{Agent, Instance},
    dig::{Program, Report, dig},
    link::Addresses,
    netns::Namespace,
    prober::Prober,
    servers::{PRESENT, Server, Software},
    star::{self, Star},
    unique::Prefix,
};

use crate::table::Fact;

const STARTED: &str = "the play starts the agent before";

/// A host with a name server, and with an agent once it has been started. Ends in the order of its fields.
#[derive(Debug)]
pub(crate) struct Node {
    agent: Option<Agent>,
    server: Option<Server>,
    place: star::Node,
    software: Software,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) nodes: Vec<Node>,
    /// Where the client is, and the store.
    pub(crate) hub: Namespace,
    /// The hub's addresses.
    pub(crate) addresses: Addresses,
}

impl Stage {
    /// Builds the network and starts a server on each node.
    pub(crate) fn build<const NODES: usize>(servers: [Software; NODES]) -> Self {
        let count = u8::try_from(NODES).expect("a few nodes");
        let Star { nodes, hub, addresses } = Star::new(Prefix::Demo, count);
        let nodes = nodes.into_iter().zip(servers).map(|(place, software)| Node::build(place, software));
        Self { nodes: nodes.collect(), hub, addresses }
    }

    /// What a person calls each node.
    pub(crate) fn headings(&self) -> Vec<String> {
        let heading = |(number, node): (usize, &Node)| format!("node {number} ({})", node.software.title());
        (1..).zip(&self.nodes).map(heading).collect()
    }

    /// A line of the table: for each node what is seen, nothing being `none`, and whether it must be so.
    pub(crate) fn facts(&self, see: impl Fn(usize, &Node) -> (Option<String>, bool)) -> Vec<Fact> {
        let fact = |(index, node): (usize, &Node)| {
            let (seen, holds) = see(index, node);
            Fact { shown: seen.unwrap_or_else(|| "none".to_owned()), holds }
        };
        self.nodes.iter().enumerate().map(fact).collect()
    }

    /// The NSID in each server's answer, which must be there and carry this name.
    pub(crate) fn nsids<'a>(&self, expected: impl Fn(usize) -> Option<&'a String>) -> Vec<Fact> {
        self.facts(|index, node| match self.ask(node, &["+nsid", PRESENT]) {
            None => (Some("no answer".to_owned()), false),
            Some(Report { status, nsid, warnings, .. }) => {
                let holds = nsid.as_ref() == expected(index) && status == "NOERROR" && warnings.is_empty();
                (nsid, holds)
            }
        })
    }

    /// What `dig` says of a node to the question for its identity.
    pub(crate) fn ask_the_identity(&self, node: &Node) -> Option<Report> {
        self.ask(node, &["CH", "TXT", "id.server."])
    }

    /// Asks over IPv4 and over IPv6; no answer, unless they agree.
    fn ask(&self, node: &Node, question: &[&str]) -> Option<Report> {
        let [v4, v6] =
            node.place.addresses.both().map(|address| dig(Program::Dig, &self.hub, address, question));
        if v4 == v6 { v4 } else { None }
    }

    /// Begins to ask a node without a pause.
    pub(crate) fn prober(&self, node: usize) -> Prober {
        Prober::start(&self.hub, self.nodes[node].place.addresses.v4.into())
    }

    /// Ends the agents in good order, and says what was wrong, if anything was.
    pub(crate) fn close(&mut self, all_held: bool, moral: &str) -> ExitCode {
        let agents =
            || (1..).zip(&self.nodes).filter_map(|(number, node)| Some((number, node.agent.as_ref()?)));
        if !all_held {
            println!("\nNot all of this is as it must be. The agents' logs:");
            for (number, agent) in agents() {
                println!("---- node {number}\n{}", agent.stderr());
            }
            return ExitCode::FAILURE;
        }
        let mut code = ExitCode::SUCCESS;
        for (number, node) in (1..).zip(&mut self.nodes).filter(|(_, node)| node.agent.is_some()) {
            let status = node.terminate_agent();
            if !status.success() {
                println!("\nThe agent of node {number} did not end well: {status}.");
                code = ExitCode::FAILURE;
            }
        }
        if code == ExitCode::SUCCESS {
            println!("\n{moral}");
        }
        code
    }
}

impl Node {
    fn build(place: star::Node, software: Software) -> Self {
        let server = Server::start_default(software, &place.namespace, place.addresses);
        Self { agent: None, server: Some(server), place, software }
    }

    /// Starts the agent, and does not wait for it.
    pub(crate) fn start_agent(&mut self, configuration: &[&str]) {
        self.start_agent_as(Instance::new(Prefix::Demo), configuration);
    }

    /// Starts an agent where one was killed, and does not wait for it.
    pub(crate) fn start_agent_as(&mut self, instance: Instance, configuration: &[&str]) {
        self.agent = Some(Agent::spawn_as(instance, &self.place.namespace, configuration));
    }

    /// The name that the agent says it is ready with, waited for.
    pub(crate) fn ready(&mut self) -> String {
        self.agent.as_mut().expect(STARTED).ready()
    }

    /// Waits until the agent is in line for a name.
    pub(crate) fn waits(&self) {
        self.agent().until_claim_is("waiting");
    }

    /// Where the agent's claim stands, as `nsid status` has it, once it has something to say.
    pub(crate) fn claim(&self) -> Option<String> {
        self.agent().instance().claim_state()
    }

    /// Its address.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.place.addresses.v4
    }

    /// The agent.
    pub(crate) fn agent(&self) -> &Agent {
        self.agent.as_ref().expect(STARTED)
    }

    /// Kills the agent; what it has in the kernel stays, until what is returned is dropped.
    pub(crate) fn kill_agent(&mut self) -> Instance {
        self.take_agent().kill()
    }

    /// Ends the agent as a service manager does, so that it gives its name back.
    pub(crate) fn terminate_agent(&mut self) -> ExitStatus {
        let (status, _instance) = self.take_agent().terminate();
        status
    }

    fn take_agent(&mut self) -> Agent {
        self.agent.take().expect(STARTED)
    }

    /// Stops the name server.
    pub(crate) fn stop_server(&mut self) {
        self.server = None;
    }
}

/// What every agent of a demo is started with, as a shell wants it.
pub(crate) fn command_line(configuration: &[&str]) -> String {
    let quoted = |argument: &&str| {
        if argument.contains('{') { format!("'{argument}'") } else { (*argument).to_owned() }
    };
    let arguments: Vec<String> = configuration.iter().map(quoted).collect();
    format!("nsid run {}", arguments.join(" "))
}
