//! A host in memory: the maps' values, a clock that stands still, and hooks that run the kernel's decisions.
//!
//! What the kernel programs do with a frame is what [`Model::queries`] and [`Model::responses`] do with it: the code
//! is the same, the maps' values have the same layout, and `MAX_OFFSET` holds for both. A test sets the state here,
//! looks at the outcome, and can copy the state into the kernel's maps to see the same there.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    vec::Vec,
};

mod datagram;
mod hook;

pub use datagram::{Datagram, checksums_hold};
pub use hook::Frame;

use crate::{
    clients::{self, INTERVALS, Interval},
    image::{self, Image, PER_RECORD, Said, Variant},
    maps::{Address, Control, INTERFACES, Interface, MAX_SERVICES, Record, Served, Service, Verdict},
    memory::Word,
    outcome::Outcome,
    pending::{SETS, Set},
    policy::{InUse, Policy},
    query,
    rate::CELLS,
    response,
    served::{Endpoint, PLACES, Table, tag},
};

/// A host: the maps' values, its clock, and what its devices and its stack do with frames.
#[derive(Debug)]
pub struct Model {
    /// CONTROL.
    pub control: Control,
    /// PORTS.
    pub ports: Vec<Word>,
    /// SERVED.
    pub served: Vec<Served>,
    /// SERVICES.
    pub services: Vec<Service>,
    /// RECORDS.
    pub records: Vec<Record>,
    /// IMAGES.
    pub images: Vec<Image>,
    /// VERDICTS, of the one CPU.
    pub verdicts: Vec<Verdict>,
    /// PENDING.
    pub pending: Vec<Set>,
    /// INTERFACES.
    pub interfaces: Vec<Interface>,
    /// POLICIES.
    pub policies: Vec<Policy>,
    /// CLIENTS.
    pub intervals: Vec<Interval>,
    /// RATES.
    pub rates: Vec<Word>,
    /// The index of the interface that all frames are at.
    pub interface_index: u32,
    /// The kernel's ticks since boot.
    pub jiffies: u64,
    /// `CLOCK_BOOTTIME`, in ns.
    pub boot_time: u64,
    /// Whether frames can be made longer.
    pub room: Room,
    /// What is in the checksum field of responses, and at tc of queries.
    pub checksums: Checksums,
    /// Whether responses stand for one datagram or several.
    pub segments: Segments,
    /// Where queries are seen.
    pub queries_at: QueriesAt,
    /// Bytes of a frame that its first buffer holds: those that XDP reaches.
    pub buffer: usize,
    clock_reads: Cell<u32>,
    sets_used: RefCell<Vec<u32>>,
}

/// A network of clients.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The first address of the network.
    pub network: Address,
    /// Bits of it that count.
    pub prefix_len: u32,
    /// What holds for them: [`ANSWERED`](crate::clients::ANSWERED), [`NAMED`](crate::clients::NAMED).
    pub says: u64,
}

/// Whether frames can be made longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// As far as is asked for.
    Enough,
    /// Not by a byte.
    None,
}

/// What is in the checksum field of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// The checksum.
    Complete,
    /// The sum of the pseudo-header: the device completes it (`CHECKSUM_PARTIAL`).
    Partial,
}

/// Where queries are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueriesAt {
    /// At XDP: an answer's checksum is computed anew.
    Xdp,
    /// At tc: it is the query's, mended.
    Tc,
}

/// Whether a response stands for one datagram or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segments {
    /// One.
    One,
    /// Several: the device cuts it (GSO).
    Several,
}

/// The MAC address of the model's interface.
pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Ten seconds in ticks of the pending table, at 250 jiffies a second.
const TEN_SECONDS: u64 = 156;

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

impl Model {
    /// A host with one interface, switched on, that serves nothing and says nothing.
    pub fn new() -> Self {
        let control = Control::default();
        control.enabled.set(1);
        control.pending_key[0].set(0x0123_4567_89ab_cdef);
        control.pending_key[1].set(0xfedc_ba98_7654_3210);
        control.pending_ticks.set(TEN_SECONDS);
        let model = Self {
            control,
            ports: some(65_536 / 64),
            served: some(2 * PLACES),
            services: some(MAX_SERVICES),
            records: some(2 * MAX_SERVICES),
            images: some(2 * MAX_SERVICES * PER_RECORD),
            verdicts: some(MAX_SERVICES),
            pending: some(SETS),
            interfaces: some(INTERFACES),
            policies: some(2),
            intervals: some(2 * INTERVALS),
            rates: some(CELLS),
            interface_index: 1,
            jiffies: 1 << 32,
            boot_time: 1 << 40,
            room: Room::Enough,
            checksums: Checksums::Complete,
            segments: Segments::One,
            queries_at: QueriesAt::Xdp,
            buffer: usize::MAX,
            clock_reads: Cell::new(0),
            sets_used: RefCell::default(),
        };
        model.attach(1, MAC, 1500);
        model
    }

