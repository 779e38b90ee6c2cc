//! Three nodes and a client, each in a network namespace.

use nsid_tests::{
    agent::{Agent, Instance},
    dig::{Program, Report, dig},
    link::{Addresses, End, veth},
    netns::Namespace,
    peer_xdp::PassProgram,
    servers::{PRESENT, Server, Software},
    unique::Prefix,
    wire::INTERFACE,
};

/// The configuration of every agent.
pub(crate) const CONFIGURATION: [&str; 6] =
    ["--iface", INTERFACE, "--store", "local", "--pattern", "worker{id}.demo.local"];

/// A host with a name server, and with an agent once it has been started. Ends in the order of its fields.
#[derive(Debug)]
pub(crate) struct Node {
    agent: Option<Agent>,
    server: Option<Server>,
    _peer: PassProgram,
    namespace: Namespace,
    addresses: Addresses,
    software: Software,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) nodes: Vec<Node>,
    client: Namespace,
}

impl Stage {
    /// Builds the network and starts the servers.
    pub(crate) fn build() -> Self {
        let client = Namespace::new(Prefix::Demo, "client");
        let servers = [Software::Nsd, Software::Unbound, Software::Nsd];
        let nodes =
            (1..).zip(servers).map(|(number, software)| Node::build(number, software, &client)).collect();
        Self { nodes, client }
    }

    /// What `dig +nsid` says of a node to an ordinary question.
    pub(crate) fn ask_an_address(&self, node: &Node) -> Option<Report> {
        self.ask(node, &["+nsid", PRESENT])
    }

    /// What `dig` says of a node to the question for its identity.
    pub(crate) fn ask_the_identity(&self, node: &Node) -> Option<Report> {
        self.ask(node, &["CH", "TXT", "id.server."])
    }

    /// Asks over IPv4 and over IPv6; no answer, unless they agree.
    fn ask(&self, node: &Node, question: &[&str]) -> Option<Report> {
        let [v4, v6] =
            node.addresses.both().map(|address| dig(Program::Dig, &self.client, address, question));
        if v4 == v6 { v4 } else { None }
    }
}

impl Node {
    fn build(number: u8, software: Software, client: &Namespace) -> Self {
        let namespace = Namespace::new(Prefix::Demo, &format!("node{number}"));
        let (addresses, link) = (Addresses::new(number, 2), format!("node{number}"));
        veth(
            End { namespace: &namespace, interface: INTERFACE, addresses },
            End { namespace: client, interface: &link, addresses: Addresses::new(number, 1) },
        );
        let peer = PassProgram::attach(client, &link);
        let server = Server::start_default(software, &namespace, addresses);
        Self { agent: None, server: Some(server), _peer: peer, namespace, addresses, software }
    }

    /// What a person calls its server.
    pub(crate) fn software(&self) -> &'static str {
        match self.software {
            Software::Nsd => "NSD",
            Software::Unbound => "Unbound",
            Software::Coredns => "CoreDNS",
        }
    }

    /// Starts the agent, and does not wait for it.
    pub(crate) fn start_agent(&mut self) {
        let instance = Instance::new(Prefix::Demo);
        self.agent = Some(Agent::spawn_as(instance, &self.namespace, &CONFIGURATION));
    }

    /// The name that the agent says it is ready with, waited for.
    pub(crate) fn ready(&mut self) -> String {
        self.agent.as_mut().expect("the play starts it before").ready()
    }

    /// The agent.
    pub(crate) fn agent(&self) -> &Agent {
        self.agent.as_ref().expect("the play starts it before")
    }

    /// Ends the agent as a service manager does, so that it gives its name back.
    pub(crate) fn terminate_agent(&mut self) -> bool {
        let (status, _instance) = self.agent.take().expect("the play starts it before").terminate();
        status.success()
    }

    /// Stops the name server.
    pub(crate) fn stop_server(&mut self) {
        self.server = None;
    }
}
