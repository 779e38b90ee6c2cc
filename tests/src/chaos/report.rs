//! The report, in Markdown.

use std::{fmt::Write as _, fs, path::Path, process::Command, time::Duration};

use super::{
    conduct::Done,
    fault::Kind,
    outcome::{Fate, Lost, Outcome, Silence},
    site::{AGENTS, NAMES},
    stretch::Collision,
    watch::Span,
};
use crate::{process::run, servers};

/// How many silences are told of one by one.
const SHOWN: usize = 5;

/// What came of it, with what was tried on what.
pub fn report(outcome: &Outcome, binary: &Path) -> String {
    [
        head(outcome, binary),
        summary(outcome),
        faults(outcome),
        details(outcome),
        METHOD.trim_start().to_owned(),
    ]
    .join("\n")
}

fn head(outcome: &Outcome, binary: &Path) -> String {
    let (software, version) = &outcome.software;
    let plan = &outcome.plan;
    let nsid = run(Command::new(binary).arg("--version"));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let minutes = outcome.end.saturating_sub(outcome.start).as_secs_f64() / 60.0;
    format!(
        "# Faults from outside: {software}\n\n\
         Made by `cargo xtask chaos --store {} --faults {} --seed {} --ttl {}s --longest {}s`: {}, three members of \
         {software} {version}, NSD {}, Linux {}, {cpus} CPUs; {NAMES} names and {AGENTS} agents, {minutes:.0} minutes.\n",
        software.argument(),
        plan.faults,
        plan.seed,
        plan.ttl.as_secs_f64(),
        plan.lasts.1.as_secs_f64(),
        nsid.trim(),
        servers::Software::Nsd.version(),
        kernel.split('-').next().unwrap_or_default().trim(),
    )
}

fn summary(outcome: &Outcome) -> String {
    let (asked, answered) = outcome.answered();
    let silences = outcome.silences();
    let longest = silences.iter().map(Silence::length).max().unwrap_or_default();
    let (lost, without_majority) = outcome.lost();
    let rows = [
        ("instants with two answerers", times(&outcome.collisions)),
        ("the same of names that a person took from their holders in the store", times(&outcome.by_hand)),
        ("longest silence of a name, with a majority of members and enough agents", seconds(longest)),
        (
            "names lost: given up though the holder lived and was reached by a majority",
            lost.len().to_string(),
        ),
        ("names given up for want of a majority", without_majority.to_string()),
        ("questions, answered", format!("{asked}, {answered}")),
        ("longest time without an answer of a node", seconds(outcome.seen.blind)),
        ("what was not well a minute after a fault, or ended by itself", outcome.problems.len().to_string()),
    ];
    let mut text = "| | |\n| --- | ---: |\n".to_owned();
    for (what, is) in rows {
        writeln!(text, "| {what} | {is} |").expect("a String takes all");
    }
    text
}

/// How many, and how long the longest of them was.
fn times(collisions: &[Collision]) -> String {
    let longest = collisions.iter().map(|collision| collision.to.saturating_sub(collision.from)).max();
    longest.map_or_else(
        || "0".to_owned(),
        |longest| format!("{}, of {} at most", collisions.len(), seconds(longest)),
    )
}

/// By kind.
fn faults(outcome: &Outcome) -> String {
    let mut text = "Of the names of those whom it befell:\n\n\
                    | fault | times | handed on | after, median | after, at most | kept |\n\
                    | --- | ---: | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for kind in Kind::all() {
        let Fate { faults, handed_on, kept } = outcome.fate(kind);
        if faults == 0 {
            continue;
        }
        let has_names = !handed_on.is_empty() || kept > 0;
        let shown = |count: usize| if has_names { count.to_string() } else { String::new() };
        let time = |time: Option<&Duration>| time.map_or_else(String::new, |time| seconds(*time));
        writeln!(
            text,
            "| {kind} | {faults} | {} | {} | {} | {} |",
            shown(handed_on.len()),
            time(handed_on.get(handed_on.len() / 2)),
            time(handed_on.last()),
            shown(kept),
        )
        .expect("a String takes all");
    }
    text
}

/// What deserves a look, one by one.
fn details(outcome: &Outcome) -> String {
    let at = |time: Duration| seconds(time.saturating_sub(outcome.start));
    let collisions = outcome.collisions.iter().map(|Collision { name, nodes: [one, other], from, to }| {
        let (name, length) = (short(name), seconds(to.saturating_sub(*from)));
        format!("**{name} was said by nodes {one} and {other}** at {}, for {length}", at(*from))
    });
    let lost = outcome.lost().0.into_iter().map(|Lost { at: when, node, name }| {
        let during = during(outcome, when, when);
        format!("{} was lost by node {node} at {}, during: {during}", short(&name), at(when))
    });
    let mut silences = outcome.silences();
    silences.sort_by_key(|silence| std::cmp::Reverse(silence.length()));
    let silences = silences.iter().take(SHOWN).map(|silence| {
        let (name, length) = (short(&silence.name), seconds(silence.length()));
        let during = during(outcome, silence.span.from, silence.span.to);
        format!("nobody said {name} from {}, for {length}, during: {during}", at(silence.span.from))
    });
    let lines = collisions.chain(outcome.problems.iter().cloned()).chain(lost).chain(silences);
    lines.fold(String::new(), |text, line| text + "- " + &line + "\n")
}

fn during(outcome: &Outcome, from: Duration, to: Duration) -> String {
    let meanwhile = outcome.meanwhile(Span { from, to });
    let told = |done: &&Done| format!("{} ({})", done.kind, seconds(done.ended.saturating_sub(done.began)));
    let told: Vec<String> = meanwhile.iter().map(told).collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

/// Its first label, which tells it from the others.
fn short(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

impl Silence {
    fn length(&self) -> Duration {
        self.span.to.saturating_sub(self.span.from)
    }
}

const METHOD: &str = "
## How it was found

Members and agents each have a network namespace; a hub forwards between them, and from there each agent's node is asked
for its name every 20 ms, over UDP, with an NSID option. What is cut (nftables) is what the hub forwards, so that clients hear
every node throughout: one that is cut off from the store too. Faults of the members come one after another, and so do
those of the agents, beside them. All are drawn from the seed; who leads, holds a name or waits when it comes is not.

A name counts as said at some instant between question and answer. It is one claim's from the first answer that says it to
the last, while the agent tells of no other (`ready: NAME`, `lost: NAME`). *Two answerers* are two nodes that had one
name by that: any overlap of 40 ms is found, and a shorter one by chance. Who revokes a holder's lease, or deletes what is
its, takes the name from it: it is told, and its successor waits for that; but while it is frozen or cut off besides, it says
the name until its deadline, and so may the next holder. That is counted apart, for no longer than a lease.

A name is *handed on* when another node says it, counted from the fault, and *kept* if the next one to say it is the same
node. A killed agent's node says on what it said until its deadline; so does one that is frozen or cut off.

The clock that deadlines are told in, `CLOCK_BOOTTIME`, cannot be set; `CLOCK_REALTIME` is the host's, and no agent
reads it for a deadline.
";
