//! The maps, and how the decisions read them.

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, xdp_md},
    helpers::{bpf_ktime_get_boot_ns, generated::bpf_jiffies64},
    macros::map,
    maps::{Array, PerCpuArray, ProgramArray},
    programs::XdpContext,
};
use nsid_common::{
    clients::{self, INTERVALS, Interval},
    image::{Image, PER_RECORD},
    maps::{
        Address, Control, INTERFACES as INTERFACE_PLACES, Interface, MAX_SERVICES, Maps, Record, Served,
        Service, Verdict,
    },
    memory::Word,
    outcome::Outcome,
    pending::{SETS, Set},
    policy::Policy,
    rate::{self, CELLS},
    served::PLACES,
};

use crate::frame::{Context, Frame, NoContext};

#[map]
static CONTROL: Array<Control> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static PORTS: Array<Word> = Array::with_max_entries(65_536 / 64, BPF_F_MMAPABLE);
#[map]
static SERVED: Array<Served> = Array::with_max_entries(2 * PLACES, BPF_F_MMAPABLE);
#[map]
static SERVICES: Array<Service> = Array::with_max_entries(MAX_SERVICES, BPF_F_MMAPABLE);
#[map]
static RECORDS: Array<Record> = Array::with_max_entries(2 * MAX_SERVICES, BPF_F_MMAPABLE);
/// A map of its own and not a field of `Record`: an index into a field is bounded in one register and used in another.
#[map]
static IMAGES: Array<Image> = Array::with_max_entries(2 * MAX_SERVICES * PER_RECORD, BPF_F_MMAPABLE);
#[map]
static INTERFACES: Array<Interface> = Array::with_max_entries(INTERFACE_PLACES, BPF_F_MMAPABLE);
#[map]
static POLICIES: Array<Policy> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
static CLIENTS: Array<Interval> = Array::with_max_entries(2 * INTERVALS, BPF_F_MMAPABLE);
#[map]
static RATES: Array<Word> = Array::with_max_entries(CELLS, 0);
#[map]
static PENDING: Array<Set> = Array::with_max_entries(SETS, 0);
#[map]
static VERDICTS: PerCpuArray<Verdict> = PerCpuArray::with_max_entries(MAX_SERVICES, 0);
/// The program that goes on where one sees queries and another one responses: together they would be too much to verify.
#[map]
static NEXT: ProgramArray = ProgramArray::with_max_entries(1, 0);
#[map]
static COUNTERS: PerCpuArray<Word> = PerCpuArray::with_max_entries(Outcome::ALL.len() as u32, 0);

impl<C: Context> Maps for Frame<C> {
    #[inline(always)]
    fn control(&self) -> Option<&Control> {
        CONTROL.get(0)
    }

    #[inline(always)]
    fn ports(&self, index: u32) -> Option<&Word> {
        PORTS.get(index)
    }

    #[inline(always)]
    fn served(&self, index: u32) -> Option<&Served> {
        SERVED.get(index)
    }

    #[inline(always)]
    fn service(&self, index: u32) -> Option<&Service> {
        SERVICES.get(index)
    }

    #[inline(always)]
    fn record(&self, index: u32) -> Option<&Record> {
        RECORDS.get(index)
    }

    #[inline(always)]
    fn image(&self, index: u32) -> Option<&Image> {
        image(index)
    }

    #[inline(always)]
    fn verdict(&self, service: u32) -> Option<&Verdict> {
        VERDICTS.get(service)
    }

    #[inline(always)]
    fn pending(&self, index: u32) -> Option<&Set> {
        PENDING.get(index)
    }

    #[inline(always)]
    fn policy(&self, index: u32) -> Option<&Policy> {
        POLICIES.get(index)
    }

    #[inline(always)]
    fn interval(&self, index: u32) -> Option<&Interval> {
        CLIENTS.get(index)
    }

    #[inline(always)]
    fn rate(&self, index: u32) -> Option<&Word> {
        RATES.get(index)
    }

    #[inline(always)]
    fn interface(&self, index: u32) -> Option<&Interface> {
        INTERFACES.get(index)
    }

    #[inline(always)]
    fn interface_index(&self) -> u32 {
        self.context.interface_index()
    }

    #[inline(always)]
    fn jiffies(&self) -> u64 {
        // SAFETY: the helper has no arguments.
        unsafe { bpf_jiffies64() }
    }

    #[inline(always)]
    fn boot_time(&self) -> u64 {
        // SAFETY: the helper has no arguments.
        unsafe { bpf_ktime_get_boot_ns() }
    }
}

/// An image; see [`nsid_common::image::index`].
#[inline(always)]
pub(crate) fn image(index: u32) -> Option<&'static Image> {
    IMAGES.get(index)
}

/// What the clients' table says of an address. A context that it does not use would not be passed, and refused.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn client(high: u64, low: u64) -> u64 {
    clients::look_up(&Frame::new(NoContext), Address { high, low })
}

/// Spends one more answer to a client, or tells that its network has had them.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn spend(high: u64, low: u64) -> u64 {
    rate::spend(&Frame::new(NoContext), Address { high, low })
}

/// Has the next program go on with the frame. Returns only if there is none.
#[inline(always)]
pub(crate) fn go_on(context: *mut xdp_md) {
    // SAFETY: the kernel gave the context, of the type that the next program takes.
    unsafe { NEXT.tail_call(&XdpContext::new(context), 0) };
}

/// Adds one to this CPU's counter of an outcome.
#[inline(always)]
pub fn count(outcome: Outcome) {
    if let Some(counter) = COUNTERS.get(outcome as u32) {
        counter.set(counter.get() + 1);
    }
}
