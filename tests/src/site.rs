//! What most tests need: a server, the agent beside it, and a client.

use crate::{
    agent::Agent,
    client::Client,
    servers::{Server, Software},
    wire::{INTERFACE, Wire},
};

/// A server with an agent that says a name given by hand. Ends in the order of its fields.
#[derive(Debug)]
pub struct Site {
    /// The agent.
    pub agent: Agent,
    /// The server.
    pub server: Server,
    /// The namespaces.
    pub wire: Wire,
}

impl Site {
    /// Server and client on one link, the agent with `--store static:NAME`.
    pub fn new(software: Software, name: &str) -> Self {
        Self::on(Wire::direct(), software, name, &[])
    }

    /// The same on a wire of one's own, with more arguments for the agent.
    pub fn on(wire: Wire, software: Software, name: &str, arguments: &[&str]) -> Self {
        let server = Server::start_default(software, &wire.server, wire.addresses);
        let store = format!("static:{name}");
        let agent =
            Agent::start(&wire.server, &[&["--iface", INTERFACE, "--store", &store], arguments].concat());
        Self { agent, server, wire }
    }

    /// A client for each of the server's addresses.
    pub fn clients(&self) -> [Client; 2] {
        self.wire.clients()
    }

    /// Ends the server; what answers from now on is the kernel.
    pub fn without_server(self) -> (Agent, Wire) {
        (self.agent, self.wire)
    }
}
