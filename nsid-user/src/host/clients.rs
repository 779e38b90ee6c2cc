//! Who clients are: who may see the name, and whom the kernel answers by itself.
//!
//! A server that answers everybody over UDP can be made to flood others with answers to forged queries (RFC 5358), so by
//! default only who is near gets one; all others are the server's.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use clap::ValueEnum;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Deserialize;

use super::addresses::{Address, on_link_prefixes};

/// Who gets an answer that the kernel makes by itself.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// On-link, private (RFC 1918), unique local and link-local addresses
    #[default]
    Local,
    /// Every address: an open reflector, unless a firewall stands before it
    Any,
    /// Nobody: all queries go to the server
    Off,
}

/// What holds for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// What the kernel can answer, it does: else it is passed on to the server.
    pub answered: bool,
    /// It may see the name.
    pub named: bool,
}

/// Who clients are to us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    /// Whom the kernel answers, of those who may see the name.
    pub answered: Answer,
    /// Who may see the name; nobody else, if there are any.
    pub allow: Vec<IpNet>,
    /// Who may not. Of these and the allowed, the longest prefix counts.
    pub deny: Vec<IpNet>,
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

/// Where IPv4 is in IPv6 (RFC 4291 2.5.5.2).
const MAPPED: u128 = 0xffff_u128 << 32;

impl Clients {
    /// What holds for a client of a host with these addresses.
    ///
    /// **Invariant:** what is never the address of a client is not answered, whoever else is.
    pub fn rights(&self, client: IpAddr, addresses: &[Address]) -> Rights {
        let nets = Nets::of(self, addresses);
        nets.rights(self, client)
    }

    /// The same for all clients: what holds from each of these addresses on, to the next one's.
    pub fn intervals(&self, addresses: &[Address]) -> Vec<(u128, Rights)> {
        let nets = Nets::of(self, addresses);
        let around = [&nets.answered, &nets.never, &self.allow, &self.deny];
        let borders = around.into_iter().flatten().flat_map(borders);
        let borders: BTreeSet<_> = borders.chain([0, MAPPED, MAPPED + (1 << 32)]).collect();
        let mut intervals: Vec<(u128, Rights)> = Vec::new();
        for from in borders {
            let rights = nets.rights(self, address(from));
            if intervals.last().is_none_or(|(_, last)| *last != rights) {
                intervals.push((from, rights));
            }
        }
        intervals
    }

    /// The same in no more than `most` intervals, if leaving clients to the server makes them so few: those in the
    /// smallest ranges of addresses first. Second, how many ranges those are.
    ///
    /// A host can have more networks than the kernel programs look through, by no decision about who is answered.
    pub fn intervals_within(&self, most: usize, addresses: &[Address]) -> (Vec<(u128, Rights)>, usize) {
        let mut intervals = self.intervals(addresses);
        let mut left_to_server = 0;
        while intervals.len() > most {
            let end = |next: usize| intervals.get(next).map_or(u128::MAX, |(from, _)| *from - 1);
            let answered = (0..intervals.len()).filter(|index| intervals[*index].1.answered);
            let smallest = answered.min_by_key(|index| end(index + 1) - intervals[*index].0);
            let Some(smallest) = smallest else { break };
            intervals[smallest].1.answered = false;
            intervals.dedup_by_key(|(_, rights)| *rights);
            left_to_server += 1;
        }
        (intervals, left_to_server)
    }

    fn may_see(&self, client: IpAddr) -> bool {
        let longest =
            |nets: &[IpNet]| nets.iter().filter(|net| net.contains(&client)).map(IpNet::prefix_len).max();
        match (longest(&self.allow), longest(&self.deny)) {
            (None, None) => self.allow.is_empty(),
            (allowed, denied) => allowed > denied,
        }
    }
}

/// The networks that answers go to, and those that they never do.
struct Nets {
    answered: Vec<IpNet>,
    never: Vec<IpNet>,
}

impl Nets {
    fn of(clients: &Clients, addresses: &[Address]) -> Self {
        let own = addresses.iter().map(|address| IpNet::from(address.ip));
        let broadcast = addresses.iter().flat_map(broadcast).map(|ip| IpNet::from(IpAddr::V4(ip)));
        let never = NEVER.into_iter().chain(own).chain(broadcast).collect();
        let answered = match clients.answered {
            Answer::Local => LOCAL.into_iter().chain(on_link_prefixes(addresses)).collect(),
            Answer::Any => ANY.to_vec(),
            Answer::Off => Vec::new(),
        };
        Self { answered, never }
    }

    fn rights(&self, clients: &Clients, client: IpAddr) -> Rights {
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&client));
        let named = clients.may_see(client);
        Rights { answered: named && within(&self.answered) && !within(&self.never), named }
    }
}

