//! Programs that `cargo xtask bench flood` floods a DNS server with, and counts its answers by: both at the client's end
//! of a veth pair, and neither with a socket.
//!
//! [`flood`] is run by `BPF_PROG_TEST_RUN` with `BPF_F_TEST_XDP_LIVE_FRAMES`: the kernel gives it frame after frame, and
//! what it returns `XDP_TX` for leaves by the interface. Memory of a frame comes back as somebody else left it, so that
//! it writes all of the query. [`count`] is attached to the same interface, and drops what it has counted.
#![no_std]
#![no_main]
#![expect(clippy::inline_always, reason = "what is not inlined is a subprogram, by design or not at all")]
#![expect(clippy::cast_possible_truncation, reason = "words are cut into fields")]

use aya_ebpf::{
    bindings::{
        xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX},
        xdp_md,
    },
    helpers::bpf_ktime_get_ns,
    macros::map,
    maps::Array,
};
use nsid_common::{
    checksum::Sum,
    ip::{ETH_LEN, Headers, Ip, V4},
    memory::{Bytes, Word},
};
use nsid_ebpf::frame::Frame;

/// What to ask, and how fast. Written by the bench before it starts.
#[repr(C)]
struct Plan {
    /// Nanoseconds from one query to the next; 0 for as many as there can be.
    interval: Word,
    /// Queries that may be on their way.
    window: Word,
    /// The sum of the query's UDP datagram and pseudo-header, folded, with 0 for ID, source port and checksum.
    sum: Word,
    /// Bytes of the DNS message that answers it.
    answer_length: Word,
    /// The frame with 0 for ID, source port and checksum of UDP: its words, and in [`LAST`] its last eight bytes.
    query: [Word; LAST + 1],
    /// The DNS message that answers it behind its ID, likewise.
    answer: [Word; ANSWER_LAST + 1],
}

const LAST: usize = 16;
const ANSWER_LAST: usize = 24;

/// What has happened. Each word has one writer.
#[repr(C)]
struct Tally {
    /// Queries that left.
    asked: Word,
    /// When the next one may leave.
    next: Word,
    /// When the first one left.
    first: Word,
    /// When the last one left of which that was looked up.
    last: Word,
    /// What `right` was then.
    right_at_last: Word,
    /// So that what two CPUs write is not in one line of the cache.
    _apart: [Word; 11],
    /// Answers that are, behind their ID, the one that is expected.
    right: Word,
    /// Others.
    wrong: Word,
}

#[map]
static PLAN: Array<Plan> = Array::with_max_entries(1, 0);
#[map]
static TALLY: Array<Tally> = Array::with_max_entries(1, 0);

/// Bytes of the frame: a query for `id.server.` with OPT and NSID.
const QUERY: usize = 84;

/// The time is looked up for one query of so many, where there is no pace to keep.
const CLOCK_EVERY: u64 = 64;

/// Source ports from here on, as many as [`PORTS`]; below those that the client's sockets get.
const FIRST_PORT: u16 = 0x4000;
const PORTS: u16 = 0x4000;

/// The port that a query with that ID comes from.
#[inline(always)]
const fn port(id: u16) -> u16 {
    FIRST_PORT | (id.wrapping_mul(40_503) >> 2 & (PORTS - 1))
}

/// One frame more: a query, if it is time for one.
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
extern "C" fn flood(context: *mut xdp_md) -> u32 {
    ask(Frame::new(context)).unwrap_or(XDP_ABORTED)
}

#[inline(always)]
fn ask(mut frame: Frame<*mut xdp_md>) -> Option<u32> {
    let (plan, tally) = (PLAN.get(0)?, TALLY.get(0)?);
    let asked = tally.asked.get();
    if asked.wrapping_sub(tally.right.get()) >= plan.window.get() {
        return Some(XDP_DROP);
    }
    let interval = plan.interval.get();
    if interval != 0 || asked % CLOCK_EVERY == 0 {
        // SAFETY: the helper has no arguments.
        let now = unsafe { bpf_ktime_get_ns() };
        let next = tally.next.get();
        if now < next {
            return Some(XDP_DROP);
        }
        if asked == 0 {
            tally.first.set(now);
            tally.next.set(now + interval);
        } else {
            tally.next.set(next + interval);
        }
        tally.last.set(now);
        tally.right_at_last.set(tally.right.get());
    }
    write(&mut frame, plan)?;
    let id = asked as u16;
    let headers: &mut Headers<<V4 as Ip>::Hdr> = frame.view_mut(0)?;
    headers.dns.id = id.to_be_bytes();
    headers.udp.src = port(id).to_be_bytes();
    let sum = Sum::of_folded(plan.sum.get() as u16).word(headers.dns.id).word(headers.udp.src);
    headers.udp.check = sum.udp_checksum();
    tally.asked.set(asked + 1);
    Some(XDP_TX)
}

#[inline(always)]
fn write<B: Bytes>(frame: &mut B, plan: &Plan) -> Option<()> {
    let bytes: &mut [u8; QUERY] = frame.view_mut(0)?;
    for (eight, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(&plan.query) {
        *eight = word.get().to_le_bytes();
    }
    *bytes.last_chunk_mut::<8>()? = plan.query[LAST].get().to_le_bytes();
    Some(())
}

/// What comes back.
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
extern "C" fn count(context: *mut xdp_md) -> u32 {
    let frame = Frame::new(context);
    match is_right(&frame) {
        None => XDP_PASS,
        Some(right) => {
            let Some(tally) = TALLY.get(0) else { return XDP_ABORTED };
            if right {
                tally.right.set(tally.right.get() + 1);
            } else {
                tally.wrong.set(tally.wrong.get() + 1);
            }
            XDP_DROP
        }
    }
}

/// Whether it is what a query of the flood should be answered with; `None` for what answers none.
#[inline(always)]
fn is_right(frame: &Frame<*mut xdp_md>) -> Option<bool> {
    const UDP: u8 = 17;
    const DNS: u16 = 53;
    const IPV4: [u8; 3] = [8, 0, 0x45];
    /// Behind the ID.
    const MESSAGE: usize = V4::DNS + 2;
    let plan = PLAN.get(0)?;
    if frame.load::<3>(ETH_LEN - 2)? != IPV4 || frame.load::<1>(ETH_LEN + 9)? != [UDP] {
        return None;
    }
    let headers: &Headers<<V4 as Ip>::Hdr> = frame.first()?;
    let (from, to) = (u16::from_be_bytes(headers.udp.src), u16::from_be_bytes(headers.udp.dst));
    if from != DNS || to & !(PORTS - 1) != FIRST_PORT {
        return None;
    }
    let length = plan.answer_length.get() as usize;
    let udp_length = usize::from(u16::from_be_bytes(headers.udp.len));
    let mut same = to == port(u16::from_be_bytes(headers.dns.id))
        && udp_length == size_of_val(&headers.udp) + length
        && frame.length() == V4::DNS + length;
    let behind_id = length.wrapping_sub(2);
    let mut word = 0;
    while word < ANSWER_LAST {
        if 8 * word + 8 > behind_id {
            break;
        }
        let eight = frame.load(MESSAGE + 8 * word).map(u64::from_le_bytes);
        same &= eight == Some(plan.answer[word].get());
        word += 1;
    }
    let last = frame.load(MESSAGE + behind_id.wrapping_sub(8)).map(u64::from_le_bytes);
    Some(same && last == Some(plan.answer[ANSWER_LAST].get()))
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
