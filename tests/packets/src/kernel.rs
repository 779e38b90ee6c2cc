//! The programs in the kernel, on maps that are filled from a model, run on one frame at a time.

use std::{
    collections::{BTreeSet, HashMap},
    mem::replace,
};

use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Array, MapData, PerCpuArray, PerCpuValues, ProgramArray},
    programs::{
        LinkOrder, Program, TcAttachType, TestRun as _, TestRunOptions, Xdp, tc::TcAttachOptions,
        xdp::XdpMode,
    },
    util::nr_cpus,
};
use nsid_common::{
    clients::Interval,
    image::Image,
    maps::{Control, Interface, Record, Served, Service},
    memory::Word,
    model::{Model, Segments},
    outcome::Outcome,
    pending::{Set, TICK_SHIFT},
    policy::Policy,
};
use nsid_user::datapath::{OBJECT, Prog};
use rustix::time::{ClockId, clock_gettime};

use super::{
    message::{ID, asking},
    row::{Place, note, query4, stage},
};

/// What became of a frame in the kernel.
#[derive(Debug)]
pub struct Run {
    /// The one that was counted.
    pub outcome: Option<Outcome>,
    /// What the program said.
    pub action: Action,
    /// As it left.
    pub frame: Vec<u8>,
}

/// What a program told the kernel to do with the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `XDP_PASS`, `TC_ACT_UNSPEC`.
    Passed,
    /// `XDP_TX`, `TC_ACT_REDIRECT`.
    SentBack,
    /// Anything else is never right.
    Other(u32),
}

const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
const TC_ACT_UNSPEC: u32 = u32::MAX;
const TC_ACT_REDIRECT: u32 = 7;

/// Ethernet and IPv6 headers.
const SHORTEST_AT_TC: usize = 14 + 40;

/// Bytes of `struct __sk_buff`, and the offset of `gso_size` in it (include/uapi/linux/bpf.h).
const SK_BUFF: usize = 192;
const GSO_SIZE: usize = 176;

/// The programs and their maps. Nothing is pinned, and nothing attached but by [`Kernel::attach`].
pub struct Kernel {
    ebpf: Ebpf,
    /// The counters as they were last read.
    counted: Vec<u64>,
    /// What was last written to the maps that the programs only read, and, until they have a limit, to `RATES`.
    written: HashMap<&'static str, Vec<u8>>,
    /// Whether they have had a limit since.
    limited: bool,
    /// The sets of the pending table that may not be empty.
    used: BTreeSet<u32>,
}

/// A value of a map, as aya takes it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Value<const WORDS: usize>([u64; WORDS]);

// SAFETY: an array of integers: any bytes are valid, and there is no padding.
unsafe impl<const WORDS: usize> Pod for Value<WORDS> {}

/// The values of maps that are nothing but words.
///
/// # Safety
/// `repr(C)` of [`Word`]s only.
unsafe trait Words: Sized {
    fn words<const WORDS: usize>(&self) -> Value<WORDS> {
        assert_eq!(size_of::<Self>(), size_of::<Value<WORDS>>());
        // SAFETY: as many words are there, borrowed with `self`; `Word` is an atomic, which is shared.
        let words: &[Word] = unsafe { std::slice::from_raw_parts((&raw const *self).cast(), WORDS) };
        Value(std::array::from_fn(|at| words[at].get()))
    }
}

