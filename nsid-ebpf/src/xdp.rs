//! The XDP hook: queries.

use aya_ebpf::{
    bindings::xdp_md,
    helpers::generated::{bpf_xdp_adjust_head, bpf_xdp_adjust_tail},
};
use aya_log_ebpf::debug;
use nsid_common::{
    answer,
    asked::Asked,
    clients,
    dns::{self, Compression, Message, Stop},
    hook::{Answer, Hook, Walk},
    ip::{Ip, V4, V6},
    maps::Address,
    memory::Bytes as _,
    outcome::Outcome,
    pending::Exchange,
    query,
};

use crate::{
    frame::{Context as _, Frame},
    maps::{self, count, image},
    subprogram::{result, subprograms, word},
};

type Context = *mut xdp_md;

/// Decides on a frame, does it, and counts it.
#[inline(always)]
pub fn ingress(context: Context) -> Outcome {
    let outcome = query::queries(Frame::new(context));
    count(outcome);
    if outcome != Outcome::NotOurs {
        debug!(context, target: "XDP", "{} {}", outcome as u8, context.interface_index());
    }
    outcome
}

subprograms!(Context: xdp_name, xdp_record, xdp_records, xdp_nsid, xdp_walk, xdp_image);

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_query4(context: Context, tags: usize) -> u64 {
    query::decide::<V4, _>(Frame::new(context), tags) as u64
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_query6(context: Context, tags: usize) -> u64 {
    query::decide::<V6, _>(Frame::new(context), tags) as u64
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_answer4(context: Context, tags: usize, service: usize, asked: u64, exchange: u64) -> u64 {
    let (asked, exchange) = (Asked::unpack(asked), Exchange::from_word(exchange));
    answer::decide::<V4, _>(Frame::new(context), tags, service as u32, asked, exchange) as u64
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_answer6(context: Context, tags: usize, service: usize, asked: u64, exchange: u64) -> u64 {
    let (asked, exchange) = (Asked::unpack(asked), Exchange::from_word(exchange));
    answer::decide::<V6, _>(Frame::new(context), tags, service as u32, asked, exchange) as u64
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_hidden4(context: Context, tags: usize, exchange: u64) -> u64 {
    clients::forget_hidden::<V4, _>(&Frame::new(context), tags, Exchange::from_word(exchange)).into()
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_hidden6(context: Context, tags: usize, exchange: u64) -> u64 {
    clients::forget_hidden::<V6, _>(&Frame::new(context), tags, Exchange::from_word(exchange)).into()
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn xdp_tagged(context: Context) -> u64 {
    query::tagged(Frame::new(context)) as u64
}

/// By how much a frame is made longer at its head, at most: on veth more did not work.
const MAX_HEAD: i32 = 216;

impl Answer for Frame<Context> {
    /// At the tail; else at the head, which has room where a frame that a local socket sent to veth has none behind.
    #[inline(always)]
    #[expect(clippy::cast_possible_wrap, reason = "no frame has 2 GiB")]
    fn remake(self, length: usize) -> Option<Self> {
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

    #[inline(always)]
    fn query<V: Ip>(self, tags: usize) -> Outcome {
        Outcome::from_code(match V::VERSION {
            4 => xdp_query4(self.context, tags),
            _ => xdp_query6(self.context, tags),
        })
    }

    #[inline(always)]
    fn answer<V: Ip>(self, tags: usize, service: u32, asked: Asked, exchange: Exchange) -> Outcome {
        let (service, asked, exchange) = (service as usize, asked.pack(), exchange.word());
        Outcome::from_code(match V::VERSION {
            4 => xdp_answer4(self.context, tags, service, asked, exchange),
            _ => xdp_answer6(self.context, tags, service, asked, exchange),
        })
    }

    #[inline(always)]
    fn forget_hidden<V: Ip>(&self, tags: usize, exchange: Exchange) -> bool {
        let hidden = match V::VERSION {
            4 => xdp_hidden4(self.context, tags, exchange.word()),
            _ => xdp_hidden6(self.context, tags, exchange.word()),
        };
        hidden != 0
    }

    #[inline(always)]
    fn tagged_query(self) -> Outcome {
        Outcome::from_code(xdp_tagged(self.context))
    }
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
