//! The programs that are loaded on hosts: an outcome becomes an action.
#![no_std]
#![no_main]

use aya_ebpf::bindings::{
    __sk_buff,
    xdp_action::{XDP_PASS, XDP_TX},
    xdp_md,
};
use nsid_common::answer::sent_back;
use nsid_ebpf::{frame::Frame, tc, xdp};

/// Queries that arrive: passed on, or answered.
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp.frags")]
extern "C" fn nsid_xdp(context: *mut xdp_md) -> u32 {
    let outcome = xdp::queries(context);
    if sent_back(&Frame::new(context), outcome) { XDP_TX } else { XDP_PASS }
}

/// Queries and responses that arrive, where a frame's checksum is complete: on a NIC between clients and server.
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp.frags")]
extern "C" fn nsid_xdp_both(context: *mut xdp_md) -> u32 {
    let outcome = xdp::both(context);
    if sent_back(&Frame::new(context), outcome) { XDP_TX } else { XDP_PASS }
}

/// What [`nsid_xdp_both`] does not take for a query.
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp.frags")]
extern "C" fn nsid_xdp_edit(context: *mut xdp_md) -> u32 {
    xdp::responses(context);
    XDP_PASS
}

/// Queries, at tc: passed on, or, where they arrive, answered.
#[unsafe(no_mangle)]
#[unsafe(link_section = "classifier")]
extern "C" fn nsid_queries(context: *mut __sk_buff) -> i32 {
    let outcome = tc::queries(context);
    if sent_back(&Frame::new(context), outcome) { tc::send_back(context) } else { TC_ACT_UNSPEC }
}

/// Responses, at tc: passed on, edited or not.
#[unsafe(no_mangle)]
#[unsafe(link_section = "classifier")]
extern "C" fn nsid_responses(context: *mut __sk_buff) -> i32 {
    tc::responses(context);
    TC_ACT_UNSPEC
}

/// Any other value would end the chain for the programs behind this one, `TC_ACT_PIPE` included.
const TC_ACT_UNSPEC: i32 = -1;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
