//! What lies between a server and a client.

use crate::{
    client::Client,
    link::{Addresses, End, TxChecksum, set_tx_checksum, veth},
    netns::Namespace,
    peer_xdp::PassProgram,
    unique::Prefix,
};

/// The interface that the server's and the client's namespace each have.
pub const INTERFACE: &str = "eth0";

/// The interface of a router towards the server, as a host has one towards a container.
pub const NEAR: &str = "near";

/// A server's and a client's namespace, connected.
#[derive(Debug)]
pub struct Wire {
    _peer: Option<PassProgram>,
    /// Where the server and the agent run.
    pub server: Namespace,
    /// Where the questions come from.
    pub client: Namespace,
    /// The server's addresses.
    pub addresses: Addresses,
    /// Where a router between them is, if there is one: its interface towards the server is called [`NEAR`].
    pub router: Option<Namespace>,
}

impl Wire {
    /// `server - client`: one link, so what a socket sent with an unfinished checksum arrives so, and is trusted.
    pub fn direct() -> Self {
        let [server, client] = ["server", "client"].map(|role| Namespace::new(Prefix::Test, role));
        let addresses = Addresses::new(1, 2);
        veth(
            End { namespace: &server, interface: INTERFACE, addresses },
            End { namespace: &client, interface: INTERFACE, addresses: Addresses::new(1, 1) },
        );
        let peer = PassProgram::attach(&client, INTERFACE);
        Self { _peer: Some(peer), server, client, addresses, router: None }
    }

    /// `server - router - client`: the router's link to the client has no offload, so that a checksum left
    /// unfinished by the server's host is finished there, and the client checks it.
    pub fn routed() -> Self {
        let wire = Self::container();
        let peer = wire.router.as_ref().map(|router| PassProgram::attach(router, NEAR));
        Self { _peer: peer, ..wire }
    }

    /// The same, but that nobody has a program there: the server is in a container, the router is its host, and the
    /// agent runs there, at the host's end of the container's link.
    pub fn container() -> Self {
        let [server, router, client] =
            ["server", "router", "client"].map(|role| Namespace::new(Prefix::Test, role));
        let addresses = Addresses::new(1, 2);
        let (near, far, asking) = (Addresses::new(1, 1), Addresses::new(2, 1), Addresses::new(2, 2));
        veth(
            End { namespace: &server, interface: INTERFACE, addresses },
            End { namespace: &router, interface: NEAR, addresses: near },
        );
        veth(
            End { namespace: &router, interface: "far", addresses: far },
            End { namespace: &client, interface: INTERFACE, addresses: asking },
        );
        router.sysctl("net/ipv4/ip_forward", "1");
        router.sysctl("net/ipv6/conf/all/forwarding", "1");
        for (namespace, gateway) in [(&server, near), (&client, far)] {
            namespace.ip(&format!("route add default via {}", gateway.v4));
            namespace.ip(&format!("-6 route add default via {}", gateway.v6));
        }
        set_tx_checksum(&router, "far", TxChecksum::Computed);
        Self { _peer: None, server, client, addresses, router: Some(router) }
    }

    /// A client for each of the server's addresses.
    pub fn clients(&self) -> [Client; 2] {
        self.addresses.both().map(|server| Client::new(&self.client, server))
    }
}
