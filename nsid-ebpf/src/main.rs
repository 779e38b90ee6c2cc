//! The programs that are loaded on hosts: an outcome from `nsid-common`, counted, becomes an action.
//!
//! What is logged is the outcome's code; the agent tells its name. The level is a constant to the verifier, which
//! leaves the logging out where it is off.
#![no_std]
#![no_main]

use aya_ebpf::bindings::{
    __sk_buff,
    xdp_action::{XDP_PASS, XDP_TX},
    xdp_md,
};
use aya_log_ebpf::debug;
use nsid_common::{answer::sent_back, memory::Bytes as _, query::queries, response::responses};
use nsid_ebpf::{frame::Frame, maps::count, tc::pull};

/// Queries: passed on, or answered.
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
extern "C" fn nsid_ingress(context: *mut xdp_md) -> u32 {
    let outcome = queries(Frame::new(context));
    count(outcome);
    debug!(context, "{}", outcome as u8);
    if sent_back(&Frame::new(context), outcome) { XDP_TX } else { XDP_PASS }
}

/// Responses: passed on, edited or not.
#[unsafe(no_mangle)]
#[unsafe(link_section = "classifier")]
extern "C" fn nsid_egress(context: *mut __sk_buff) -> i32 {
    let outcome = responses(headers(context));
    count(outcome);
    debug!(context, "{}", outcome as u8);
    TC_ACT_UNSPEC
}

/// Any other value would end the chain for the programs behind this one, `TC_ACT_PIPE` included.
const TC_ACT_UNSPEC: i32 = -1;

/// The frame, with as many headers in one piece as there are.
#[inline(always)]
fn headers(context: *mut __sk_buff) -> Frame<*mut __sk_buff> {
    const HEADERS: usize = 82;
    let frame = Frame::new(context);
    if frame.reachable() >= HEADERS {
        return frame;
    }
    let length = frame.length();
    if length <= frame.reachable() {
        return frame;
    }
    pull(context, if length < HEADERS { length } else { HEADERS }).unwrap_or(Frame::new(context))
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
