//! The report, in Markdown.

use crate::{machine::Machine, table::Line};

const METHOD: &str = "
One server for each row, with its data in memory; of *peers*, an agent that is all three witnesses. The claimants are tasks
of one thread beside it, each with its own connection, that run the agents' code. Those of peers send from 250 addresses, as
nodes do from their own: of one, a witness takes no more than 2000 messages a second. Their messages are sealed, as nodes'
are that have a key.

A crowd's time is that from the first's beginning until the last has its name, connecting included on etcd and not on
ZooKeeper, where sessions are opened before; of a crowd that is spread over a time, the longest that one claim took. It comes
to a pool that nobody has been in, unless its row says that *as many left* it, each giving its name back, or that it claims
*what they had before*, until their leases ended without their doing.

Claimants that were *told their slots beforehand* have nothing to find out: a lease and a transaction each, on a connection
each, is the least that a claim in etcd can be on this machine, and *times least* compares with that. In ZooKeeper it is one
write on an open session, as a *renewal* is. *Get-then-Put* looks for a slot that is free and puts it, in two requests, and a
*global lock* has all of them do so one after another.

*Cores* are those that the server, or that agent, works on, for leases of 10 s; *bytes a second* are of all IP packets
between a holder and the three witnesses, in both directions. Beside holders of names in etcd are leases that are *kept
alive* three times in their length, without a look whether what they are for is there. The dead of the last rows leave
their leases behind, and others wait in line already. A row that *failed* did not come to its end: a claim failed, or a
name was lost meanwhile. Rows may be of several runs.
";

/// Of all these rows: those that were measured, and the others as an earlier report has them.
pub(super) fn report(names: &[String], measured: &[Line], earlier: &str) -> String {
    let Machine { cpu, cpus, kernel, .. } = Machine::here();
    let mut text = format!(
        "# Claims of a crowd\n\nMade by `cargo xtask bench claims`: {cpus} CPUs ({cpu}), Linux {kernel}.\n{METHOD}\n\
         | | median | max | target | granted | given twice | times least | |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n"
    );
    for name in names {
        let start = format!("| {name} | ");
        let line = measured.iter().find(|line| line.name == *name).map(row);
        let line = line.or_else(|| earlier.lines().find(|line| line.starts_with(&start)).map(str::to_owned));
        text.extend(line.into_iter().flat_map(|line| [line, "\n".to_owned()]));
    }
    text
}

fn row(Line { name, cells, holds, .. }: &Line) -> String {
    let cell = |index: usize| cells.get(index).map_or("", String::as_str);
    let [median, max, target, granted, twice, least] = [0, 1, 2, 3, 4, 5].map(cell);
    let verdict = holds.map_or("", |holds| if holds { "holds" } else { "MISSED" });
    format!("| {name} | {median} | {max} | {target} | {granted} | {twice} | {least} | {verdict} |")
}
