//! The addresses of a network namespace: which are served, and which networks are next to them.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use ipnet::IpNet;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};

/// One address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface.
    pub ifindex: u32,
    /// The host's own address.
    pub ip: IpAddr,
    /// The network that is reached through the interface without a router; the peer alone, if it has one.
    pub on_link: IpNet,
    /// The broadcast address, if one was given by hand.
    pub broadcast: Option<Ipv4Addr>,
    /// When the interface was given it, in hundredths of a second: another time if it was away meanwhile.
    pub given: u32,
}

impl Address {
    /// `None` for a message that the kernel never sends: one without an address.
    pub(super) fn from_message(message: &AddressMessage) -> Option<Self> {
        let (mut address, mut local, mut broadcast, mut given) = (None, None, None, 0);
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Address(ip) => address = Some(*ip),
                AddressAttribute::Local(ip) => local = Some(*ip),
                AddressAttribute::Broadcast(ip) => broadcast = Some(*ip),
                AddressAttribute::CacheInfo(times) => given = times.cstamp,
                _ => {}
            }
        }
        // IFA_ADDRESS is the peer's where IFA_LOCAL says otherwise (include/uapi/linux/if_addr.h).
        let address = address.or(local)?;
        Some(Self {
            ifindex: message.header.index,
            ip: local.unwrap_or(address),
            on_link: IpNet::new(address, message.header.prefix_len).ok()?.trunc(),
            broadcast,
            given,
        })
    }
}

/// The addresses that a server listening on "any" is reached at from outside: all but the loopback ranges.
/// Where an address sits says nothing: anycast addresses are often put on `lo`.
pub fn served_addresses(addresses: &[Address]) -> Vec<IpAddr> {
    let served: BTreeSet<_> =
        addresses.iter().map(|address| address.ip).filter(|ip| !ip.is_loopback()).collect();
    served.into_iter().collect()
}

/// The networks whose hosts reach us without a router.
pub fn on_link_prefixes(addresses: &[Address]) -> Vec<IpNet> {
    let prefixes: BTreeSet<_> = addresses.iter().map(|address| address.on_link).collect();
    prefixes.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(ifindex: u32, ip: &str, on_link: &str) -> Address {
        Address {
            ifindex,
            ip: ip.parse().unwrap(),
            on_link: on_link.parse().unwrap(),
            broadcast: None,
            given: 0,
        }
    }

    fn host() -> Vec<Address> {
        vec![
            address(1, "127.0.0.1", "127.0.0.0/8"),
            address(1, "127.0.0.53", "127.0.0.53/32"),
            address(1, "::1", "::1/128"),
            address(1, "198.51.100.53", "198.51.100.53/32"),
            address(2, "fe80::1", "fe80::/64"),
            address(3, "fe80::1", "fe80::/64"),
            address(2, "192.0.2.1", "192.0.2.0/24"),
            address(3, "192.0.2.1", "203.0.113.9/32"),
        ]
    }

    #[test]
    fn every_address_outside_the_loopback_ranges_is_served_once() {
        let expected: Vec<IpAddr> =
            ["192.0.2.1", "198.51.100.53", "fe80::1"].iter().map(|ip| ip.parse().unwrap()).collect();
        assert_eq!(served_addresses(&host()), expected);
    }

    #[test]
    fn the_network_of_a_point_to_point_link_is_the_peer() {
        let prefixes = on_link_prefixes(&host());
        for on_link in ["192.0.2.0/24", "203.0.113.9/32", "fe80::/64"] {
            assert!(prefixes.contains(&on_link.parse().unwrap()), "{on_link} in {prefixes:?}");
        }
        assert_eq!(prefixes.len(), 7, "each once: {prefixes:?}");
    }
}
