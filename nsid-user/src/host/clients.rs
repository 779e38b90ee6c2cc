//! Whom the kernel answers by itself. A server that answers everybody over UDP can be made to flood others with
//! answers to forged queries (RFC 5358), so by default only who is near gets one; all others are the server's.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::addresses::{Address, on_link_prefixes};

/// Who gets an answer made in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Who is on the same link or has a private address.
    #[default]
    Local,
    /// Everybody.
    Any,
    /// Nobody.
    Off,
}

/// What becomes of a query that the kernel could answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered.
    Answer,
    /// It is passed on to the server, as is that of a client in no prefix of the table.
    Pass,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix_len: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix_len))
}

const fn v6(high: u128, prefix_len: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(high), prefix_len))
}

/// Private and link-local addresses.
const LOCAL: [IpNet; 6] = [
    v4(10, 0, 0, 0, 8),         // RFC 1918
    v4(172, 16, 0, 0, 12),      // RFC 1918
    v4(192, 168, 0, 0, 16),     // RFC 1918
    v4(169, 254, 0, 0, 16),     // RFC 3927
    v6(0xfc00_u128 << 112, 7),  // RFC 4193
    v6(0xfe80_u128 << 112, 10), // RFC 4291 2.5.6
];

const ANY: [IpNet; 2] = [v4(0, 0, 0, 0, 0), v6(0, 0)];

/// What is never the address of a client, whoever is asked to be answered: an answer would go to many or to us.
const NEVER: [IpNet; 8] = [
    v4(0, 0, 0, 0, 8),         // RFC 1122 3.2.1.3, this network
    v4(127, 0, 0, 0, 8),       // RFC 1122 3.2.1.3, loopback
    v4(224, 0, 0, 0, 4),       // RFC 5771, multicast
    v4(240, 0, 0, 0, 4),       // RFC 1112 4, reserved, and the limited broadcast
    v6(0, 128),                // RFC 4291 2.5.2, unspecified
    v6(1, 128),                // RFC 4291 2.5.3, loopback
    v6(0xffff_u128 << 32, 96), // RFC 4291 2.5.5.2, IPv4-mapped
    v6(0xff00_u128 << 112, 8), // RFC 4291 2.7, multicast
];

/// The table in which the kernel looks a client up by longest prefix, each prefix once.
///
/// **Invariant:** a client in a denied prefix gets [`Verdict::Pass`], also where a longer prefix would be answered.
pub fn table(policy: Policy, addresses: &[Address]) -> BTreeMap<IpNet, Verdict> {
    let denied = denied(addresses);
    let answered = answered(policy, addresses);
    // Two prefixes are disjoint or one holds the other. An answered one within a denied one would win by its
    // length, so it is left out; a denied one that is in no answered one says nothing that a miss does not.
    let table_denied =
        denied.iter().filter(|denied| answered.iter().any(|answered| answered.contains(*denied)));
    let table_answered =
        answered.iter().filter(|answered| !denied.iter().any(|denied| denied.contains(*answered)));
    table_answered
        .map(|prefix| (*prefix, Verdict::Answer))
        .chain(table_denied.map(|prefix| (*prefix, Verdict::Pass)))
        .collect()
}

fn answered(policy: Policy, addresses: &[Address]) -> Vec<IpNet> {
    match policy {
        Policy::Local => LOCAL.into_iter().chain(on_link_prefixes(addresses)).collect(),
        Policy::Any => ANY.to_vec(),
        Policy::Off => Vec::new(),
    }
}

fn denied(addresses: &[Address]) -> Vec<IpNet> {
    let own = addresses.iter().map(|address| IpNet::from(address.ip));
    let broadcast = addresses.iter().flat_map(broadcast).map(|ip| IpNet::from(IpAddr::V4(ip)));
    NEVER.into_iter().chain(own).chain(broadcast).collect()
}

