//! Loads the programs, onto the maps of the instance's last run if there are any.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use aya::{
    Ebpf, EbpfError, EbpfLoader, VerifierLogLevel,
    maps::{MapError, ProgramArray},
    programs::{ProgramError, SchedClassifier, Xdp, tc::SchedClassifierLink},
    util::KernelVersion,
};
use nsid_common::pending::TICK_SHIFT;
use rustix::thread::{CapabilitySet, capabilities};
use thiserror::Error;

use super::{
    abi,
    maps::{Maps, OpenError},
    pins::{Pins, Place},
};
use crate::clock;

/// The programs, as built for the kernel.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/nsid-ebpf"));

/// How long a query is remembered: more than any client waits for its response.
const NOTE_VALID: Duration = Duration::from_secs(10);

/// The oldest kernel that the programs are verified on.
const OLDEST_KERNEL: KernelVersion = KernelVersion::new(6, 1, 0);

/// What is fixed for a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Count what would be done, and change nothing.
    pub observe: bool,
    /// Log what becomes of each packet.
    pub log_packets: bool,
}

/// The loaded programs and their maps.
#[derive(Debug)]
pub struct Datapath {
    pub(super) ebpf: Ebpf,
    pub(super) pins: Pins,
    /// Indices of those that are attached.
    pub(super) interfaces: BTreeSet<u32>,
    /// Filters by interface and place, where the kernel has no tcx: they cannot be pinned, and go with this object.
    pub(super) filters: BTreeMap<(u32, Place), SchedClassifierLink>,
    /// Pins of the links that this process made, and did not take over.
    pub(super) made: Vec<PathBuf>,
    /// Links of the last run go on with these programs.
    pub(super) taken_over: bool,
    /// The directory of the maps.
    pub(super) directory: PathBuf,
    /// The same, if this process made it.
    pub(super) new_maps: Option<PathBuf>,
    options: Options,
    /// The maps.
    pub maps: Rc<Maps>,
}

