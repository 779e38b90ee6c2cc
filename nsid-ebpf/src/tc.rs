//! The tc hook: responses where they leave the server's host, or arrive from behind it; queries where XDP sees none.

use aya_ebpf::{
    bindings::{__sk_buff, BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR},
    helpers::generated::{bpf_l4_csum_replace, bpf_redirect, bpf_skb_change_tail, bpf_skb_pull_data},
};
use aya_log_ebpf::debug;
use nsid_common::{
    answer,
    asked::{self, Asked},
    checksum::{self, Sum},
    clients,
    dns::{self, Compression, Message, Stop},
    hook::{Answer, Covered, Edit, Hook, Walk},
    identity::Identity,
    insert,
    ip::{Ip, UDP_CHECK, UDP_LEN, V4, V6},
    maps::Address,
    memory::{self, Bytes as _, MAX_OFFSET},
    outcome::Outcome,
    pending::Exchange,
    query, response,
};

use crate::{
    frame::{Context as _, Frame},
    maps::{self, count, image},
    subprogram::{decisions_on_queries, edits, result, subprograms, word},
};

type Context = *mut __sk_buff;

/// Decides on a packet that may be a response, does it, and counts it.
#[inline(always)]
pub fn responses(context: Context) -> Outcome {
    counted(context, response::responses(headers(context)))
}

/// Decides on a packet that may be a query, does it, and counts it.
#[inline(always)]
pub fn queries(context: Context) -> Outcome {
    counted(context, query::queries_compact(headers(context)))
}

#[inline(always)]
fn counted(context: Context, outcome: Outcome) -> Outcome {
    count(outcome);
    if outcome != Outcome::NotOurs {
        debug!(context, target: "tc", "{} {}", outcome as u8, context.interface_index());
    }
    outcome
}

/// Sends the frame out where it came in.
#[inline(always)]
pub fn send_back(context: Context) -> i32 {
    // SAFETY: the helper takes numbers only.
    unsafe { bpf_redirect(context.interface_index(), 0) as i32 }
}

/// The frame, with as many headers in one piece as there are.
#[inline(always)]
fn headers(context: Context) -> Frame<Context> {
    const HEADERS: usize = 82;
    up_to(context, HEADERS)
}

/// The frame as a query is read: in one piece.
#[inline(always)]
fn readable(context: Context) -> Frame<Context> {
    up_to(context, MAX_OFFSET)
}

/// The frame with its first bytes in one piece, as far as there are so many.
#[inline(always)]
fn up_to(context: Context, bytes: usize) -> Frame<Context> {
    let frame = Frame::new(context);
    if frame.reachable() >= bytes {
        return frame;
    }
    let length = frame.length();
    if length <= frame.reachable() {
        return frame;
    }
    pull(context, if length < bytes { length } else { bytes }).unwrap_or(Frame::new(context))
}

subprograms!(Context: tc_name, tc_record, tc_records, tc_nsid, tc_asked, tc_walk, tc_image);
decisions_on_queries!(Context: tc_query4, tc_query6, tc_answer4, tc_answer6, tc_hidden);
edits!(
    Context: tc_sum, tc_move_back, tc_opt, tc_own_nsid, tc_take_out_nsid, tc_response4, tc_response6, tc_noted
);

/// Bytes of the frame, wherever they are.
#[inline(always)]
fn all_bytes(context: Context) -> usize {
    context.length()
}

impl Answer for Frame<Context> {
    #[inline(always)]
    fn remake(self, length: usize) -> Option<Self> {
        if self.segmented() { None } else { self.resize(length) }
    }

    #[inline(always)]
    fn covered(&self, udp: usize) -> Option<Covered> {
        let check: [u8; 2] = self.load(udp + UDP_CHECK)?;
        let len: [u8; 2] = self.load(udp + UDP_CHECK - 2)?;
        let message_len = usize::from(u16::from_be_bytes(len)).checked_sub(UDP_LEN)?;
        Some(Covered { check, len, message: self.sum(udp + UDP_LEN, message_len)? })
    }

    #[inline(always)]
    fn mend_answer(&mut self, udp: usize, before: Covered, after: Covered) -> Option<()> {
        let difference = Sum::of_folded(after.message).minus(before.message).fold();
        self.mend_udp_checksum(udp, before.len, after.len, difference)
    }

    call_decisions_on_queries!();
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
        let others = Sum::of_folded(difference).plus(new).minus(old).fold();
        // With a `from` of 0 and a size of 0, `to` is a difference.
        replace(self.context, field, 0, u64::from(others), u64::from(BPF_F_MARK_MANGLED_0))
    }

    call_edits!();
}

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
