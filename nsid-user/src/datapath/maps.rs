//! The maps, opened by their pins: by the agent that loaded the programs, and by the verbs without it.

use std::{
    cell::Cell,
    fmt, io,
    path::{Path, PathBuf},
};

use aya::maps::{Map, MapData, MapError, PerCpuArray};
use nsid_common::{
    clients::{INTERVALS, Interval},
    image::{self, Image, PER_RECORD, Variant},
    maps::{Control, INTERFACES, Interface, MAX_SERVICES, Record, Served, Service},
    memory::Word,
    outcome::Outcome,
    policy::Policy,
    served::PLACES,
};
use thiserror::Error;

use super::{
    pins::Pins,
    shared::{Shared, Words},
};
use crate::clock::{BootTime, Deadline};

/// The maps of one instance.
pub struct Maps {
    pub(super) control: Shared<Control>,
    pub(super) ports: Shared<Word>,
    pub(super) served: Shared<Served>,
    pub(super) services: Shared<Service>,
    pub(super) records: Shared<Record>,
    pub(super) images: Shared<Image>,
    pub(super) interfaces: Shared<Interface>,
    pub(super) policies: Shared<Policy>,
    pub(super) clients: Shared<Interval>,
    counters: PerCpuArray<MapData, u64>,
    /// When a record was last selected, by us.
    pub(super) flipped: Cell<BootTime>,
}

/// Why a map cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It is not there, or may not be touched.
    #[error("cannot open the map {path}: {source}; run as root, or `nsid detach` and start the agent again")]
    Map {
        /// Its pin.
        path: PathBuf,
        /// The reason.
        source: MapError,
    },
    /// It cannot be mapped.
    #[error("cannot map {path} into memory: {source}; `nsid detach` and start the agent again")]
    Mapping {
        /// Its pin.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The pins cannot be looked through.
    #[error("cannot read the pins of this instance: {0}; run as root")]
    Pins(#[source] io::Error),
}

/// What a service says, as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The name.
    pub name: String,
    /// What NSID holds: the name, or what stands for it.
    pub nsid: Vec<u8>,
    /// Until when; in the past once it has lapsed.
    pub until: Deadline,
}

impl Maps {
    /// All maps that are pinned.
    pub(super) const NAMES: [&str; 14] = [
        "CONTROL",
        "PORTS",
        "SERVED",
        "SERVICES",
        "RECORDS",
        "IMAGES",
        "INTERFACES",
        "POLICIES",
        "CLIENTS",
        "RATES",
        "PENDING",
        "VERDICTS",
        "NEXT",
        "COUNTERS",
    ];

    /// Those of an instance, whatever runs of it; `None` if it has none. While it is upgraded it has several: those
    /// that its programs use.
    pub fn of(pins: &Pins) -> Result<Option<Self>, OpenError> {
        pins.maps_in_use().map_err(OpenError::Pins)?.map(|directory| Self::open(&directory)).transpose()
    }

    /// Has an instance's names said, or none, in all maps that it has, also while it is upgraded; whether it has any.
    pub fn set_enabled_in_all(pins: &Pins, enabled: bool) -> Result<bool, OpenError> {
        let directories = pins.all_maps().map_err(OpenError::Pins)?;
        let mut set = Ok(!directories.is_empty());
        for directory in directories {
            match Self::open(&directory) {
                Ok(maps) => maps.control().enabled.set(u64::from(enabled)),
                Err(error) => set = set.and(Err(error)),
            }
        }
        set
    }

    pub(super) fn open(directory: &Path) -> Result<Self, OpenError> {
        Ok(Self {
            control: shared(directory, "CONTROL", 1)?,
            ports: shared(directory, "PORTS", 65_536 / 64)?,
            served: shared(directory, "SERVED", 2 * PLACES as usize)?,
            services: shared(directory, "SERVICES", MAX_SERVICES as usize)?,
            records: shared(directory, "RECORDS", 2 * MAX_SERVICES as usize)?,
            images: shared(directory, "IMAGES", (2 * MAX_SERVICES * PER_RECORD) as usize)?,
            interfaces: shared(directory, "INTERFACES", INTERFACES as usize)?,
            policies: shared(directory, "POLICIES", 2)?,
            clients: shared(directory, "CLIENTS", 2 * INTERVALS as usize)?,
            counters: typed(directory, "COUNTERS", Map::PerCpuArray)?,
            flipped: Cell::new(BootTime::now()),
        })
    }

