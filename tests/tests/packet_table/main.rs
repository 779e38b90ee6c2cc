//! Frames through the programs in the kernel (`BPF_PROG_TEST_RUN`) and through the same decisions in a model.
//!
//! Each row of the table is a frame, the state it meets, and what becomes of it: outcome, action and bytes, by the
//! rule that it names. The kernel and the model have to agree with the row; on mutated frames, with each other.
//!
//! One state serves both: the model's, copied into the kernel's maps.

mod answers;
mod datagrams;
mod insertions;
mod kernel;
mod message;
mod mutants;
mod policies;
mod queries;
mod responses;
mod row;

use std::collections::HashSet;

use kernel::Kernel;
use nsid_common::outcome::Outcome;
use row::Row;

fn table() -> Vec<Row> {
    [
        datagrams::rows(),
        queries::rows(),
        answers::rows(),
        responses::rows(),
        insertions::rows(),
        policies::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

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
