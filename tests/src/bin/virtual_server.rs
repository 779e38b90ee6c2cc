//! In a virtual machine, whose first process starts it: a server and the agent on each of its NICs, asked from outside.
//!
//! Says `status NIC JSON` of each, then `serving`. `tests/virtio_net.rs` is the outside.

use std::{process::Command, thread};

use nsid_tests::{
    agent::Agent,
    link::Addresses,
    netns::Namespace,
    process::run,
    servers::{Server, Software},
    unique::Prefix,
};

/// The NICs, in the order of their places on the bus, with the server's addresses.
const NICS: [(&str, Addresses); 2] = [("eth0", Addresses::new(1, 2)), ("eth1", Addresses::new(2, 2))];

#[expect(clippy::print_stdout, reason = "the console is all that the outside sees of the machine")]
fn main() {
    let _sites = NICS.map(|(nic, addresses)| {
        let namespace = Namespace::new(Prefix::Test, nic);
        run(Command::new("ip").args(["link", "set", nic, "netns", namespace.name()]));
        addresses.give(&namespace, nic);
        let server = Server::start_default(Software::Nsd, &namespace, addresses);
        let arguments = ["--iface", nic, "--ingress", "native", "--store", "static:worker17"];
        let agent = Agent::start(&namespace, &arguments);
        println!("status {nic} {}", agent.status());
        (agent, server, namespace)
    });
    println!("serving");
    loop {
        thread::park();
    }
}
