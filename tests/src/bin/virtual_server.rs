//! In a virtual machine, whose first process starts it: the agent on each of its NICs, of servers inside and outside.
//!
//! Says `serving`, and `told NIC JSON` of each agent, again whenever that is another. `tests/virtio_net.rs` is the outside.

use std::{process::Command, thread, time::Duration};

use nsid_tests::{
    agent::Agent,
    netns::Namespace,
    packet_socket::PacketSocket,
    process::run,
    servers::{Server, Software},
    unique::Prefix,
    virtual_machine::{NAME, Nic, TO_CLIENTS, TO_SERVERS, TO_THEIR_CLIENT},
};
use serde_json::{Value, json};

const PERIOD: Duration = Duration::from_secs(1);

#[expect(clippy::print_stdout, reason = "the console is all that the outside sees of the machine")]
fn main() {
    let sites = TO_CLIENTS.map(|nic| {
        let namespace = Namespace::new(Prefix::Test, nic.name);
        take(&namespace, nic);
        let server = Server::start_default(Software::Nsd, &namespace, nic.inside);
        let agent = start_agent(&namespace, nic, &["--ingress", "native"]);
        (agent, server, namespace)
    });
    let router = Namespace::new(Prefix::Test, "router");
    router.sysctl("net/ipv4/ip_forward", "1");
    router.sysctl("net/ipv6/conf/all/forwarding", "1");
    take(&router, TO_THEIR_CLIENT);
    let mut ways = TO_SERVERS.map(|nic| Way::new(&router, nic));
    println!("serving");
    let mut told = Vec::new();
    loop {
        let mut now: Vec<_> =
            TO_CLIENTS.iter().zip(&sites).map(|(nic, (agent, ..))| tell(*nic, &agent.status())).collect();
        now.extend(ways.iter_mut().map(|way| tell(way.nic, &way.status())));
        now.iter().filter(|line| !told.contains(*line)).for_each(|line| println!("{line}"));
        told = now;
        thread::sleep(PERIOD);
    }
}

fn tell(nic: Nic, status: &Value) -> String {
    format!("told {} {status}", nic.name)
}

/// Moves a NIC to a namespace.
fn take(namespace: &Namespace, nic: Nic) {
    run(Command::new("ip").args(["link", "set", nic.name, "netns", namespace.name()]));
    nic.inside.give(namespace, nic.name);
}

fn start_agent(namespace: &Namespace, nic: Nic, arguments: &[&str]) -> Agent {
    let store = format!("static:{NAME}");
    Agent::start(namespace, &[&["--iface", nic.name, "--store", &store], arguments].concat())
}

/// A NIC with a server behind it.
struct Way {
    nic: Nic,
    agent: Agent,
    /// Sees what arrives, behind XDP and before tc (`__netif_receive_skb_core`, `net/core/dev.c`).
    frames: PacketSocket,
    named: usize,
}

impl Way {
    fn new(router: &Namespace, nic: Nic) -> Self {
        take(router, nic);
        let frames = PacketSocket::open(router, nic.name);
        let (v4, v6) = (format!("{}:53", nic.outside.v4), format!("[{}]:53", nic.outside.v6));
        let agent = start_agent(router, nic, &["--ingress", "auto", "--listen", &v4, "--listen", &v6]);
        Self { nic, agent, frames, named: 0 }
    }

    /// What the agent says, and how many of the frames so far had the name in them when they came from XDP.
    fn status(&mut self) -> Value {
        // First what it counts, and then the frames: they have been seen by then.
        let mut status = self.agent.status();
        while let Some(frame) = self.frames.receive().expect("frames of a NIC that is up") {
            self.named += usize::from(frame.windows(NAME.len()).any(|bytes| bytes == NAME.as_bytes()));
        }
        status["named_before_tc"] = json!(self.named);
        status
    }
}
