//! Frames through the programs in the kernel (`BPF_PROG_TEST_RUN`) and through the same decisions in a model: each row
//! of the table of nsid-packets, and frames nobody thought of.

use std::{collections::HashSet, env};

use nsid_common::outcome::Outcome;
use nsid_packets::{Both, Kernel, Mutants, Outstanding, table};

/// Mutants, unless `N` says how many.
const MUTANTS: u64 = 20_000;
/// Where they start from, unless `SEED` says.
const SEED: u64 = 5001;

#[test]
fn every_row_holds_in_the_kernel_and_in_the_model() {
    let mut kernel = Kernel::load();
    let wrong: Vec<String> = table().iter().filter_map(|row| row.check(&mut kernel).err()).collect();
    assert!(wrong.is_empty(), "{} of {} rows do not hold:\n{}", wrong.len(), table().len(), wrong.join("\n"));
}

#[test]
fn every_row_has_a_name_of_its_own() {
    let mut names = HashSet::new();
    for row in table() {
        assert!(names.insert(row.name.clone()), "{}", row.name);
    }
}

/// A test run always has room to grow: without it, decisions are tested on the model (nsid-common) and on veth.
#[test]
fn every_outcome_but_one_has_a_row() {
    let seen: HashSet<Outcome> = table().iter().map(|row| row.outcome).collect();
    let unseen: Vec<_> = Outcome::ALL.iter().filter(|outcome| !seen.contains(outcome)).collect();
    assert_eq!(unseen, [&Outcome::ResponseResize]);
}

#[test]
fn kernel_and_model_do_the_same_with_mutants() {
    let number = |name: &str, default| env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let mutants = Mutants { count: number("N", MUTANTS), seed: number("SEED", SEED) };
    mutants.run(&mut Both::load()).unwrap_or_else(|differs| panic!("{differs}"));
}

/// Who has that many queries under way loses less than one name in 10,000.
#[test]
fn names_are_not_lost_between_cpus_with_10_000_queries_outstanding() {
    let queries = 200_000;
    let lost = Outstanding { outstanding: 10_000, queries }.lost(&mut Kernel::load());
    println!("{lost} of {queries} names lost");
    assert!(lost * 10_000 < queries, "{lost} of {queries} names lost");
}