    /// Attaches an interface.
    pub fn attach(&self, index: u32, mac: [u8; 6], mtu: u64) {
        let mut word = [0; 8];
        word[..6].copy_from_slice(&mac);
        let interface = &self.interfaces[(index % INTERFACES) as usize];
        interface.index.set(u64::from(index));
        interface.mac.set(u64::from_le_bytes(word));
        interface.mtu.set(mtu);
    }

    /// Serves an endpoint, in the table that is in use.
    pub fn serve(&self, endpoint: &Endpoint, service: u32) {
        let place = &self.served[Table::from_word(self.control.served.get()).place(endpoint) as usize];
        place.high.set(endpoint.address.high);
        place.low.set(endpoint.address.low);
        place.tag.set(tag(endpoint.port, service));
        let port = u16::from_be_bytes(endpoint.port);
        let bits = &self.ports[usize::from(port / 64)];
        bits.set(bits.get() | 1 << (port % 64));
    }

    /// Tells who clients are, by the longest prefix; whoever is in none of these networks is nobody.
    pub fn set_clients(&self, clients: &[Client]) {
        let bits = |address: Address| u128::from_be_bytes(address.octets());
        let hosts = |client: &Client| u128::MAX.checked_shr(client.prefix_len).unwrap_or(0);
        let borders = clients.iter().flat_map(|client| {
            let first = bits(client.network) & !hosts(client);
            [Some(first), (first | hosts(client)).checked_add(1)].into_iter().flatten()
        });
        let borders: BTreeSet<u128> = borders.chain([0]).collect();
        let says = |address: u128| {
            let around =
                clients.iter().filter(|client| (address ^ bits(client.network)) & !hosts(client) == 0);
            around.max_by_key(|client| client.prefix_len).map_or(0, |client| client.says)
        };
        let intervals: Vec<_> = borders.into_iter().map(|from| (from, says(from))).collect();
        let in_use = InUse::of(&self.control).index();
        let places = &self.intervals[(in_use * INTERVALS) as usize..][..INTERVALS as usize];
        assert!(clients::fill(places, self.policy(), &intervals), "{} intervals", intervals.len());
    }

    /// The set of policies that is in use.
    pub fn policy(&self) -> &Policy {
        &self.policies[InUse::of(&self.control).index() as usize]
    }

    /// Has a service say a name until a point of `CLOCK_BOOTTIME`: in the record that is not selected, which then is.
    pub fn say(&self, service: u32, name: &[u8], until: u64) {
        self.say_as(service, Said::name(name), until);
    }

    /// As [`say`](Self::say), with something else that stands for the name.
    pub fn say_as(&self, service: u32, said: Said<'_>, until: u64) {
        let selected = &self.services[service as usize].selected;
        let new = 1 - selected.get();
        let index = service * 2 + new as u32;
        for variant in Variant::ALL {
            self.images[image::index(index, variant) as usize].fill(said, variant);
        }
        let record = &self.records[index as usize];
        let generation = self.records.iter().map(|record| record.generation.get()).max().unwrap_or(0) + 1;
        record.generation.set(generation);
        record.deadline.set(until);
        selected.set(new);
    }

    /// The deadline of what a service says.
    pub fn deadline(&self, service: u32) -> &Word {
        let selected = self.services[service as usize].selected.get();
        &self.records[(u64::from(service) * 2 + selected) as usize].deadline
    }

    /// What the hook of queries does with a frame.
    pub fn queries(&self, frame: &mut Vec<u8>) -> Outcome {
        query::queries(self.frame(frame))
    }

    /// What the hook of responses does with a frame.
    pub fn responses(&self, frame: &mut Vec<u8>) -> Outcome {
        response::responses(self.frame(frame))
    }

    /// What a hook of both does with a frame.
    pub fn both(&self, frame: &mut Vec<u8>) -> Outcome {
        match self.queries(frame) {
            Outcome::NotOurs => self.responses(frame),
            outcome => outcome,
        }
    }

    /// Bytes, as a frame at a hook.
    pub fn frame<'a>(&'a self, bytes: &'a mut Vec<u8>) -> Frame<'a> {
        Frame::new(self, bytes)
    }

    /// How often `CLOCK_BOOTTIME` was read.
    pub fn clock_reads(&self) -> u32 {
        self.clock_reads.get()
    }

    /// The sets of the pending table that were looked at since this was last asked.
    pub fn sets_used(&self) -> Vec<u32> {
        self.sets_used.take()
    }
}

fn some<T: Default>(count: u32) -> Vec<T> {
    (0..count).map(|_| T::default()).collect()
}