// SAFETY: `repr(transparent)`.
unsafe impl Words for Word {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for Control {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for Served {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for Service {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for Record {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for Interface {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for Image {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for Set {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for Policy {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for Interval {}

pub(crate) const fn at_tc(prog: Prog) -> bool {
    matches!(prog, Prog::Queries | Prog::Responses)
}

/// Values as they lie in memory. A comparison of all of them takes no time then, also in a build without optimization,
/// on a machine that is emulated.
fn bytes<T: Words>(values: &[T]) -> &[u8] {
    // SAFETY: words, and so no padding, borrowed with `values`; this process's only user of the model is this thread,
    // and writes nothing to it while it reads here.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// The sets with notes. Nearly all are empty, and are looked at many at a time.
fn noted(sets: &[Set]) -> Vec<u32> {
    const AT_A_TIME: usize = 256;
    let empty = vec![0; AT_A_TIME * size_of::<Set>()];
    let some = (0..).step_by(AT_A_TIME).zip(sets.chunks(AT_A_TIME));
    let some = some.filter(|(_, sets)| bytes(sets) != &empty[..size_of_val(*sets)]);
    some.flat_map(|(first, sets)| (first..).zip(sets))
        .filter(|(_, set)| set.0.iter().any(|note| note.get() != 0))
        .map(|(index, _)| index)
        .collect()
}

impl Kernel {
    /// Loads the object, as root.
    pub fn load() -> Self {
        // As on hosts, where nothing is logged.
        let mut loader = EbpfLoader::new();
        loader.override_global("AYA_LOG_LEVEL", &0_u8, true);
        let mut ebpf = loader.load(OBJECT).expect("the object can be loaded, as root");
        for prog in Prog::ALL {
            let program = ebpf.program_mut(prog.name()).expect("is there");
            let verdict = match program {
                Program::Xdp(xdp) => xdp.load(),
                Program::SchedClassifier(tc) => tc.load(),
                other => panic!("{other:?}"),
            };
            verdict.unwrap_or_else(|error| panic!("{}: {error:?}", prog.name()));
        }
        let edit: &Xdp = ebpf.program(Prog::XdpEdit.name()).expect("is there").try_into().expect("is XDP");
        let edit = edit.fd().expect("it is loaded").try_clone().expect("a file descriptor");
        let next = ProgramArray::try_from(ebpf.map_mut("NEXT").expect("is there"));
        next.expect("of that kind").set(0, &edit, 0).expect("it can be chained");
        let counted = vec![0; Outcome::ALL.len()];
        Self { ebpf, counted, written: HashMap::new(), limited: false, used: BTreeSet::new() }
    }

    /// Attaches a program to an interface of the calling thread's namespace, for as long as this is kept.
    pub fn attach(&mut self, prog: Prog, place: Place, interface: &str) {
        let tcx = TcAttachOptions::TcxOrder(LinkOrder::first());
        let attached = match (self.ebpf.program_mut(prog.name()).expect("is there"), place) {
            (Program::Xdp(xdp), Place::Native) => xdp.attach(interface, XdpMode::Driver).map(drop),
            (Program::Xdp(xdp), Place::Generic) => xdp.attach(interface, XdpMode::Skb).map(drop),
            (Program::SchedClassifier(tc), Place::Ingress) => {
                tc.attach_with_options(interface, TcAttachType::Ingress, tcx).map(drop)
            }
            (Program::SchedClassifier(tc), Place::Egress) => {
                tc.attach_with_options(interface, TcAttachType::Egress, tcx).map(drop)
            }
            (other, place) => panic!("{other:?} cannot be at {place:?}"),
        };
        attached.unwrap_or_else(|error| panic!("{prog:?} at {place:?} of {interface}: {error:?}"));
    }

    /// The clocks of a model that is to agree with the kernel: jiffies, to a tick of the pending table, and
    /// `CLOCK_BOOTTIME`.
    pub(crate) fn now(&mut self) -> (u64, u64) {
        let model = stage();
        self.fill_but_notes(&model);
        note(&model, ID.to_be_bytes(), 512);
        let set = model.sets_used()[0];
        let asking = query4(&asking()).frame();
        assert_eq!(
            self.run(Prog::Xdp, &asking, &model).and_then(|run| run.outcome),
            Some(Outcome::QueryNoted)
        );
        self.used.insert(set);
        let found = self.notes(set).into_iter().find(|note| *note != 0).expect("a note");
        let tick = found >> 16 & 0xffff;
        let now = clock_gettime(ClockId::Boottime);
        let nanos = now.tv_sec * 1_000_000_000 + now.tv_nsec;
        // Any number of jiffies with this tick.
        ((1 << 32) + (tick << TICK_SHIFT), nanos.try_into().expect("after boot"))
    }

    /// Makes the kernel's maps those of the model.
    pub(crate) fn fill(&mut self, model: &Model) {
        self.fill_but_notes(model);
        let mut sets: BTreeSet<u32> = noted(&model.pending).into_iter().collect();
        sets.append(&mut self.used);
        self.copy_notes(model, &sets.into_iter().collect::<Vec<_>>());
    }

    /// As [`fill`](Self::fill), but for the notes.
    pub(crate) fn fill_but_notes(&mut self, model: &Model) {
        self.put::<_, 7>("CONTROL", std::slice::from_ref(&model.control));
        self.put::<_, 1>("PORTS", &model.ports);
        self.put::<_, 3>("SERVED", &model.served);
        self.put::<_, 1>("SERVICES", &model.services);
        self.put::<_, 2>("RECORDS", &model.records);
        self.put::<_, { size_of::<Image>() / 8 }>("IMAGES", &model.images);
        self.put::<_, 3>("INTERFACES", &model.interfaces);
        self.put::<_, 5>("POLICIES", &model.policies);
        self.put::<_, 3>("CLIENTS", &model.intervals);
        if replace(&mut self.limited, model.policy().answer_interval.get() != 0) {
            self.read_rates();
        }
        self.put::<_, 1>("RATES", &model.rates);
        let mut verdicts: PerCpuArray<&mut MapData, Value<3>> = self.map("VERDICTS");
        for service in 0..u32::try_from(model.verdicts.len()).expect("few services") {
            let none = vec![Value([0; 3]); nr_cpus().expect("the kernel tells")];
            let none = PerCpuValues::try_from(none).expect("one a CPU");
            verdicts.set(service, none, 0).expect("a service");
        }
    }

    /// Copies these sets of notes from the model.
    pub(crate) fn copy_notes(&mut self, model: &Model, sets: &[u32]) {
        self.used.extend(sets);
        let mut pending: Array<&mut MapData, Value<4>> = self.map("PENDING");
        for set in sets {
            pending.set(*set, model.pending[*set as usize].words::<4>(), 0).expect("a set");
        }
    }

    /// Runs a program once on a frame. `None`: test runs do not take such frames at tc, where IP headers have to be
    /// whole (`net/bpf/test_run.c`).
    pub fn run(&mut self, prog: Prog, frame: &[u8], model: &Model) -> Option<Run> {
        let mut left = vec![0; 4096];
        let mut context = [0; SK_BUFF];
        if model.segments == Segments::Several {
            context[GSO_SIZE..GSO_SIZE + 4].copy_from_slice(&1000_u32.to_ne_bytes());
        }
        let mut options = TestRunOptions::default();
        (options.data_in, options.data_out) = (Some(frame), Some(left.as_mut_slice()));
        let (result, [passed, sent_back]) = match self.ebpf.program(prog.name()).expect("is there") {
            Program::Xdp(program) => (program.test_run(options), [XDP_PASS, XDP_TX]),
            Program::SchedClassifier(program) => {
                options.ctx_in = Some(&context);
                (program.test_run(options), [TC_ACT_UNSPEC, TC_ACT_REDIRECT])
            }
            other => panic!("{other:?}"),
        };
        let result = match result {
            Ok(result) => result,
            Err(_) if at_tc(prog) && frame.len() < SHORTEST_AT_TC => return None,
            Err(error) => panic!("{error:?} {frame:02x?}"),
        };
        let action = match result.return_value {
            value if value == passed => Action::Passed,
            value if value == sent_back => Action::SentBack,
            other => Action::Other(other),
        };
        left.truncate(usize::try_from(result.data_size_out).expect("a size"));
        Some(Run { outcome: self.newly_counted(), action, frame: left })
    }

    /// The one outcome that has been counted since this was last asked; `None` if it is not exactly one.
    pub(crate) fn newly_counted(&mut self) -> Option<Outcome> {
        let counters: PerCpuArray<&mut MapData, u64> =
            PerCpuArray::try_from(self.ebpf.map_mut("COUNTERS").expect("a map")).expect("of that kind");
        let mut newly = vec![];
        for (outcome, before) in Outcome::ALL.iter().zip(&mut self.counted) {
            let now: u64 = counters.get(&(*outcome as u32), 0).expect("a counter").iter().sum();
            newly.extend((*before..now).map(|_| *outcome));
            *before = now;
        }
        match newly[..] {
            [one] => Some(one),
            _ => None,
        }
    }

    /// Whether these sets hold the same notes in both, but for when they were made.
    pub(crate) fn same_notes(&mut self, model: &Model, sets: &[u32]) -> Result<(), String> {
        const WHEN: u64 = 0xffff_0000;
        self.used.extend(sets);
        for set in sets {
            let in_model = model.pending[*set as usize].0.each_ref().map(|note| note.get() & !WHEN);
            let in_kernel = self.notes(*set).map(|note| note & !WHEN);
            if in_model != in_kernel {
                return Err(format!("notes of set {set}: model {in_model:x?}, kernel {in_kernel:x?}"));
            }
        }
        Ok(())
    }

    /// A program, of its kind.
    pub(crate) fn program<'a, P>(&'a self, prog: Prog) -> &'a P
    where
        &'a P: TryFrom<&'a Program, Error: std::fmt::Debug>,
    {
        self.ebpf.program(prog.name()).expect("is there").try_into().expect("of that kind")
    }

    /// The sets that may not be empty.
    pub(crate) fn used(&self) -> Vec<u32> {
        self.used.iter().copied().collect()
    }

    fn notes(&mut self, set: u32) -> [u64; 4] {
        let pending: Array<&mut MapData, Value<4>> = self.map("PENDING");
        pending.get(&set, 0).expect("a set").0
    }

    /// What the programs made of them.
    fn read_rates(&mut self) {
        let rates: Array<&mut MapData, Value<1>> = self.map("RATES");
        let now = rates.iter().flat_map(|cell| cell.expect("a cell").0[0].to_ne_bytes()).collect();
        self.written.insert("RATES", now);
    }

    /// Writes what differs from what was written before.
    fn put<T: Words, const WORDS: usize>(&mut self, name: &'static str, values: &[T]) {
        let now = bytes(values);
        let mut written = self.written.remove(name).unwrap_or_else(|| vec![0; now.len()]);
        if written != now {
            let mut map: Array<&mut MapData, Value<WORDS>> = self.map(name);
            for ((index, value), before) in (0..).zip(values).zip(written.chunks(size_of::<T>())) {
                if bytes(std::slice::from_ref(value)) != before {
                    map.set(index, value.words(), 0)
                        .unwrap_or_else(|error| panic!("{name}[{index}]: {error}"));
                }
            }
            written.copy_from_slice(now);
        }
        self.written.insert(name, written);
    }

    fn map<'a, M>(&'a mut self, name: &str) -> M
    where
        M: TryFrom<&'a mut aya::maps::Map, Error: std::fmt::Debug>,
    {
        let map = self.ebpf.map_mut(name).unwrap_or_else(|| panic!("no map {name}"));
        map.try_into().unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }
}