/// The first address of a network, and the first one behind it.
fn borders(net: &IpNet) -> impl Iterator<Item = u128> + use<> {
    let (first, last) = match net {
        IpNet::V4(net) => (mapped(net.network()), mapped(net.broadcast())),
        IpNet::V6(net) => (net.network().to_bits(), net.broadcast().to_bits()),
    };
    [Some(first), last.checked_add(1)].into_iter().flatten()
}

fn mapped(address: Ipv4Addr) -> u128 {
    MAPPED | u128::from(address.to_bits())
}

fn address(bits: u128) -> IpAddr {
    match u32::try_from(bits ^ MAPPED) {
        Ok(bits) => Ipv4Addr::from_bits(bits).into(),
        Err(_) => Ipv6Addr::from_bits(bits).into(),
    }
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

    /// What the kernel finds.
    fn look_up(intervals: &[(u128, Rights)], client: IpAddr) -> Rights {
        let bits = match client {
            IpAddr::V4(client) => mapped(client),
            IpAddr::V6(client) => client.to_bits(),
        };
        intervals.iter().rev().find(|(from, _)| *from <= bits).expect("an interval at 0").1
    }

    fn ip() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 16]>().prop_map(IpAddr::from).prop_filter("IPv4 is", is_not_mapped),
            // Where the fixed prefixes have their borders.
            (prop::sample::select([LOCAL.as_slice(), &NEVER].concat()), any::<[u8; 16]>())
                .prop_map(|(net, host)| within(net, host))
                .prop_filter("IPv4 is", is_not_mapped),
        ]
    }

    fn is_not_mapped(ip: &IpAddr) -> bool {
        ip.to_canonical() == *ip
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

    fn net() -> impl Strategy<Value = IpNet> {
        (ip(), any::<u8>()).prop_map(|(ip, prefix_len)| {
            IpNet::new(ip, prefix_len % (IpNet::from(ip).max_prefix_len() + 1)).unwrap().trunc()
        })
    }

    fn host() -> impl Strategy<Value = Address> {
        (ip(), any::<u8>(), any::<Option<[u8; 4]>>()).prop_map(|(ip, prefix_len, broadcast)| {
            let on_link =
                IpNet::new(ip, prefix_len % (IpNet::from(ip).max_prefix_len() + 1)).unwrap().trunc();
            Address { ifindex: 2, ip, on_link, broadcast: broadcast.map(Ipv4Addr::from), given: 0 }
        })
    }

    fn policy() -> impl Strategy<Value = Answer> {
        prop::sample::select([Answer::Local, Answer::Any, Answer::Off].as_slice())
    }

    fn clients() -> impl Strategy<Value = Clients> {
        (policy(), vec(net(), 0..5), vec(net(), 0..5)).prop_map(|(answered, allow, deny)| Clients {
            answered,
            allow,
            deny,
        })
    }

    fn answering(answered: Answer) -> Clients {
        Clients { answered, ..Clients::default() }
    }

    proptest! {
        #[test]
        fn the_host_and_its_broadcasts_are_never_answered(clients in clients(), addresses in vec(host(), 0..8)) {
            let intervals = clients.intervals(&addresses);
            for address in &addresses {
                prop_assert!(!look_up(&intervals, address.ip).answered);
                if let Some(broadcast) = address.broadcast {
                    prop_assert!(!look_up(&intervals, broadcast.into()).answered);
                }
                if let IpNet::V4(net) = address.on_link && net.prefix_len() < 31 {
                    prop_assert!(!look_up(&intervals, net.broadcast().into()).answered);
                }
            }
        }

        #[test]
        fn what_is_no_client_is_never_answered(
            clients in clients(), addresses in vec(host(), 0..8),
            net in prop::sample::select(NEVER.as_slice()), ip in any::<[u8; 16]>(),
        ) {
            let client = within(net, ip);
            prop_assume!(is_not_mapped(&client));
            prop_assert!(!look_up(&clients.intervals(&addresses), client).answered);
        }

        #[test]
        fn for_want_of_room_fewer_are_answered_and_as_many_see_the_name(
            clients in clients(), addresses in vec(host(), 0..8), client in ip(), most in 1..40_usize,
        ) {
            let all = clients.intervals(&addresses);
            let (some, left_to_server) = clients.intervals_within(most, &addresses);
            prop_assert!(some.len() <= most || some.iter().all(|(_, rights)| !rights.answered));
            prop_assert_eq!(left_to_server == 0, some == all);
            let (all, some) = (look_up(&all, client), look_up(&some, client));
            prop_assert_eq!(all.named, some.named);
            prop_assert!(all.answered || !some.answered);
        }

        #[test]
        fn whoever_may_not_see_the_name_is_not_answered(
            clients in clients(), addresses in vec(host(), 0..8), client in ip(),
        ) {
            let rights = look_up(&clients.intervals(&addresses), client);
            prop_assert!(rights.named || !rights.answered);
        }

        /// Told plainly: as bits, from the longest prefix to the shortest.
        #[test]
        fn who_may_see_the_name_is_told_by_the_longest_prefix(
            clients in clients(), addresses in vec(host(), 0..3), strangers in vec(ip(), 1..5),
            neighbour in any::<prop::sample::Index>(), ip in any::<[u8; 16]>(),
        ) {
            let intervals = clients.intervals(&addresses);
            let given: Vec<_> = clients.allow.iter().chain(&clients.deny).copied().collect();
            let near = (!given.is_empty()).then(|| within(*neighbour.get(&given), ip)).filter(is_not_mapped);
            for client in strangers.into_iter().chain(near) {
                let mut expected = clients.allow.is_empty();
                for prefix_len in 0..=IpNet::from(client).max_prefix_len() {
                    let net = IpNet::new(client, prefix_len).unwrap().trunc();
                    if clients.deny.contains(&net) {
                        expected = false;
                    } else if clients.allow.contains(&net) {
                        expected = true;
                    }
                }
                prop_assert_eq!(look_up(&intervals, client).named, expected, "{} in {:?}", client, intervals);
            }
        }

        #[test]
        fn the_table_says_what_the_policy_says(
            policy in policy(), addresses in vec(host(), 0..8), client in ip(),
            neighbour in any::<prop::sample::Index>(), ip in any::<[u8; 16]>(),
        ) {
            let mut asking = vec![client];
            if !addresses.is_empty() {
                asking.push(within(neighbour.get(&addresses).on_link, ip));
            }
            let clients = answering(policy);
            let intervals = clients.intervals(&addresses);
            for client in asking.into_iter().filter(is_not_mapped) {
                let near = match policy {
                    Answer::Off => false,
                    Answer::Any => true,
                    Answer::Local => LOCAL.iter().any(|net| net.contains(&client))
                        || addresses.iter().any(|address| address.on_link.contains(&client)),
                };
                let client_of_no_one = NEVER.iter().any(|net| net.contains(&client))
                    || addresses.iter().any(|a| {
                        a.ip == client
                            || a.broadcast.map(IpAddr::V4) == Some(client)
                            || (a.on_link.broadcast() == client && client.is_ipv4() && a.on_link.prefix_len() < 31)
                    });
                let expected = Rights { answered: near && !client_of_no_one, named: true };
                prop_assert_eq!(look_up(&intervals, client), expected, "{} in {:?}", client, intervals);
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
            given: 0,
        };
        let local = answering(Answer::Local).intervals(&[eth0]);
        let any = answering(Answer::Any).intervals(&[eth0]);
        for (client, in_local, in_any) in [
            ("192.0.2.7", true, true),
            ("10.1.2.3", true, true),
            ("172.31.255.255", true, true),
            ("172.32.0.1", false, true),
            ("fd00::1", true, true),
            ("fe80::1", true, true),
            ("198.51.100.1", false, true),
            ("2001:db8::1", false, true),
            ("192.0.2.1", false, false),
            ("192.0.2.255", false, false),
            ("255.255.255.255", false, false),
        ] {
            let client = client.parse().unwrap();
            assert_eq!(look_up(&local, client).answered, in_local, "local {client}");
            assert_eq!(look_up(&any, client).answered, in_any, "any {client}");
        }
        let off = answering(Answer::Off).intervals(&[eth0]);
        assert_eq!(off, [(0, Rights { answered: false, named: true })]);
    }

    /// Of each network, the addresses below the host's are the smallest range, and nobody's.
    #[test]
    fn of_many_networks_the_smallest_ranges_are_left_to_the_server_first() {
        let networks: Vec<_> = (0..=255)
            .map(|third| Address {
                ifindex: 2,
                ip: Ipv4Addr::new(198, 18, third, 1).into(),
                on_link: format!("198.18.{third}.0/24").parse().unwrap(),
                broadcast: None,
                given: 0,
            })
            .collect();
        let local = answering(Answer::Local);
        let all = local.intervals(&networks).len();
        let (intervals, left_to_server) = local.intervals_within(all / 2 + 20, &networks);
        assert!((200..=256).contains(&left_to_server), "{left_to_server} of {all}");
        for third in 0..=255 {
            assert!(look_up(&intervals, Ipv4Addr::new(198, 18, third, 7).into()).answered, "{third}");
        }
        let (intervals, _) = local.intervals_within(1, &networks);
        assert_eq!(intervals, [(0, Rights { answered: false, named: true })]);
    }

    /// As longest-prefix tables of IPv4 mapped into IPv6 would not have it.
    #[test]
    fn a_prefix_of_ipv6_says_nothing_of_ipv4() {
        let clients = Clients { allow: vec!["::/0".parse().unwrap()], ..Clients::default() };
        let intervals = clients.intervals(&[]);
        assert!(look_up(&intervals, "2001:db8::1".parse().unwrap()).named);
        assert!(!look_up(&intervals, "192.0.2.1".parse().unwrap()).named);
    }
}
