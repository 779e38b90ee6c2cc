//! The witnesses that a pool is kept by, and what its nodes are given beside them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use nsid_peers::List;

use super::seal::ClusterKey;

/// The witnesses of a cluster, as every node of it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// Who they are.
    pub list: List,
    /// What messages are sealed under.
    pub key: Option<ClusterKey>,
    /// How many claimants there have to be before names are given out; 0 for no such wait.
    pub expected: u32,
}

/// Whether that is an address of this host, or one that no stranger has (RFC 1918, 4193, 3927, 4291): without a key,
/// messages are sent to such ones and taken from them alone.
pub fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_near_v4(address),
        IpAddr::V6(address) => is_near_v6(address),
    }
}

fn is_near_v4(address: Ipv4Addr) -> bool {
    address.is_loopback() || address.is_private() || address.is_link_local()
}

fn is_near_v6(address: Ipv6Addr) -> bool {
    address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_stranger_has_is_near() {
        for near in
            ["127.0.0.2", "10.1.2.3", "172.16.0.1", "192.168.9.9", "169.254.0.1", "::1", "fd00::1", "fe80::1"]
        {
            assert!(is_near(near.parse().unwrap()), "{near}");
        }
        for far in ["192.0.2.1", "172.32.0.1", "8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert!(!is_near(far.parse().unwrap()), "{far}");
        }
    }
}
