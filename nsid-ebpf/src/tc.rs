//! The tc hook: responses.

use aya_ebpf::{
    bindings::{__sk_buff, BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR},
    helpers::generated::{bpf_l4_csum_replace, bpf_skb_change_tail, bpf_skb_pull_data},
};
use aya_log_ebpf::debug;
use nsid_common::{
    checksum,
    dns::{self, Compression, Message, Stop},
    hook::{Edit, Hook, Walk},
    insert,
    ip::{Ip, V4, V6},
    maps::Address,
    memory::{self, Bytes as _, MAX_OFFSET},
    outcome::Outcome,
    response,
};

use crate::{
    frame::{Context as _, Frame},
    maps::{self, count, image},
    subprogram::{result, subprograms, word},
};

type Context = *mut __sk_buff;

/// Decides on a packet, does it, and counts it.
#[inline(always)]
pub fn egress(context: Context) -> Outcome {
    let outcome = response::responses(headers(context));
    count(outcome);
    if outcome != Outcome::NotOurs {
        debug!(context, target: "tc", "{} {}", outcome as u8, context.interface_index());
    }
    outcome
}

/// The frame, with as many headers in one piece as there are.
#[inline(always)]
fn headers(context: Context) -> Frame<Context> {
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

subprograms!(Context: tc_name, tc_record, tc_records, tc_nsid, tc_walk, tc_image);

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tc_sum(context: Context, at: usize, length: usize) -> u64 {
    word(checksum::of_frame(&Frame::new(context), at, length).map(u64::from))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tc_move_back(context: Context, from: usize, to: usize, length: usize) -> u64 {
    word(memory::move_back(&mut Frame::new(context), from, to, length).map(|()| 0))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tc_own_nsid(context: Context, first: usize, end: usize) -> u64 {
    word(insert::own_nsid(&Frame::new(context), first, end).map(|bytes| bytes as u64))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tc_take_out_nsid(context: Context, first: usize, end: usize) -> u64 {
    word(insert::take_out_nsid(&mut Frame::new(context), first, end).map(|()| 0))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tc_response4(context: Context, tags: usize) -> u64 {
    response::decide::<V4, _>(Frame::new(context), tags) as u64
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tc_response6(context: Context, tags: usize) -> u64 {
    response::decide::<V6, _>(Frame::new(context), tags) as u64
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tc_noted4(context: Context, tags: usize, service: usize, udp_size: usize) -> u64 {
    response::noted::<V4, _>(Frame::new(context), tags, service as u32, udp_size as u16) as u64
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tc_noted6(context: Context, tags: usize, service: usize, udp_size: usize) -> u64 {
    response::noted::<V6, _>(Frame::new(context), tags, service as u32, udp_size as u16) as u64
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tc_tagged(context: Context) -> u64 {
    response::tagged(Frame::new(context)) as u64
}

impl Edit for Frame<Context> {
    #[inline(always)]
    fn linear(self) -> Option<Self> {
        let length = self.length();
        if length > MAX_OFFSET {
            return None;
        }
        if self.reachable() >= length {
            return Some(self);
        }
        pull(self.context, length)
    }

    #[inline(always)]
    fn segmented(&self) -> bool {
        // SAFETY: the kernel gives a valid context.
        unsafe { (*self.context).gso_size != 0 }
    }

    #[inline(always)]
    fn resize(self, length: usize) -> Option<Self> {
        // SAFETY: the kernel gave the context; `self` is not used any more.
        let failed = unsafe { bpf_skb_change_tail(self.context, length as u32, 0) };
        if failed == 0 { Some(Self::new(self.context)) } else { None }
    }

    /// The length counts twice, in the pseudo-header and in the UDP header: all other changes count once.
    #[inline(always)]
    fn mend_udp_checksum(&mut self, udp: usize, old: [u8; 2], new: [u8; 2], difference: u16) -> Option<()> {
        let (old, new) = (u16::from_le_bytes(old), u16::from_le_bytes(new));
        let pseudo = u64::from(BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0) | 2;
        let field = (udp + UDP_CHECK) as u32;
        if old != new {
            replace(self.context, field, u64::from(old), u64::from(new), pseudo)?;
        }
        let others = checksum::Sum::of_folded(difference).plus(new).minus(old).fold();
        // With a `from` of 0 and a size of 0, `to` is a difference.
        replace(self.context, field, 0, u64::from(others), u64::from(BPF_F_MARK_MANGLED_0))
    }

    #[inline(always)]
    fn sum(&self, at: usize, length: usize) -> Option<u16> {
        result(tc_sum(self.context, at, length)).map(|sum| sum as u16)
    }

    #[inline(always)]
    fn move_back(&mut self, from: usize, to: usize, length: usize) -> Option<()> {
        result(tc_move_back(self.context, from, to, length)).map(|_| ())
    }

    #[inline(always)]
    fn own_nsid(&self, first: usize, end: usize) -> Option<usize> {
        result(tc_own_nsid(self.context, first, end)).map(|bytes| bytes as usize)
    }

    #[inline(always)]
    fn take_out_nsid(&mut self, first: usize, end: usize) -> Option<()> {
        result(tc_take_out_nsid(self.context, first, end)).map(|_| ())
    }

    #[inline(always)]
    fn response<V: Ip>(self, tags: usize) -> Outcome {
        Outcome::from_code(match V::VERSION {
            4 => tc_response4(self.context, tags),
            _ => tc_response6(self.context, tags),
        })
    }

    #[inline(always)]
    fn noted<V: Ip>(self, tags: usize, service: u32, udp_size: u16) -> Outcome {
        Outcome::from_code(match V::VERSION {
            4 => tc_noted4(self.context, tags, service as usize, usize::from(udp_size)),
            _ => tc_noted6(self.context, tags, service as usize, usize::from(udp_size)),
        })
    }

    #[inline(always)]
    fn tagged_response(self) -> Outcome {
        Outcome::from_code(tc_tagged(self.context))
    }
}

const UDP_CHECK: usize = 6;

#[inline(always)]
fn replace(context: Context, field: u32, from: u64, to: u64, flags: u64) -> Option<()> {
    // SAFETY: the kernel gave the context; no view of the frame is held.
    let failed = unsafe { bpf_l4_csum_replace(context, field, from, to, flags) };
    if failed == 0 { Some(()) } else { None }
}

/// The frame with its first `length` bytes in one piece.
#[inline(always)]
fn pull(context: Context, length: usize) -> Option<Frame<Context>> {
    // SAFETY: the kernel gave the context; frames that were read before are not used any more.
    let failed = unsafe { bpf_skb_pull_data(context, length as u32) };
    if failed == 0 { Some(Frame::new(context)) } else { None }
}
