//! The served set: address and port to service.
//!
//! A hash table of the kernel costs 32 ns a hit; this is an array in which every endpoint has the one place that its
//! hash gives. Whoever fills it looks for a seed under which no two endpoints share a place. There are two tables: a
//! change fills the one that is not in use, then [`Control::served`](crate::maps::Control::served) is switched to it.

use crate::maps::{Address, Maps, Served};

/// Places of one table.
pub const PLACES: u32 = 4096;
/// Endpoints for which a seed is found soon: with 256, one seed in 3,000 has no two of them on one place.
pub const MAX_ENDPOINTS: usize = 256;

/// A served address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Of this host.
    pub address: Address,
    /// As on the wire.
    pub port: [u8; 2],
}

/// Which of the two tables is in use, and the seed of its hash: the value of `Control::served`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table(u64);

impl Table {
    /// The first table, or the second, with a seed of which the low 63 bits count.
    pub const fn new(second: u64, seed: u64) -> Self {
        Self(seed << 1 | second & 1)
    }

    /// From the word in the map.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The word in the map.
    pub const fn word(self) -> u64 {
        self.0
    }

    /// The table that is not this one, with another seed.
    #[must_use]
    pub const fn other(self, seed: u64) -> Self {
        Self::new(!self.0, seed)
    }

    /// The first of this table's [`PLACES`] in the map.
    #[inline(always)]
    pub const fn first_place(self) -> u32 {
        (self.0 as u32 & 1) * PLACES
    }

    /// The endpoint's place in the map.
    #[inline(always)]
    pub const fn place(self, endpoint: &Endpoint) -> u32 {
        let Endpoint { address, port } = endpoint;
        // The seed comes in before the words come together: else two endpoints could meet under every seed.
        let seeded = (address.low ^ self.0 >> 1).wrapping_mul(MULTIPLIER);
        let joined = seeded ^ seeded >> 29 ^ address.high ^ (u16::from_le_bytes(*port) as u64) << 48;
        self.first_place() + (joined.wrapping_mul(MULTIPLIER) >> 52) as u32
    }
}

/// Odd, so that nothing is lost: 2^64 by the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

const _: () = assert!(PLACES == 1 << (64 - 52));

/// The value of [`Served::tag`] for a place that is taken.
pub const fn tag(port: [u8; 2], service: u32) -> u64 {
    1 << 63 | (service as u64) << 16 | u16::from_le_bytes(port) as u64
}

/// The service of an endpoint.
#[inline(always)]
pub(crate) fn service<M: Maps>(maps: &M, table: Table, endpoint: &Endpoint) -> Option<u32> {
    let Served { high, low, tag: found } = maps.served(table.place(endpoint))?;
    let found = found.get();
    let same = low.get() == endpoint.address.low
        && found & !0xffff_0000 == tag(endpoint.port, 0)
        && high.get() == endpoint.address.high;
    if same { Some((found >> 16) as u32 & 0xffff) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use proptest::prelude::*;
    use std::{collections::HashSet, vec::Vec};

    fn endpoint() -> impl Strategy<Value = Endpoint> {
        let address =
            prop_oneof![any::<[u8; 4]>().prop_map(Address::v4), any::<[u8; 16]>().prop_map(Address::v6)];
        (address, any::<[u8; 2]>()).prop_map(|(address, port)| Endpoint { address, port })
    }

    fn found(model: &Model, endpoint: &Endpoint) -> Option<u32> {
        service(&model.frame(&mut Vec::new()), Table::from_word(model.control.served.get()), endpoint)
    }

    #[test]
    fn the_neighbours_of_a_served_endpoint_are_not_served() {
        let model = Model::new();
        let served = Endpoint { address: Address::v4([10, 0, 0, 2]), port: [0, 53] };
        model.serve(&served, 3);
        assert_eq!(found(&model, &served), Some(3));
        let address = served.address;
        // All of them on the same place, so that only the comparison keeps them apart.
        for other in [
            Endpoint { port: [53, 0], ..served },
            Endpoint { address: Address { high: 1, ..address }, ..served },
            Endpoint { address: Address { low: address.low ^ 1 << 32, ..address }, ..served },
        ] {
            let table = Table::from_word(model.control.served.get());
            let (from, to) =
                (&model.served[table.place(&served) as usize], &model.served[table.place(&other) as usize]);
            to.high.set(from.high.get());
            to.low.set(from.low.get());
            to.tag.set(from.tag.get());
            assert_eq!(found(&model, &other), None, "{other:?}");
        }
    }

    #[test]
    fn a_free_place_serves_nothing() {
        let zero = Endpoint { address: Address { high: 0, low: 0 }, port: [0, 0] };
        assert_eq!(found(&Model::new(), &zero), None);
    }

    #[test]
    fn a_seed_for_as_many_endpoints_as_are_allowed_is_found_soon() {
        // All on one network, on one port, which is the likeliest set.
        let endpoints: Vec<Endpoint> = (0..MAX_ENDPOINTS as u32)
            .map(|host| Endpoint { address: Address::v4((0x0a00_0000 + host).to_be_bytes()), port: [0, 53] })
            .collect();
        let apart = |seed: &u64| {
            let table = Table::new(0, seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
            let mut places = HashSet::new();
            endpoints.iter().all(|endpoint| places.insert(table.place(endpoint)))
        };
        assert!((1..100_000).any(|seed| apart(&seed)));
    }

    /// What fills the table looks for a seed until it has one: two endpoints that have one place under every seed
    /// would have it look for ever.
    #[test]
    fn any_two_endpoints_have_places_of_their_own_under_some_seed() {
        let v6 = |subnet, interface| {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
            (octets[7], octets[8], octets[15]) = (subnet, interface, 0x53);
            Address::v6(octets)
        };
        for (one, other) in [
            // [2001:db8:0:2::53]:53 and [2001:db8::53]:309
            (
                Endpoint { address: v6(2, 0), port: 53_u16.to_be_bytes() },
                Endpoint { address: v6(0, 0), port: 309_u16.to_be_bytes() },
            ),
            // Two addresses on one port.
            (
                Endpoint { address: Address { high: 1 << 41, low: 7 }, port: [0, 53] },
                Endpoint { address: Address { high: 0, low: 7 ^ 1 }, port: [0, 53] },
            ),
        ] {
            let apart = |seed: &u64| {
                let table = Table::new(0, seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
                table.place(&one) != table.place(&other)
            };
            assert!((1..1000).any(|seed| apart(&seed)), "{one:?} {other:?}");
        }
    }

    proptest! {
        #[test]
        fn an_endpoint_has_its_place_in_the_table_that_was_chosen(endpoint in endpoint(), seed: u64) {
            let first = Table::new(0, seed);
            let second = first.other(seed);
            prop_assert!(first.place(&endpoint) < PLACES);
            prop_assert_eq!(second.place(&endpoint), first.place(&endpoint) + PLACES);
            prop_assert_eq!(second.other(seed), first);
            prop_assert_eq!(Table::from_word(first.word()), first);
        }

        #[test]
        fn only_the_table_in_use_counts(endpoint in endpoint(), seed: u64, service in 0..16_u32) {
            let model = Model::new();
            let table = Table::new(1, seed);
            model.control.served.set(table.word());
            model.serve(&endpoint, service);
            prop_assert_eq!(found(&model, &endpoint), Some(service));
            model.control.served.set(table.other(seed).word());
            prop_assert_eq!(found(&model, &endpoint), None);
        }
    }
}
