//! The report, in Markdown.

use std::fmt::Write as _;

use crate::{machine::Machine, table::Line};

const METHOD: &str = "
One server of each store, with its data in memory; the claimants are tasks of one thread beside it, each with its own
connection, that run the agents' code. A crowd's time is that from the first's beginning until the last has its name,
connecting included on etcd and not on ZooKeeper, where sessions are opened before; of a crowd that is spread over a time,
the longest that one claim took. *Get-then-Put* looks for a slot that is free and puts it, in two requests, and a *global
lock* has all of them do so one after another. Claimants that were *told their slots beforehand* have nothing to find out:
a lease and a transaction each, on a connection each, is the least that a claim can be here, and *times least* compares with
it. *Cores* are those that the server works on, for leases of 10 s. The dead of
the last rows leave their leases behind, and others wait in line already.
";

/// Of these rows, each of which is below the words of its kind.
pub(super) fn report(lines: &[Line]) -> String {
    let Machine { cpu, cpus, kernel, .. } = Machine::here();
    let mut text = format!(
        "# Claims of a crowd\n\nMade by `cargo xtask bench claims`: {cpus} CPUs ({cpu}), Linux {kernel}.\n{METHOD}\n\
         | | median | max | target | granted | given twice | times least | |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n"
    );
    for Line { name, cells, holds, .. } in lines {
        let cell = |index: usize| cells.get(index).map_or("", String::as_str);
        let [median, max, target, granted, twice, least] = [0, 1, 2, 3, 4, 5].map(cell);
        let verdict = holds.map_or("", |holds| if holds { "holds" } else { "MISSED" });
        writeln!(
            text,
            "| {name} | {median} | {max} | {target} | {granted} | {twice} | {least} | {verdict} |"
        )
        .expect("a String takes all");
    }
    text
}
