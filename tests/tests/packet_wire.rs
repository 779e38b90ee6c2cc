//! The packet table on real interfaces: each row that can be sent is sent over veth to programs that are attached there,
//! and what they count, what leaves, and what is noted are what the row says.
//!
//! ```text
//! client namespace   server namespace
//! eth0 ───────────▶ eth0 [XDP] ─▶ a socket
//! eth0 ───────────▶ eth0 [tc ingress] ─▶ redirected ─▶ sink ───▶ behind
//! eth0 ◀─────────── eth0 [tc egress]
//! ```
//!
//! No interface has an address: nothing else flows.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use nsid_common::model::MAC;
use nsid_packets::{Action, INTERFACE, Kernel, Place, Sent, Wired, table};
use nsid_tests::{
    netns::Namespace,
    packet_socket::{PacketSocket, wait},
    peer_xdp::PassProgram,
    process::run,
    unique::Prefix,
};
use nsid_user::datapath::Prog;

/// How long a frame may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longer than the longest row, and short enough for a program without `frags` (`veth_xdp_set`, drivers/net/veth.c).
const MTU: u32 = 3400;

/// A link with programs at one end.
struct Link {
    /// Whence frames come.
    from: PacketSocket,
    client: PacketSocket,
    /// Where what passes is seen: behind the programs.
    behind: PacketSocket,
    place: Place,
    _peer: PassProgram,
    _namespaces: [Namespace; 2],
}

impl Link {
    /// With a program at its place.
    fn new(kernel: &mut Kernel, prog: Prog, place: Place) -> Self {
        let [server, client] = ["server", "client"].map(|role| Namespace::new(Prefix::Test, role));
        for namespace in [&server, &client] {
            namespace.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
        }
        let mac = MAC.map(|byte| format!("{byte:02x}")).join(":");
        let (end, peer) = (format!("mtu {MTU}"), client.name());
        server.ip_batch(&[
            format!("link add eth0 index {INTERFACE} address {mac} {end} type veth peer name eth0 {end} netns {peer}"),
            format!("link add sink {end} type veth peer name behind {end}"),
            "link set sink up".into(),
            "link set behind up".into(),
            "link set eth0 up".into(),
        ]);
        client.ip("link set eth0 up");
        // What passes XDP is seen by a socket where it arrives; what passes tc, behind tcx programs.
        // Behind generic XDP, a redirected frame has no Ethernet header (seen on Linux 6.18).
        let passed = if place == Place::Ingress {
            redirect(&server);
            "behind"
        } else {
            "eth0"
        };
        server.enter(|| kernel.attach(prog, place, "eth0"));
        let from = if place == Place::Egress { &server } else { &client };
        Self {
            from: PacketSocket::open(from, "eth0"),
            client: PacketSocket::open(&client, "eth0"),
            behind: PacketSocket::open(&server, passed),
            place,
            _peer: PassProgram::attach(&client, "eth0"),
            _namespaces: [server, client],
        }
    }

    /// What has come.
    fn arrived(&self) -> Option<(Action, Vec<u8>)> {
        let at_client = if self.place == Place::Egress { Action::Passed } else { Action::SentBack };
        [(at_client, &self.client), (Action::Passed, &self.behind)]
            .into_iter()
            .find_map(|(action, socket)| Some((action, socket.receive().expect("a socket that receives")?)))
    }

    /// Waits until something has come.
    fn next(&self) -> Option<(Action, Vec<u8>)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(arrived) = self.arrived() {
                return Some(arrived);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            wait([&self.client, &self.behind], left).expect("sockets that can be waited for");
        }
    }
}

/// Has all that arrives and passes the tcx programs leave by another link.
fn redirect(server: &Namespace) {
    let tc = |arguments: &str| {
        run(server.command("tc").args(arguments.split_whitespace()));
    };
    tc("qdisc add dev eth0 clsact");
    // It compares bytes of the MAC addresses: they are in the shortest frame.
    tc("filter add dev eth0 ingress protocol all u32 match u32 0 0 at -12 \
        action mirred egress redirect dev sink");
}

impl Wired for Link {
    fn send(&mut self, frame: &[u8]) -> Result<(Action, Vec<u8>), String> {
        if let Some(stray) = self.arrived() {
            return Err(format!("\n  before it came {stray:02x?}"));
        }
        self.from.send(frame).map_err(|error| format!("\n  cannot be sent: {error}"))?;
        self.next().ok_or_else(|| "\n  was lost".to_owned())
    }
}

/// Sends all rows that a program sees. `at_least` so many can be sent and hold: the rest is for want of room, or one of
/// the reasons of `Unsendable`.
fn every_row_holds(prog: Prog, place: Place, at_least: usize) {
    let mut kernel = Kernel::load();
    let mut link = Link::new(&mut kernel, prog, place);
    let (mut wrong, mut not_sent): (Vec<String>, BTreeMap<String, usize>) = Default::default();
    let (mut sent, mut without_room) = (0, 0);
    for row in table().iter().filter(|row| row.is_of(prog)) {
        match row.check_on(&mut link, place, prog, &mut kernel) {
            Ok(Sent::Yes) => sent += 1,
            Ok(Sent::WithoutRoom) => without_room += 1,
            Ok(Sent::No(why)) => *not_sent.entry(format!("{why:?}")).or_default() += 1,
            Err(error) => wrong.push(error),
        }
    }
    println!("{prog:?} at {place:?}: {sent} rows hold, {without_room} have no room; not sent: {not_sent:?}");
    assert!(wrong.is_empty(), "{} rows do not hold at {place:?}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(link.arrived(), None, "a frame behind the last row's");
    assert!(without_room * 10 <= sent, "{without_room} of {sent} rows had no room");
    assert!(sent >= at_least, "{sent} rows were sent, less than {at_least}");
}

#[test]
fn queries_hold_in_native_xdp() {
    every_row_holds(Prog::Xdp, Place::Native, 215);
}

#[test]
fn queries_and_responses_hold_in_native_xdp() {
    every_row_holds(Prog::XdpBoth, Place::Native, 350);
}

#[test]
fn queries_hold_in_generic_xdp() {
    every_row_holds(Prog::Xdp, Place::Generic, 215);
}

#[test]
fn queries_and_responses_hold_in_generic_xdp() {
    every_row_holds(Prog::XdpBoth, Place::Generic, 350);
}

#[test]
fn queries_hold_at_tc_ingress() {
    every_row_holds(Prog::Queries, Place::Ingress, 210);
}

#[test]
fn responses_hold_at_tc_ingress() {
    every_row_holds(Prog::Responses, Place::Ingress, 135);
}

#[test]
fn responses_hold_at_tc_egress() {
    every_row_holds(Prog::Responses, Place::Egress, 140);
}
