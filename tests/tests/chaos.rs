//! At most one node says a name at any instant, under every kind of fault; and a program that breaks that promise is
//! found by what looks for it.

use std::{path::Path, time::Duration};

use nsid_tests::{
    agent::{binary, binary_without_fence, binary_without_transaction},
    chaos::{Harm, Kind, Outcome, Plan, Software, chaos, report},
};

/// The shortest that every store grants.
const TTL: Duration = Duration::from_secs(2);

/// Each of these once, with leases of [`TTL`], for between half of it and twice as long.
fn plan(kinds: &[Kind]) -> Plan {
    let lasts = (Duration::from_secs(1), Duration::from_secs(4));
    Plan { seed: 7, faults: kinds.len(), kinds: kinds.to_vec(), lasts, ttl: TTL }
}

/// Has them happen; the outcome, and the report of it.
fn run(plan: &Plan, software: Software, binary: &Path) -> (Outcome, String) {
    let outcome = chaos(plan, software, binary.to_owned(), &mut |line| println!("{line}"));
    let report = report(&outcome, binary);
    (outcome, report)
}

fn the_promise_holds_under_every_kind_of_fault(software: Software) {
    let kinds = software.kinds();
    let (outcome, report) = run(&plan(&kinds), software, &binary());
    println!("{report}");
    assert!(outcome.collisions.is_empty() && outcome.problems.is_empty(), "{report}");
    for kind in kinds {
        assert_eq!(outcome.count(kind), 1, "{kind}");
    }
    // Else what was not heard may have been said by two.
    let (asked, answered) = outcome.answered();
    assert!(answered * 100 > asked * 98, "of {asked} questions {answered} were answered");
}

#[test]
fn the_promise_holds_under_every_kind_of_fault_on_etcd() {
    the_promise_holds_under_every_kind_of_fault(Software::Etcd);
}

#[test]
fn the_promise_holds_under_every_kind_of_fault_on_zookeeper() {
    the_promise_holds_under_every_kind_of_fault(Software::ZooKeeper);
}

#[test]
fn the_promise_holds_under_every_kind_of_fault_among_peers() {
    the_promise_holds_under_every_kind_of_fault(Software::Peers);
}

/// The test of the tests above.
#[test]
fn an_agent_without_a_fence_is_found_when_it_dies_and_when_it_is_frozen() {
    for kind in [Kind::Holder(Harm::Killed), Kind::Holder(Harm::Frozen)] {
        // Until another one has the name.
        let lasts = (3 * TTL, 3 * TTL);
        let plan = Plan { lasts, ..plan(&[kind]) };
        let (outcome, report) = run(&plan, Software::Etcd, &binary_without_fence());
        assert!(!outcome.collisions.is_empty(), "{kind}: {report}");
    }
}

#[test]
fn agents_that_look_for_a_free_slot_and_then_put_it_are_found() {
    // All who wait are told of it, and claim at once.
    let plan = Plan { faults: 4, ..plan(&[Kind::HolderTerminated]) };
    let (outcome, report) = run(&plan, Software::Etcd, &binary_without_transaction());
    assert!(!outcome.collisions.is_empty(), "{report}");
}
