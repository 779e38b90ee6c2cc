//! The fence: whether a service's name may be said now.
//!
//! A service has two records. A new name goes into the one that is not selected, with its images, generation and
//! deadline; then the selector is flipped. A renewal is one store to the deadline. Past the deadline the name is not
//! said any more, whether the agent is alive, frozen or dead.
//!
//! `bpf_ktime_get_boot_ns` costs 45 ns, jiffies about one. So each CPU keeps its verdict for one jiffy: a name can be
//! said for that long past its deadline, and for five more if the CPU that keeps the time is stalled. The deadline in
//! the record is set six jiffies early for that (nsid-user, `claim`).

use crate::maps::{Maps, Record, Verdict};

/// The record of a service that may be said: its index, which is that of its images, too.
#[inline(always)]
pub(crate) fn record<M: Maps>(maps: &M, service: u32) -> Option<u32> {
    let selected = maps.service(service)?.selected.get() as u32 & 1;
    let index = service * 2 + selected;
    if alive(maps, maps.record(index)?, maps.verdict(service)?) { Some(index) } else { None }
}

#[inline(always)]
fn alive<M: Maps>(maps: &M, record: &Record, verdict: &Verdict) -> bool {
    let jiffy = maps.jiffies();
    let generation = record.generation.get();
    if verdict.jiffy.get() == jiffy && verdict.generation.get() == generation {
        return verdict.alive.get() != 0;
    }
    let alive = maps.boot_time() < record.deadline.get();
    verdict.jiffy.set(jiffy);
    verdict.generation.set(generation);
    verdict.alive.set(u64::from(alive));
    alive
}
