//! Links between namespaces: veth pairs with an address of either family at each end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{netns::Namespace, process::run};

/// An address of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// In `10.77.0.0/16`.
    pub v4: Ipv4Addr,
    /// In `fd77::/16`.
    pub v6: Ipv6Addr,
}

impl Addresses {
    /// Those of `host` on link `net`.
    pub const fn new(net: u8, host: u8) -> Self {
        Self {
            v4: Ipv4Addr::new(10, 77, net, host),
            v6: Ipv6Addr::new(0xfd77, net as u16, 0, 0, 0, 0, 0, host as u16),
        }
    }

    /// Both, IPv4 first.
    pub const fn both(self) -> [IpAddr; 2] {
        [IpAddr::V4(self.v4), IpAddr::V6(self.v6)]
    }

    /// Gives them to an interface, and sets it up.
    pub fn give(self, namespace: &Namespace, interface: &str) {
        namespace.ip_batch(&[
            format!("addr add {}/24 dev {interface}", self.v4),
            format!("addr add {}/64 dev {interface} nodad", self.v6),
            format!("link set {interface} up"),
        ]);
    }
}

/// One end of a link.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// Where it is.
    pub namespace: &'a Namespace,
    /// Its interface's name.
    pub interface: &'a str,
    /// Its addresses.
    pub addresses: Addresses,
}

/// Connects two namespaces; the link lives as long as either of them.
pub fn veth(one: End<'_>, other: End<'_>) {
    let (here, there) = (one.interface, other.interface);
    one.namespace
        .ip(&format!("link add {here} type veth peer name {there} netns {}", other.namespace.name()));
    for End { namespace, interface, addresses } in [one, other] {
        addresses.give(namespace, interface);
    }
}

/// Who computes the checksum of a packet that a local socket sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxChecksum {
    /// The device: on veth it never happens, and what arrives is trusted.
    Offloaded,
    /// The kernel, before the device sees the packet.
    Computed,
}

/// Sets the tx offloads of an interface.
pub fn set_tx_checksum(namespace: &Namespace, interface: &str, tx: TxChecksum) {
    let tx = match tx {
        TxChecksum::Offloaded => "on",
        TxChecksum::Computed => "off",
    };
    run(namespace.command("ethtool").args(["-K", interface, "tx", tx]));
}
