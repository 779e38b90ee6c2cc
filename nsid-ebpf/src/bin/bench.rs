//! Programs that `cargo xtask bench` measures beside the shipped ones.
//!
//! `BPF_PROG_TEST_RUN` does not give a program the frame anew each time that it repeats it. So a program that changes
//! its frame is measured together with an undo, which makes the frame what it was before; and the undo alone.
#![no_std]
#![no_main]
#![expect(clippy::inline_always, reason = "what is not inlined is a subprogram, by design or not at all")]

use aya_ebpf::{
    bindings::{
        __sk_buff,
        xdp_action::{XDP_ABORTED, XDP_PASS, XDP_TX},
        xdp_md,
    },
    macros::map,
    maps::Array,
};
use nsid_common::{
    clients::ANSWERED,
    hook::{Answer as _, Edit as _, Hook as _},
    ip::{Headers, Ip, Requestor, V4},
    maps::Maps as _,
    memory::{Bytes, Word},
    outcome::Outcome,
    pending::{self, Exchange},
};
use nsid_ebpf::{frame::Frame, tc, xdp};

/// The frame as it was: its words from the first byte on, and in [`LAST`] its last eight bytes.
#[map]
static FRAME: Array<[Word; LAST + 1]> = Array::with_max_entries(1, 0);

const LAST: usize = 16;

/// `TC_ACT_UNSPEC`, what the shipped program returns.
const UNSPEC: i32 = -1;
/// What an undo at tc returns that failed.
const FAILED: i32 = 1;

/// Bytes of a query for `id.server.` and of a response, by what they hold; the bench makes frames of these lengths.
const QUERY4: usize = 69;
const QUERY4_NSID: usize = QUERY4 + 15;
const QUERY6_NSID: usize = QUERY4_NSID + 20;
const RESPONSE4: usize = 103;

#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
extern "C" fn bare_xdp(_: *mut xdp_md) -> u32 {
    XDP_PASS
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "classifier")]
extern "C" fn bare_tc(_: *mut __sk_buff) -> i32 {
    UNSPEC
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
extern "C" fn answer4(context: *mut xdp_md) -> u32 {
    answer::<QUERY4>(context)
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
extern "C" fn answer4_nsid(context: *mut xdp_md) -> u32 {
    answer::<QUERY4_NSID>(context)
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
extern "C" fn answer6_nsid(context: *mut xdp_md) -> u32 {
    answer::<QUERY6_NSID>(context)
}

#[inline(always)]
fn answer<const N: usize>(context: *mut xdp_md) -> u32 {
    match xdp::queries(context) {
        Outcome::Answered => unanswer::<N>(context).map_or(XDP_ABORTED, |()| XDP_TX),
        _ => XDP_PASS,
    }
}

/// Makes the answer the query that it was.
#[inline(always)]
fn unanswer<const N: usize>(context: *mut xdp_md) -> Option<()> {
    write_again::<N, _>(Frame::new(context).remake(N)?)
}

/// The undo of an answer, which needs a frame as long as an answer: it is made so long again.
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
extern "C" fn undo_answer4_nsid(context: *mut xdp_md) -> u32 {
    let length = Frame::new(context).length();
    match unanswer::<QUERY4_NSID>(context).and_then(|()| Frame::new(context).remake(length)) {
        Some(_) => XDP_PASS,
        None => XDP_ABORTED,
    }
}

/// One call of a subprogram: what a CPU's mitigations make of a return is most of it.
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
extern "C" fn one_call(context: *mut xdp_md) -> u32 {
    if length(context) == 0 { XDP_ABORTED } else { XDP_PASS }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn length(context: *mut xdp_md) -> u64 {
    Frame::new(context).length() as u64
}

/// The look-up of the client, alone.
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
extern "C" fn client4(context: *mut xdp_md) -> u32 {
    let frame = Frame::new(context);
    let client = frame.first::<Headers<<V4 as Ip>::Hdr>>().map(V4::source);
    let answered = client.is_some_and(|client| frame.client(client) & ANSWERED != 0);
    if answered { XDP_PASS } else { XDP_ABORTED }
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "classifier")]
extern "C" fn insert4(context: *mut __sk_buff) -> i32 {
    match tc::responses(context) {
        Outcome::Inserted if take_back(context).is_some() => UNSPEC,
        _ => FAILED,
    }
}

/// The undo of an insertion, which needs a longer frame than it leaves.
#[unsafe(no_mangle)]
#[unsafe(link_section = "classifier")]
extern "C" fn undo_insert4(context: *mut __sk_buff) -> i32 {
    const OPTION: usize = 12;
    match Frame::new(context).resize(RESPONSE4 + OPTION).and_then(|_| take_back(context)) {
        Some(()) => UNSPEC,
        None => FAILED,
    }
}

/// Makes the response what it was, and notes its query again.
#[inline(always)]
fn take_back(context: *mut __sk_buff) -> Option<()> {
    let frame = Frame::new(context).resize(RESPONSE4)?;
    write_again::<RESPONSE4, _>(frame)?;
    let headers = frame.first::<Headers<<V4 as Ip>::Hdr>>()?;
    let words = V4::words(headers, Requestor::Destination);
    let exchange = Exchange::new(frame.control()?, &words, headers.udp.dst, headers.udp.src, headers.dns.id);
    pending::note(&frame, exchange, UDP_SIZE);
    Some(())
}

/// Of the requestor.
const UDP_SIZE: u16 = 1232;

/// Writes the frame's `N` bytes as they were.
#[inline(always)]
fn write_again<const N: usize, B: Bytes>(mut frame: B) -> Option<()> {
    let words = FRAME.get(0)?;
    let last = words[LAST].get();
    let bytes: &mut [u8; N] = frame.view_mut(0)?;
    for (eight, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *eight = word.get().to_le_bytes();
    }
    *bytes.last_chunk_mut::<8>()? = last.to_le_bytes();
    Some(())
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
