//! Interfaces that are no device's: each kind either works, or is refused with the reason.
//!
//! A kind that the running kernel lacks is not tested here. `cargo xtask kernels` runs this on kernels that have all,
//! and says so by `NSID_EVERY_KIND`: there, a kind that is lacking is a failure.

use std::{env, process::Command};

use hickory_proto::op::ResponseCode;
use nsid_tests::{
    agent::{Agent, Instance, run_refused},
    checksum_errors::checksum_errors,
    client::Client,
    link::Addresses,
    message::Query,
    netns::Namespace,
    peer_xdp::PassProgram,
    servers::{PRESENT, Server, Software},
    unique::Prefix,
};
use serde_json::{Value, json};

const NAME: &str = "worker17";
const SERVER: Addresses = Addresses::new(1, 2);
const CLIENT: Addresses = Addresses::new(1, 1);
/// Where the frames of VLAN 7 are from and to.
const SERVER7: Addresses = Addresses::new(7, 2);
const CLIENT7: Addresses = Addresses::new(7, 1);

/// Who answers questions for the server's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    Kernel,
    Server,
}

/// A server's and a client's namespace, connected by one veth pair or more.
struct Net {
    /// For the near ends' `XDP_TX`.
    peers: Vec<PassProgram>,
    server: Namespace,
    client: Namespace,
}

impl Net {
    /// `eth0` in both namespaces, without an address.
    fn new() -> Self {
        let [server, client] = ["server", "client"].map(|role| Namespace::new(Prefix::Test, role));
        let mut net = Self { peers: vec![], server, client };
        net.connect("eth0");
        net
    }

    /// Connects the namespaces once more.
    fn connect(&mut self, interface: &str) {
        let far = self.client.name();
        self.server.ip(&format!("link add {interface} type veth peer name {interface} netns {far}"));
        for namespace in [&self.server, &self.client] {
            namespace.ip(&format!("link set {interface} up"));
        }
        self.peers.push(PassProgram::attach(&self.client, interface));
    }

    fn start(&self, interface: &str) -> (Server, Agent) {
        let server = Server::start_default(Software::Nsd, &self.server, SERVER);
        let store = format!("static:{NAME}");
        (server, Agent::start(&self.server, &["--iface", interface, "--store", &store, "--ingress", "auto"]))
    }
}

/// Asks, and finds the name where it was asked for and nowhere else.
fn serves(from: &Namespace, server: &Server, addresses: Addresses, answers: Answers) {
    for address in addresses.both() {
        let client = Client::new(from, address);
        for _ in 0..50 {
            let answer = client.ask(&Query::a(PRESENT).with_nsid());
            assert_eq!(answer.rcode(), ResponseCode::NoError);
            assert_eq!(answer.nsid().as_deref(), Some(NAME), "{address}");
        }
        assert_eq!(client.ask(&Query::a(PRESENT).with_opt()).nsid_option(), None, "{address}");
        let identity = Query::identity("id.server.").with_nsid();
        match answers {
            Answers::Kernel => {
                server.freeze();
                assert_eq!(client.ask(&identity).text().as_deref(), Some(NAME), "{address}");
                server.thaw();
            }
            Answers::Server => {
                let answer = client.ask(&identity);
                assert_ne!(answer.text().as_deref(), Some(NAME), "{address}");
                assert_eq!(answer.nsid().as_deref(), Some(NAME), "{address}");
            }
        }
    }
    assert_eq!(checksum_errors(from), (0, 0));
}

/// Makes a link, if the kernel has its kind: `link` is what `ip link add` is told.
fn can_add(namespace: &Namespace, link: &str) -> bool {
    let add = format!("-n {} link add {link}", namespace.name());
    let added = Command::new("ip").args(add.split_whitespace()).output().expect("ip can be run");
    let can = added.status.success();
    assert!(can || env::var_os("NSID_EVERY_KIND").is_none(), "{link}: {added:?}");
    can
}

/// In which mode XDP runs.
fn mode(agent: &Agent) -> Value {
    agent.status()["interfaces"][0]["ingress"]["mode"].clone()
}

