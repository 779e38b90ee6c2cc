//! The XDP hook: queries, and responses where a frame's checksum is complete.

use aya_ebpf::{
    bindings::xdp_md,
    helpers::generated::{bpf_xdp_adjust_head, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len},
};
use aya_log_ebpf::debug;
use nsid_common::{
    answer,
    asked::{self, Asked},
    checksum::{self, Sum},
    clients,
    dns::{self, Compression, Message, Stop},
    hook::{Answer, Edit, Hook, Walk},
    identity::Identity,
    insert,
    ip::{Ip, UDP_CHECK, V4, V6},
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

type Context = *mut xdp_md;

/// Decides on a frame that may be a query, does it, and counts it.
#[inline(always)]
pub fn queries(context: Context) -> Outcome {
    counted(context, query::queries(Frame::new(context)))
}

/// As [`queries`]; what is none goes on to the next program, for [`responses`].
#[inline(always)]
pub fn both(context: Context) -> Outcome {
    let outcome = query::queries_compact(Frame::new(context));
    if outcome == Outcome::NotOurs {
        maps::go_on(context);
    }
    counted(context, outcome)
}

/// Decides on a frame that may be a response, does it, and counts it.
#[inline(always)]
pub fn responses(context: Context) -> Outcome {
    counted(context, response::responses_compact(Frame::new(context)))
}

#[inline(always)]
fn counted(context: Context, outcome: Outcome) -> Outcome {
    count(outcome);
    if outcome != Outcome::NotOurs {
        debug!(context, target: "XDP", "{} {}", outcome as u8, context.interface_index());
    }
    outcome
}

subprograms!(Context: xdp_name, xdp_record, xdp_records, xdp_nsid, xdp_asked, xdp_walk, xdp_image);
decisions_on_queries!(Context: xdp_query4, xdp_query6, xdp_answer4, xdp_answer6, xdp_hidden);
edits!(
    Context: xdp_sum, xdp_move_back, xdp_opt, xdp_own_nsid, xdp_take_out_nsid, xdp_response4, xdp_response6, xdp_noted
);

/// The frame as a query is read.
#[inline(always)]
fn readable(context: Context) -> Frame<Context> {
    Frame::new(context)
}

/// Bytes of the frame, in all of its buffers.
#[inline(always)]
fn all_bytes(context: Context) -> usize {
    // SAFETY: the kernel gave the context.
    unsafe { bpf_xdp_get_buff_len(context) as usize }
}

/// By how much a frame is made longer at its head, at most: on veth more did not work.
const MAX_HEAD: i32 = 216;

impl Answer for Frame<Context> {
    /// At the tail; else at the head, which has room where a frame that a local socket sent to veth has none behind.
    #[inline(always)]
    #[expect(clippy::cast_possible_wrap, reason = "no frame has 2 GiB")]
    fn remake(self, length: usize) -> Option<Self> {
        // Of several buffers, the last one's tail would be moved.
        if !self.whole() {
            return None;
        }
        let more = length as i32 - self.length() as i32;
        if more == 0 || adjust_tail(self.context, more) {
            return Some(Self::new(self.context));
        }
        let at_head = if more > MAX_HEAD { MAX_HEAD } else { more };
        if more < 0 || !adjust_head(self.context, -at_head) {
            return None;
        }
        if more > at_head && !adjust_tail(self.context, more - at_head) {
            adjust_head(self.context, at_head);
            return None;
        }
        Some(Self::new(self.context))
    }

    call_decisions_on_queries!();
}

/// Only where the frame's checksum is complete: on a NIC with native XDP.
impl Edit for Frame<Context> {
    #[inline(always)]
    fn linear(self) -> Option<Self> {
        if self.length() <= MAX_OFFSET && self.whole() { Some(self) } else { None }
    }

    #[inline(always)]
    fn segmented(&self) -> bool {
        false
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_wrap, reason = "no frame has 2 GiB")]
    fn resize(self, length: usize) -> Option<Self> {
        let more = length as i32 - self.length() as i32;
        if adjust_tail(self.context, more) { Some(Self::new(self.context)) } else { None }
    }

    /// RFC 1624, equation 3. The length counts twice, in the pseudo-header and in the UDP header.
    #[inline(always)]
    fn mend_udp_checksum(&mut self, udp: usize, old: [u8; 2], new: [u8; 2], difference: u16) -> Option<()> {
        let check: [u8; 2] = self.load(udp + UDP_CHECK)?;
        if check == [0, 0] {
            return Some(());
        }
        let old = u16::from_le_bytes(old);
        let sum = Sum::of_folded(!u16::from_le_bytes(check)).plus(difference);
        self.store(udp + UDP_CHECK, sum.word(new).minus(old).word(new).minus(old).udp_checksum())
    }

    call_edits!();
}

#[inline(always)]
fn adjust_tail(context: Context, by: i32) -> bool {
    // SAFETY: the kernel gave the context; frames that were read before are not used any more.
    unsafe { bpf_xdp_adjust_tail(context, by) == 0 }
}

#[inline(always)]
fn adjust_head(context: Context, by: i32) -> bool {
    // SAFETY: as in `adjust_tail`.
    unsafe { bpf_xdp_adjust_head(context, by) == 0 }
}