/// Why the programs are not loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Not allowed to.
    #[error("loading BPF programs takes the capability {missing}; run as root, or grant it to the service")]
    Capability {
        /// The first that is missing.
        missing: &'static str,
    },
    /// The kernel refused a program.
    #[error("kernel {kernel} refuses the program {program}{hint}; the verifier says: {verdict}")]
    Refused {
        /// Which one.
        program: &'static str,
        /// The running kernel.
        kernel: String,
        /// What to do about it.
        hint: &'static str,
        /// The end of its log.
        verdict: String,
    },
    /// The object is none.
    #[error("cannot read the BPF object: {0}")]
    Malformed(#[from] aya_obj::ParseError),
    /// The object could not be brought into the kernel.
    #[error("cannot load the BPF object: {0}")]
    Object(#[from] EbpfError),
    /// A map could not be opened.
    #[error(transparent)]
    Maps(#[from] OpenError),
    /// A program could not be made the next of another.
    #[error("cannot chain the XDP programs: {0}")]
    Next(#[source] MapError),
    /// The pins could not be made.
    #[error("cannot pin to {path}: {source}; is bpffs mounted there, and writable?")]
    Pin {
        /// Where.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl Datapath {
    /// Loads the programs, and changes nothing that the instance's last run left: [`begin`](Self::begin) does. The
    /// instance has to be locked by the caller.
    pub fn load(pins: Pins, options: Options) -> Result<Self, LoadError> {
        check_capabilities()?;
        let directory = pins.maps_of(abi::of(OBJECT)?);
        // Looked at before there are ours.
        let before = pins.maps_in_use().map_err(OpenError::Pins)?.filter(|before| *before != directory);
        let new_maps = (!directory.exists()).then(|| directory.clone());
        let loaded =
            load_onto_pinned(&directory, options).and_then(|ebpf| Ok((ebpf, Maps::open(&directory)?)));
        let (ebpf, maps) = loaded.inspect_err(|_| {
            if let Some(directory) = &new_maps {
                let _ = fs::remove_dir_all(directory);
            }
        })?;
        // Maps that cannot be read are of a version of other maps; what it was told is not known.
        let enabled =
            before.and_then(|before| Maps::open(&before).ok()).is_none_or(|before| before.enabled());
        maps.make_fit(enabled);
        Ok(Self {
            ebpf,
            pins,
            interfaces: BTreeSet::new(),
            filters: BTreeMap::new(),
            made: Vec::new(),
            taken_over: false,
            directory,
            new_maps,
            options,
            maps: Rc::new(maps),
        })
    }

    /// The maps of an instance that are as these programs have them; `None` if it has none.
    pub fn maps_before(pins: &Pins) -> Result<Option<Maps>, LoadError> {
        let directory = pins.maps_of(abi::of(OBJECT)?);
        Ok(if directory.exists() { Some(Maps::open(&directory)?) } else { None })
    }

    /// From now on, the maps are this run's.
    pub fn begin(&self) {
        self.maps.begin(self.options.observe, note_ticks());
    }

    /// Whether the kernel takes the programs: they are verified with maps of their own, and let go.
    pub fn check(options: Options) -> Result<(), LoadError> {
        check_capabilities()?;
        let mut ebpf = load(&[], options)?;
        Prog::ALL.into_iter().try_for_each(|prog| verify(&mut ebpf, prog))
    }

    /// The maps of other versions; those that cannot be opened are left out, with a warning.
    pub fn other_maps(&self) -> io::Result<Vec<Maps>> {
        let others = self.pins.all_maps()?.into_iter().filter(|path| *path != self.directory);
        let open = |path: PathBuf| {
            Maps::open(&path).inspect_err(|error| log::warn!("of another version of nsid: {error}")).ok()
        };
        Ok(others.filter_map(open).collect())
    }

    /// Removes the maps of other versions, which no link's programs use any more.
    pub fn remove_other_maps(&self) -> io::Result<()> {
        self.pins.remove_maps_but(&self.directory)
    }
}

fn load_onto_pinned(directory: &Path, options: Options) -> Result<Ebpf, LoadError> {
    let pin_error = |source| LoadError::Pin { path: directory.to_owned(), source };
    fs::create_dir_all(directory).map_err(pin_error)?;
    load(&Maps::NAMES.map(|name| (name, directory.join(name))), options)
}

/// Onto the maps that are pinned at those paths, where there are any.
fn load(pins: &[(&str, PathBuf)], options: Options) -> Result<Ebpf, LoadError> {
    let mut loader = EbpfLoader::new();
    let log_level: u8 = if options.log_packets { aya_log::Level::Debug as u8 } else { 0 };
    loader.override_global(aya_log::LEVEL, &log_level, true);
    loader.verifier_log_level(VerifierLogLevel::DEBUG | VerifierLogLevel::STATS);
    for (name, path) in pins {
        loader.map_pin_path(name, path.as_path());
    }
    let ebpf = loader.load(OBJECT)?;
    drop(loader);
    return_memory();
    Ok(ebpf)
}

/// Gives back to the kernel what loading took and is free now. aya reads the types of the whole kernel (20 MB), and glibc
/// keeps the pages that lie below anything that is still in use.
fn return_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes the allocator's own locks, and touches free memory alone (`malloc_trim(3)`).
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A program of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prog {
    /// Queries, at XDP.
    Xdp,
    /// Queries and responses, at XDP.
    XdpBoth,
    /// Responses, at XDP: the other half of that.
    XdpEdit,
    /// Queries, at tc.
    Queries,
    /// Responses, at tc.
    Responses,
}

impl Prog {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Xdp, Self::XdpBoth, Self::XdpEdit, Self::Queries, Self::Responses];

    /// Its name in the object, and in the kernel.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xdp => "nsid_xdp",
            Self::XdpBoth => "nsid_xdp_both",
            Self::XdpEdit => "nsid_xdp_edit",
            Self::Queries => "nsid_queries",
            Self::Responses => "nsid_responses",
        }
    }
}

fn verify(ebpf: &mut Ebpf, prog: Prog) -> Result<(), LoadError> {
    let loaded = match prog {
        Prog::Xdp | Prog::XdpBoth | Prog::XdpEdit => program::<Xdp>(ebpf, prog).load(),
        Prog::Queries | Prog::Responses => program::<SchedClassifier>(ebpf, prog).load(),
    };
    return_memory();
    match loaded {
        Ok(()) | Err(ProgramError::AlreadyLoaded) => Ok(()),
        Err(error) => Err(refused(prog.name(), error)),
    }
}

impl Datapath {
    /// Has the kernel verify a program, if it has not yet: most interfaces need two of them.
    pub fn prepare(&mut self, prog: Prog) -> Result<(), LoadError> {
        verify(&mut self.ebpf, prog)?;
        if prog == Prog::XdpBoth { self.chain() } else { Ok(()) }
    }

    /// Has [`Prog::XdpBoth`] go on to its other half.
    fn chain(&mut self) -> Result<(), LoadError> {
        self.prepare(Prog::XdpEdit)?;
        let edit = self.xdp(Prog::XdpEdit).fd().and_then(|edit| Ok(edit.try_clone()?));
        let edit = edit.map_err(|error| refused(Prog::XdpEdit.name(), error))?;
        let next = self.ebpf.map_mut("NEXT").unwrap_or_else(|| panic!("the object has no map NEXT"));
        ProgramArray::try_from(next).and_then(|mut next| next.set(0, &edit, 0)).map_err(LoadError::Next)
    }

    pub(super) fn xdp(&mut self, prog: Prog) -> &mut Xdp {
        program(&mut self.ebpf, prog)
    }

    pub(super) fn tc(&mut self, prog: Prog) -> &mut SchedClassifier {
        program(&mut self.ebpf, prog)
    }
}

fn program<P>(ebpf: &mut Ebpf, prog: Prog) -> &mut P
where
    for<'e> &'e mut P: TryFrom<&'e mut aya::programs::Program>,
{
    let name = prog.name();
    let program = ebpf.program_mut(name).unwrap_or_else(|| panic!("the object has no program {name}"));
    program.try_into().unwrap_or_else(|_| panic!("{name} is a program of another kind"))
}

/// [`NOTE_VALID`] in ticks of the pending table.
fn note_ticks() -> u64 {
    let jiffies = NOTE_VALID.as_nanos() / clock::jiffy().as_nanos().max(1);
    u64::try_from(jiffies >> TICK_SHIFT).unwrap_or(u64::MAX)
}

fn check_capabilities() -> Result<(), LoadError> {
    // A kernel that does not tell will say no by itself.
    let Ok(sets) = capabilities(None) else { return Ok(()) };
    if sets.effective.contains(CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN) {
        return Ok(());
    }
    // PERFMON: the programs add unknown numbers to pointers (kernel/bpf/verifier.c, `allow_ptr_leaks`).
    for (capability, missing) in [
        (CapabilitySet::BPF, "CAP_BPF"),
        (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
        (CapabilitySet::PERFMON, "CAP_PERFMON"),
    ] {
        if !sets.effective.contains(capability) {
            return Err(LoadError::Capability { missing });
        }
    }
    Ok(())
}

fn refused(program: &'static str, error: ProgramError) -> LoadError {
    let kernel = KernelVersion::current();
    let hint = match &kernel {
        Ok(kernel) if *kernel < OLDEST_KERNEL => ": nsid needs Linux 6.1 or later",
        _ => "",
    };
    let verdict = match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let last = log.lines().rev().filter(|line| !line.is_empty()).take(4).collect::<Vec<_>>();
            format!("{io_error}: {}", last.into_iter().rev().collect::<Vec<_>>().join(" | "))
        }
        other => other.to_string(),
    };
    let kernel = kernel.map_or_else(|_| "(unknown)".to_owned(), |kernel| format!("{kernel:?}"));
    LoadError::Refused { program, kernel, hint, verdict }
}
