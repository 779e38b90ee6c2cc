//! The fence: whether a service's name may be said now.
//!
//! A service has two records. A new name goes into the one that is not selected, with its images, generation and
//! deadline; then the selector is flipped. A renewal is one store to the deadline. Past the deadline the name is not
//! said any more, whether the agent is alive, frozen or dead.
//!
//! `bpf_ktime_get_boot_ns` costs 45 ns, jiffies about one. So each CPU keeps its verdict for one jiffy: a name can be
//! said for that long past its deadline, and for five more if the CPU that keeps the time is stalled. The deadline in
//! the record is set six jiffies early for that (nsid-user, `store::Lease::deadline`).

use crate::maps::{Maps, Record, Verdict};

/// The record of a service that may be said: its index, which is that of its images, too.
#[inline(always)]
pub(crate) fn record<M: Maps>(maps: &M, service: u32) -> Option<u32> {
    let selected = maps.service(service)?.selected();
    let index = service * 2 + selected;
    if alive(maps, maps.record(index)?, maps.verdict(service)?) { Some(index) } else { None }
}

#[inline(always)]
fn alive<M: Maps>(maps: &M, record: &Record, verdict: &Verdict) -> bool {
    if cfg!(feature = "without-fence") {
        return true;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use std::vec::Vec;

    const SERVICE: u32 = 3;

    fn may_be_said(model: &Model) -> bool {
        record(&model.frame(&mut Vec::new()), SERVICE).is_some()
    }

    #[test]
    fn a_service_that_never_said_anything_has_nothing_to_say() {
        assert!(!may_be_said(&Model::new()));
    }

    #[test]
    fn a_name_is_said_before_its_deadline_and_not_at_it() {
        for (left, said) in [(2, true), (1, true), (0, false)] {
            let model = Model::new();
            model.say(SERVICE, b"ns1", model.boot_time + left);
            assert_eq!(may_be_said(&model), said, "{left} ns left");
        }
    }

    #[test]
    fn the_clock_is_read_once_a_jiffy() {
        let mut model = Model::new();
        model.say(SERVICE, b"ns1", u64::MAX);
        for _ in 0..3 {
            assert!(may_be_said(&model));
        }
        assert_eq!(model.clock_reads(), 1);
        model.jiffies += 1;
        assert!(may_be_said(&model));
        assert_eq!(model.clock_reads(), 2);
    }

    #[test]
    fn a_name_lapses_within_a_jiffy() {
        let mut model = Model::new();
        let deadline = model.boot_time + 1;
        model.say(SERVICE, b"ns1", deadline);
        assert!(may_be_said(&model));
        model.boot_time = deadline;
        model.jiffies += 1;
        assert!(!may_be_said(&model));
    }

    #[test]
    fn silence_holds_after_a_jiffy() {
        let mut model = Model::new();
        model.say(SERVICE, b"ns1", u64::MAX);
        assert!(may_be_said(&model));
        model.deadline(SERVICE).set(0);
        model.jiffies += 1;
        assert!(!may_be_said(&model));
    }

    #[test]
    fn a_renewal_revives_a_lapsed_name_within_a_jiffy() {
        let mut model = Model::new();
        model.say(SERVICE, b"ns1", model.boot_time);
        assert!(!may_be_said(&model));
        model.deadline(SERVICE).set(model.boot_time + 1);
        model.jiffies += 1;
        assert!(may_be_said(&model));
    }

    #[test]
    fn the_verdict_on_one_name_is_not_that_on_the_next() {
        let model = Model::new();
        model.say(SERVICE, b"ns1", model.boot_time);
        assert!(!may_be_said(&model));
        model.say(SERVICE, b"ns2", u64::MAX);
        assert!(may_be_said(&model), "in the same jiffy");
        model.say(SERVICE, b"ns3", model.boot_time);
        assert!(!may_be_said(&model), "in the same jiffy");
    }

    #[test]
    fn services_have_verdicts_of_their_own() {
        let model = Model::new();
        model.say(SERVICE, b"ns1", u64::MAX);
        model.say(SERVICE + 1, b"ns2", model.boot_time);
        assert!(may_be_said(&model));
        assert!(record(&model.frame(&mut Vec::new()), SERVICE + 1).is_none());
        assert!(may_be_said(&model));
    }

    #[test]
    fn the_record_is_the_selected_one() {
        let model = Model::new();
        for expected in [1, 0, 1] {
            model.say(SERVICE, b"ns1", u64::MAX);
            assert_eq!(record(&model.frame(&mut Vec::new()), SERVICE), Some(SERVICE * 2 + expected));
        }
    }
}