    /// Makes new maps fit for use, and leaves used ones as they are. The first key comes last: by it one is told from
    /// the other, also if we die in between.
    pub(super) fn make_fit(&self, enabled: bool) {
        let control = self.control();
        if control.pending_key[0].get() == 0 {
            control.enabled.set(u64::from(enabled));
            for key in control.pending_key.iter().rev() {
                key.set(random() | 1);
            }
        }
    }

    pub(super) fn begin(&self, observe: bool, note_ticks: u64) {
        let control = self.control();
        control.observe.set(u64::from(observe));
        control.pending_ticks.set(note_ticks);
    }

    pub(super) fn control(&self) -> &Control {
        &self.control[0]
    }

    /// Whether names are said at all.
    pub fn enabled(&self) -> bool {
        self.control().enabled.get() != 0
    }

    /// What a service says; `None` if it never said anything, or was told not to.
    pub fn said(&self, service: u32) -> Option<Said> {
        let index = service * 2 + self.services.get(service as usize)?.selected();
        let until = match self.records.get(index as usize)?.deadline.get() {
            0 => return None,
            u64::MAX => Deadline::Never,
            nanos => Deadline::At(BootTime::from_nanos(nanos)),
        };
        let name = String::from_utf8_lossy(&self.data(index, Variant::Name)?).into_owned();
        Some(Said { name, nsid: self.data(index, Variant::Option)?, until })
    }

    /// The data of an option among the images of a record.
    fn data(&self, record: u32, variant: Variant) -> Option<Vec<u8>> {
        let (bytes, len) = self.images.get(image::index(record, variant) as usize)?.bytes();
        bytes.get(nsid_common::dns::OPTION_FIXED..len).map(<[u8]>::to_vec)
    }

    /// Silences a service; whether it said anything.
    pub fn silence(&self, service: u32) -> bool {
        let said = self.said(service).is_some();
        for which in [0, 1] {
            self.records[(2 * service + which) as usize].deadline.set(0);
        }
        said
    }

    /// Has what is said of a service be over by then.
    pub fn say_no_longer_than(&self, service: u32, until: BootTime) {
        for which in [0, 1] {
            let deadline = &self.records[(2 * service + which) as usize].deadline;
            deadline.set(deadline.get().min(until.as_nanos()));
        }
    }

    /// How often each outcome was counted, by all CPUs.
    pub fn outcomes(&self) -> Result<Vec<(Outcome, u64)>, MapError> {
        let count = |outcome: &Outcome| {
            let by_cpu = self.counters.get(&(*outcome as u32), 0)?;
            Ok((*outcome, by_cpu.iter().sum()))
        };
        Outcome::ALL.iter().map(count).collect()
    }
}

impl fmt::Debug for Maps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Maps").field("control", self.control()).finish_non_exhaustive()
    }
}

/// A number that nobody guesses.
pub(super) fn random() -> u64 {
    getrandom::u64().expect("getrandom(2) does not fail on a kernel with BPF")
}

fn shared<T: Words>(directory: &Path, name: &str, values: usize) -> Result<Shared<T>, OpenError> {
    let path = directory.join(name);
    let map = MapData::from_pin(&path).map_err(|source| OpenError::Map { path: path.clone(), source })?;
    Shared::of(map.fd(), values).map_err(|source| OpenError::Mapping { path, source })
}

fn typed<M: TryFrom<Map, Error = MapError>>(
    directory: &Path,
    name: &str,
    kind: fn(MapData) -> Map,
) -> Result<M, OpenError> {
    let path = directory.join(name);
    let open = || M::try_from(kind(MapData::from_pin(&path)?));
    open().map_err(|source| OpenError::Map { path: path.clone(), source })
}
