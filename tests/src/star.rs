//! Many nodes around one hub.

use crate::{
    link::{Addresses, End, veth},
    netns::Namespace,
    peer_xdp::PassProgram,
    unique::Prefix,
    wire::INTERFACE,
};

/// A hub, where the store and the clients are, and nodes, each on a link of its own.
///
/// The hub has one address that every node reaches, behind its links' own: what comes from there can be lost while
/// clients in the hub, who ask from the link's address, still hear the node.
#[derive(Debug)]
pub struct Star {
    /// The nodes, in order.
    pub nodes: Vec<Node>,
    /// Where the store runs and the questions come from.
    pub hub: Namespace,
    /// The hub's addresses for every node.
    pub addresses: Addresses,
}

/// A node: a server and an agent run there. Its interface is called [`INTERFACE`].
#[derive(Debug)]
pub struct Node {
    _peer: PassProgram,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its addresses.
    pub addresses: Addresses,
}

impl Star {
    /// A hub with so many nodes.
    pub fn new(prefix: Prefix, nodes: u8) -> Self {
        let hub = Namespace::new(prefix, "hub");
        let addresses = Addresses::new(0, 1);
        hub.ip_batch(&[
            format!("addr add {}/32 dev lo", addresses.v4),
            format!("addr add {}/128 dev lo", addresses.v6),
        ]);
        let nodes = (1..=nodes).map(|net| Node::new(prefix, &hub, net)).collect();
        Self { nodes, hub, addresses }
    }

    /// From now on a node hears nothing from the hub's address. What it says still arrives there, and is acted on:
    /// that is the worst loss for one who asked for a change.
    pub fn deafen(&self, node: &Node) {
        self.rules("add", node);
    }

    /// Ends [`Self::deafen`].
    pub fn undeafen(&self, node: &Node) {
        self.rules("del", node);
    }

    fn rules(&self, verb: &str, node: &Node) {
        let (hub, node) = (self.addresses, node.addresses);
        self.hub.ip(&format!("-4 rule {verb} from {} to {} blackhole", hub.v4, node.v4));
        self.hub.ip(&format!("-6 rule {verb} from {} to {} blackhole", hub.v6, node.v6));
    }
}

impl Node {
    fn new(prefix: Prefix, hub: &Namespace, net: u8) -> Self {
        let namespace = Namespace::new(prefix, &format!("node{net}"));
        let (gateway, addresses) = (Addresses::new(net, 1), Addresses::new(net, 2));
        let link = format!("node{net}");
        veth(
            End { namespace: &namespace, interface: INTERFACE, addresses },
            End { namespace: hub, interface: &link, addresses: gateway },
        );
        namespace.ip_batch(&[
            format!("route add default via {}", gateway.v4),
            format!("route add default via {}", gateway.v6),
        ]);
        let peer = PassProgram::attach(hub, &link);
        Self { _peer: peer, namespace, addresses }
    }
}