/// The addresses that the kernel takes as broadcast of the interface's network: the highest, where there is
/// room for one, and the one given by hand (`net/ipv4/fib_frontend.c`, `fib_add_ifaddr`).
fn broadcast(address: &Address) -> impl Iterator<Item = Ipv4Addr> {
    const LONGEST_PREFIX_WITH_BROADCAST: u8 = 30;
    let highest = match address.on_link {
        IpNet::V4(net) if net.prefix_len() <= LONGEST_PREFIX_WITH_BROADCAST => Some(net.broadcast()),
        IpNet::V4(_) | IpNet::V6(_) => None,
    };
    highest.into_iter().chain(address.broadcast)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// What an LPM trie says, told plainly.
    fn look_up(table: &BTreeMap<IpNet, Verdict>, client: IpAddr) -> Verdict {
        let longest =
            table.iter().filter(|(net, _)| net.contains(&client)).max_by_key(|(net, _)| net.prefix_len());
        longest.map_or(Verdict::Pass, |(_, verdict)| *verdict)
    }

    fn ip() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 16]>().prop_map(IpAddr::from),
            // Where the fixed prefixes have their borders.
            (prop::sample::select([LOCAL.as_slice(), &NEVER].concat()), any::<[u8; 16]>())
                .prop_map(|(net, host)| within(net, host)),
        ]
    }

    /// An address in the network, chosen by the host bits.
    fn within(net: IpNet, host: [u8; 16]) -> IpAddr {
        match net {
            IpNet::V4(net) => {
                let host = u32::from_be_bytes(*host.last_chunk().unwrap()) & net.hostmask().to_bits();
                Ipv4Addr::from_bits(net.network().to_bits() | host).into()
            }
            IpNet::V6(net) => {
                let host = u128::from_be_bytes(host) & net.hostmask().to_bits();
                Ipv6Addr::from_bits(net.network().to_bits() | host).into()
            }
        }
    }

    fn address() -> impl Strategy<Value = Address> {
        (ip(), any::<u8>(), any::<Option<[u8; 4]>>()).prop_map(|(ip, prefix_len, broadcast)| {
            let on_link =
                IpNet::new(ip, prefix_len % (IpNet::from(ip).max_prefix_len() + 1)).unwrap().trunc();
            Address { ifindex: 2, ip, on_link, broadcast: broadcast.map(Ipv4Addr::from) }
        })
    }

    fn policy() -> impl Strategy<Value = Policy> {
        prop::sample::select([Policy::Local, Policy::Any, Policy::Off].as_slice())
    }

    proptest! {
        #[test]
        fn the_host_and_its_broadcasts_are_never_answered(policy in policy(), addresses in vec(address(), 0..8)) {
            let table = table(policy, &addresses);
            for address in &addresses {
                prop_assert_eq!(look_up(&table, address.ip), Verdict::Pass);
                if let Some(broadcast) = address.broadcast {
                    prop_assert_eq!(look_up(&table, broadcast.into()), Verdict::Pass);
                }
                if let IpNet::V4(net) = address.on_link && net.prefix_len() < 31 {
                    prop_assert_eq!(look_up(&table, net.broadcast().into()), Verdict::Pass);
                }
            }
        }

        #[test]
        fn what_is_no_client_is_never_answered(
            policy in policy(), addresses in vec(address(), 0..8),
            net in prop::sample::select(NEVER.as_slice()), host in any::<[u8; 16]>(),
        ) {
            prop_assert_eq!(look_up(&table(policy, &addresses), within(net, host)), Verdict::Pass);
        }

        #[test]
        fn the_table_says_what_the_policy_says(
            policy in policy(), addresses in vec(address(), 0..8), client in ip(),
            neighbour in any::<prop::sample::Index>(), host in any::<[u8; 16]>(),
        ) {
            let mut clients = vec![client];
            if !addresses.is_empty() {
                clients.push(within(neighbour.get(&addresses).on_link, host));
            }
            let table = table(policy, &addresses);
            for client in clients {
                let near = match policy {
                    Policy::Off => false,
                    Policy::Any => true,
                    Policy::Local => LOCAL.iter().any(|net| net.contains(&client))
                        || addresses.iter().any(|address| address.on_link.contains(&client)),
                };
                let client_of_no_one = NEVER.iter().any(|net| net.contains(&client))
                    || addresses.iter().any(|a| {
                        a.ip == client
                            || a.broadcast.map(IpAddr::V4) == Some(client)
                            || (a.on_link.broadcast() == client && client.is_ipv4() && a.on_link.prefix_len() < 31)
                    });
                let expected = if near && !client_of_no_one { Verdict::Answer } else { Verdict::Pass };
                prop_assert_eq!(look_up(&table, client), expected, "{} in {:?}", client, table);
            }
        }
    }

    #[test]
    fn a_neighbour_and_a_private_address_are_answered_and_a_stranger_is_not() {
        let eth0 = Address {
            ifindex: 2,
            ip: "192.0.2.1".parse().unwrap(),
            on_link: "192.0.2.0/24".parse().unwrap(),
            broadcast: None,
        };
        let local = table(Policy::Local, &[eth0]);
        let any = table(Policy::Any, &[eth0]);
        for (client, in_local, in_any) in [
            ("192.0.2.7", Verdict::Answer, Verdict::Answer),
            ("10.1.2.3", Verdict::Answer, Verdict::Answer),
            ("172.31.255.255", Verdict::Answer, Verdict::Answer),
            ("172.32.0.1", Verdict::Pass, Verdict::Answer),
            ("fd00::1", Verdict::Answer, Verdict::Answer),
            ("fe80::1", Verdict::Answer, Verdict::Answer),
            ("198.51.100.1", Verdict::Pass, Verdict::Answer),
            ("2001:db8::1", Verdict::Pass, Verdict::Answer),
            ("192.0.2.1", Verdict::Pass, Verdict::Pass),
            ("192.0.2.255", Verdict::Pass, Verdict::Pass),
            ("255.255.255.255", Verdict::Pass, Verdict::Pass),
            ("::ffff:10.0.0.1", Verdict::Pass, Verdict::Pass),
        ] {
            let client = client.parse().unwrap();
            assert_eq!(look_up(&local, client), in_local, "local {client}");
            assert_eq!(look_up(&any, client), in_any, "any {client}");
        }
        assert_eq!(table(Policy::Off, &[eth0]), BTreeMap::new());
    }
}
