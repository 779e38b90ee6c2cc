//! The layout of the BPF maps, shared by programs and agent.
//!
//! Everything that changes while programs run is an atomic word: the agent has the maps in its memory
//! (`BPF_F_MMAPABLE`) and changes one with a plain store of an aligned word, the programs read it with a plain load.
//! Where several words belong together, the module that uses them says in which order they are written.
//!
//! **Invariant:** aligned words and byte arrays only, without padding.
//!
//! **Invariant:** two builds that define the maps alike and have one [`REVISION`] read each other's: an agent that is
//! upgraded goes on with the maps that are there, its programs next to those of the build before.

use crate::{clients::Interval, memory::Word, policy::Policy};

/// Raised whenever what is in a map means something else than before, though the map is defined as before: how a note, an
/// endpoint or an image is written, where it is looked for, and what a value stands for.
pub const REVISION: u32 = 1;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clients,
        model::Model,
        outcome::Outcome,
        pending::{Exchange, note},
        policy::InUse,
        rate,
        served::{Endpoint, Table},
    };
    use core::num::NonZeroU32;
    use std::vec::Vec;

    /// Everything that a host writes into maps, by example, in one number.
    fn what_is_in_the_maps() -> u64 {
        let model = Model::new();
        model.control.served.set(Table::new(1, 29).word());
        model.serve(&Endpoint { address: Address::v4([192, 0, 2, 1]), port: [0, 53] }, 2);
        model.serve(&Endpoint { address: Address::v6([0x20; 16]), port: [20, 233] }, 3);
        model.say(2, b"worker1.example.net", 31);
        let exchange = Exchange::new(&model.control, &[7, 11], [13, 17], [0, 53], [19, 23]);
        note(&model.frame(&mut Vec::new()), exchange, 1232);
        let in_use = InUse::new(1).some_may_not_see(true).limited(true);
        model.control.policy.set(in_use.word());
        let policy = &model.policies[in_use.index() as usize];
        let intervals = [(0, 0), (5 << 64, clients::ANSWERED), (7 << 64, clients::ANSWERED | clients::NAMED)];
        assert!(clients::fill(&model.intervals, policy, &intervals));
        rate::set(policy, NonZeroU32::MIN, 250);
        let _within_its_rate = rate::spend(&model.frame(&mut Vec::new()), Address::v4([192, 0, 2, 9]));

        let Model { control, ports, served, services, records, images, pending, interfaces, .. } = &model;
        let Control { enabled, observe, served: table, pending_key, pending_ticks, policy } = control;
        let [key, other_key] = pending_key;
        let control = [enabled, observe, table, key, other_key, pending_ticks, policy];
        let policies = model.policies.iter().flat_map(|policy| {
            let Policy { intervals, max_udp_size, keep_own, answer_interval, answer_ahead } = policy;
            [intervals, max_udp_size, keep_own, answer_interval, answer_ahead]
        });
        let clients = model.intervals.iter().flat_map(|Interval { high, low, says }| [high, low, says]);
        let served = served.iter().flat_map(|Served { high, low, tag }| [high, low, tag]);
        let services = services.iter().map(|Service { selected }| selected);
        let records = records.iter().flat_map(|Record { deadline, generation }| [deadline, generation]);
        let pending = pending.iter().flat_map(|notes| &notes.0);
        let interfaces = interfaces.iter().flat_map(|Interface { index, mac, mtu }| [index, mac, mtu]);
        let words = control.into_iter().chain(ports).chain(served).chain(services).chain(records);
        let words = words.chain(pending).chain(interfaces).chain(policies).chain(clients).chain(&model.rates);
        let words = words.map(Word::get);
        let images = images.iter().flat_map(|image| {
            let (bytes, len) = image.bytes();
            bytes.into_iter().map(u64::from).chain([len as u64, u64::from(image.sum())])
        });
        let names = Outcome::ALL.iter().flat_map(|outcome| outcome.name().bytes()).map(u64::from);
        let all = words.chain(images).chain(names);
        all.fold(0, |hash, word| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
    }

    #[test]
    fn what_is_in_the_maps_means_the_same_in_every_build_of_a_revision() {
        let found = (REVISION, what_is_in_the_maps());
        assert_eq!(
            found,
            (1, 17_551_550_305_584_867_670),
            "something else is in the maps than before: if they are as large as before, raise REVISION; then write here \
             what was found"
        );
    }
}
