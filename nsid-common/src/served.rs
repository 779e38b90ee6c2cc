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
        let folded = address.low ^ address.high.rotate_left(23) ^ (u16::from_le_bytes(*port) as u64) << 16;
        let mixed = (folded ^ self.0 >> 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.first_place() + (mixed >> 52) as u32
    }
}

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