#[test]
fn a_bridge_is_served() {
    let net = Net::new();
    if !can_add(&net.server, "br0 type bridge") {
        return;
    }
    net.server.ip("link set eth0 master br0");
    SERVER.give(&net.server, "br0");
    CLIENT.give(&net.client, "eth0");
    let (server, agent) = net.start("br0");
    assert_eq!(mode(&agent), json!("tc"));
    serves(&net.client, &server, SERVER, Answers::Kernel);
}

#[test]
fn a_bond_is_served_whichever_of_its_links_is_active() {
    let mut net = Net::new();
    if !can_add(&net.server, "bond0 type bond mode active-backup miimon 100") {
        return;
    }
    net.connect("eth1");
    net.client.ip("link add br0 type bridge");
    for link in ["eth0", "eth1"] {
        // A link that is up is not taken.
        net.server.ip(&format!("link set {link} down"));
        net.server.ip(&format!("link set {link} master bond0"));
        net.client.ip(&format!("link set {link} master br0"));
    }
    SERVER.give(&net.server, "bond0");
    CLIENT.give(&net.client, "br0");
    let (server, agent) = net.start("bond0");
    assert_eq!(mode(&agent), json!("native"));
    for active in ["eth0", "eth1"] {
        net.server.ip(&format!("link set bond0 type bond active_slave {active}"));
        serves(&net.client, &server, SERVER, Answers::Kernel);
    }
}

#[test]
fn a_vlan_is_served() {
    let net = Net::new();
    for (namespace, addresses) in [(&net.server, SERVER), (&net.client, CLIENT)] {
        if !can_add(namespace, "link eth0 name eth0.7 type vlan id 7") {
            return;
        }
        addresses.give(namespace, "eth0.7");
    }
    let (server, agent) = net.start("eth0.7");
    assert_eq!(mode(&agent), json!("tc"));
    serves(&net.client, &server, SERVER, Answers::Kernel);
}

/// The device takes the tag off before XDP sees the frame, and an answer would leave without one.
#[test]
fn below_a_vlan_names_are_said_in_both_and_the_server_answers_for_itself() {
    let net = Net::new();
    for (namespace, untagged, tagged) in [(&net.server, SERVER, SERVER7), (&net.client, CLIENT, CLIENT7)] {
        if !can_add(namespace, "link eth0 name eth0.7 type vlan id 7") {
            return;
        }
        untagged.give(namespace, "eth0");
        tagged.give(namespace, "eth0.7");
    }
    let store = format!("static:{NAME}");
    for addresses in [SERVER, SERVER7] {
        let server = Server::start_default(Software::Nsd, &net.server, addresses);
        let _agent = Agent::start(&net.server, &["--iface", "eth0", "--store", &store, "--ingress", "auto"]);
        serves(&net.client, &server, addresses, Answers::Server);
    }
}

#[test]
fn a_dummy_is_refused_and_its_addresses_are_served_where_queries_come() {
    let net = Net::new();
    if !can_add(&net.server, "dummy0 type dummy") {
        return;
    }
    Addresses::new(2, 2).give(&net.server, "eth0");
    Addresses::new(2, 1).give(&net.client, "eth0");
    SERVER.give(&net.server, "dummy0");
    net.client.ip(&format!("route add {} via 10.77.2.2", SERVER.v4));
    net.client.ip(&format!("-6 route add {} via fd77:2::2", SERVER.v6));
    let store = format!("static:{NAME}");
    let refused = run_refused(
        &net.server,
        &Instance::new(Prefix::Test),
        &["--iface", "dummy0", "--store", &store, "--ingress", "auto"],
    );
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("'dummy0'") && said.contains("no query comes"), "{said}");
    let (server, _agent) = net.start("eth0");
    serves(&net.client, &server, SERVER, Answers::Kernel);
}

/// Who asks there is this host, whose addresses are never answered by the kernel.
#[test]
fn lo_is_served_and_the_server_answers_for_itself() {
    let net = Net::new();
    SERVER.give(&net.server, "lo");
    let (server, agent) = net.start("lo");
    assert_eq!(mode(&agent), json!("tc"));
    serves(&net.server, &server, SERVER, Answers::Server);
}
