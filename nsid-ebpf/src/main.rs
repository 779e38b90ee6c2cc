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

/// Queries: passed on, or answered.
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
extern "C" fn nsid_ingress(context: *mut xdp_md) -> u32 {
    let outcome = xdp::ingress(context);
    if sent_back(&Frame::new(context), outcome) { XDP_TX } else { XDP_PASS }
}

/// Responses: passed on, edited or not.
#[unsafe(no_mangle)]
#[unsafe(link_section = "classifier")]
extern "C" fn nsid_egress(context: *mut __sk_buff) -> i32 {
    tc::egress(context);
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
