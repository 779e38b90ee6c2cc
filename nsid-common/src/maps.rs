//! The layout of the BPF maps, shared by programs and agent.
//!
//! Everything that changes while programs run is an atomic word: the agent has the maps in its memory
//! (`BPF_F_MMAPABLE`) and changes one with a plain store of an aligned word, the programs read it with a plain load.
//! Where several words belong together, the module that uses them says in which order they are written.
//!
//! **Invariant:** aligned words and byte arrays only, without padding.

use crate::{clients::Interval, memory::Word, policy::Policy};

/// Services that one instance can serve.
pub const MAX_SERVICES: u32 = 16;
/// Interfaces that one instance can be attached to lie in this many places, by index modulo this.
pub const INTERFACES: u32 = 256;

/// An address of either version; IPv4 is mapped (RFC 4291 2.5.5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The first eight bytes, as a little-endian word.
    pub high: u64,
    /// The last eight bytes, as a little-endian word.
    pub low: u64,
}

impl Address {
    /// Of IPv4.
    #[inline(always)]
    pub const fn v4(octets: [u8; 4]) -> Self {
        Self { high: 0, low: 0xffff_0000 | (u32::from_le_bytes(octets) as u64) << 32 }
    }

    /// Of IPv6.
    #[inline(always)]
    pub const fn v6(octets: [u8; 16]) -> Self {
        let octets = u128::from_le_bytes(octets);
        Self { high: octets as u64, low: (octets >> 64) as u64 }
    }

    /// Whether it is IPv4, or looks like it in an IPv6 header, where no address may (RFC 4291 2.5.5.2).
    #[inline(always)]
    pub const fn is_v4(self) -> bool {
        self.high == 0 && self.low as u32 == 0xffff_0000
    }

    /// The sixteen bytes.
    #[inline(always)]
    pub const fn octets(self) -> [u8; 16] {
        (self.high as u128 | (self.low as u128) << 64).to_le_bytes()
    }
}

/// What holds for the whole instance.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Control {
    /// 0: no name is said. `nsid on` and `nsid off` store here.
    pub enabled: Word,
    /// Not 0: what would be done is counted, and not done.
    pub observe: Word,
    /// Which table of the served set is in use, and its hash's seed; see [`served`](crate::served).
    pub served: Word,
    /// Keys of the pending table's hash.
    pub pending_key: [Word; 2],
    /// How long a note is valid, in ticks of the [pending table](crate::pending).
    pub pending_ticks: Word,
    /// Which set of policies is in use; see [`policy`](crate::policy).
    pub policy: Word,
}

/// One served address and port.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Served {
    /// [`Address::high`].
    pub high: Word,
    /// [`Address::low`].
    pub low: Word,
    /// The service, the port, and whether the place is taken; see [`served`](crate::served).
    pub tag: Word,
}

/// One service: which of its two records counts.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Service {
    /// 0 or 1.
    pub selected: Word,
}

impl Service {
    /// Which of the two records counts: 0 or 1.
    #[inline(always)]
    pub fn selected(&self) -> u32 {
        self.selected.get() as u32 & 1
    }
}

/// A name's right to be said; see [`fence`](crate::fence).
#[repr(C)]
#[derive(Debug, Default)]
pub struct Record {
    /// Point on `CLOCK_BOOTTIME`, in ns, from which on the name is not said: 0 never, `u64::MAX` always.
    pub deadline: Word,
    /// A number that no other record has had.
    pub generation: Word,
}

/// One CPU's last verdict on a service's deadline; see [`fence`](crate::fence).
#[repr(C)]
#[derive(Debug, Default)]
pub struct Verdict {
    /// When it was reached.
    pub jiffy: Word,
    /// On which record.
    pub generation: Word,
    /// Not 0: the name may be said.
    pub alive: Word,
}

/// An interface that programs are attached to.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Interface {
    /// Its index; 0: the place is free.
    pub index: Word,
    /// Its address as the first six bytes of a little-endian word; any other word: nothing is answered there.
    pub mac: Word,
    /// Its MTU, in bytes behind the Ethernet header.
    pub mtu: Word,
}

const _: () = assert!(size_of::<Control>() == 56);
const _: () = assert!(size_of::<Served>() == 24);
const _: () = assert!(size_of::<Service>() == 8);
const _: () = assert!(size_of::<Record>() == 16);
const _: () = assert!(size_of::<Verdict>() == 24);
const _: () = assert!(size_of::<Interface>() == 24);

/// The maps, as the decisions read them. All are arrays.
pub trait Maps {
    /// The one [`Control`].
    fn control(&self) -> Option<&Control>;
    /// Ports that are served: 64 of them, from 64 times `index` on, a bit each.
    fn ports(&self, index: u32) -> Option<&Word>;
    /// A place of the served set.
    fn served(&self, index: u32) -> Option<&Served>;
    /// A service.
    fn service(&self, index: u32) -> Option<&Service>;
    /// A record: the first or second of service `index / 2`.
    fn record(&self, index: u32) -> Option<&Record>;
    /// An image; see [`image::index`](crate::image::index).
    fn image(&self, index: u32) -> Option<&crate::image::Image>;
    /// This CPU's verdict on a service.
    fn verdict(&self, service: u32) -> Option<&Verdict>;
    /// A set of notes.
    fn pending(&self, index: u32) -> Option<&crate::pending::Set>;
    /// One of the two sets of policies.
    fn policy(&self, index: u32) -> Option<&Policy>;
    /// A place of the clients' tables.
    fn interval(&self, index: u32) -> Option<&Interval>;
    /// A cell of the answers' rates.
    fn rate(&self, index: u32) -> Option<&Word>;
    /// The interface at a place.
    fn interface(&self, index: u32) -> Option<&Interface>;
    /// The index of the interface that the frame is at.
    fn interface_index(&self) -> u32;
    /// The kernel's ticks since boot.
    fn jiffies(&self) -> u64;
    /// `CLOCK_BOOTTIME`, in ns.
    fn boot_time(&self) -> u64;
}

/// Whether a port, as on the wire, is served by anyone.
#[inline(always)]
pub(crate) fn port_served<M: Maps>(maps: &M, port: [u8; 2]) -> bool {
    let port = u16::from_be_bytes(port);
    match maps.ports(u32::from(port >> 6)) {
        Some(bits) => bits.get() >> (port & 63) & 1 != 0,
        None => false,
    }
}

/// The attached interface that the frame is at.
#[inline(always)]
pub(crate) fn interface<M: Maps>(maps: &M) -> Option<&Interface> {
    let index = maps.interface_index();
    let interface = maps.interface(index % INTERFACES)?;
    if interface.index.get() == u64::from(index) { Some(interface) } else { None }
}
