//! The report: `report.md`, beside its plots.

use std::fmt::Write as _;

use super::{
    line_rate::{LINKS, Path},
    load::Load,
    plots,
    results::{Results, Sample, Spread},
    subject::Subject,
};

/// How many times as many answers as others, at least.
const OVER_SOCKETS: f64 = 10.0;
const OVER_COREDNS: f64 = 100.0;

/// The report, in Markdown.
pub(crate) fn report(results: &Results) -> String {
    let machine = &results.machine;
    let rounds = results.rounds(Subject::Nsid, Load::Flood).len();
    [
        format!(
            "# Goodput under a flood\n\n\
             Made by `cargo xtask bench flood` from [flood.json](flood.json): {rounds} rounds on {} CPUs ({}), Linux \
             {}; medians, and from the least to the greatest.\n\n{}\n\n![Answers a second]({})\n",
            machine.cpus,
            machine.cpu,
            machine.kernel,
            METHOD.trim(),
            plots::GOODPUT,
        ),
        subjects(results),
        ratios(results),
        loads(results),
        limits(results),
        line_rate(&results.paths),
    ]
    .join("\n")
}

const METHOD: &str = "
Everybody is asked the same, `id.server.` (CH TXT) with an NSID option, and says the same name in both, by settings of
its own, but that CoreDNS can only say the host's name as `id.server.`. NSD, which answers nothing itself, stands behind
nsid, whose limit of answers a second (`--answer-rate`) is on, higher than what is reached here. Queries are frames that
the kernel makes (`BPF_PROG_TEST_RUN` with `BPF_F_TEST_XDP_LIVE_FRAMES`), each with another ID and source port; they cross
a veth pair into the server's network namespace. What comes back is counted by an XDP program, as an answer if it is, byte
for byte behind the ID, the one that a client got before, which has NOERROR and the name; anything else ends the run. All
that works for an answer on the server's side, the kernel's receiving and sending included, is on one CPU, where the
server has one thread and its usual turn; asking and counting are on the other.

*Asked* are queries that left. *Arrived* are those that the wire took to the server's interface: the ring of a veth
holds 256 frames, and is full when the server's CPU does not empty it in time. Answers a second are those that were back when the
last query left. In the *flood*, as many queries are asked as can be. A subject's *best* is its best at any load, the
one included in which 32 queries are on their way and an answer lets the next one go.
";

fn subjects(results: &Results) -> String {
    let mut text = "| | answers/s in the flood | of those asked, arrived | of those arrived, answered | answers/s at its best |\n\
                    | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for subject in Subject::ALL {
        let flood = results.rounds(subject, Load::Flood);
        row(
            &mut text,
            [
                subject.title().to_owned(),
                spread(Spread::of(results.flooded(subject)), thousands),
                spread(Spread::of(flood.iter().map(Sample::part_arrived)), percent),
                spread(Spread::of(flood.iter().map(Sample::part_answered)), percent),
                spread(Spread::of(results.best(subject)), thousands),
            ],
        );
    }
    text
}

/// Ours over others'.
fn ratios(results: &Results) -> String {
    let ours = results.flooded(Subject::Nsid);
    let of = |rates: &dyn Fn(Subject) -> Vec<f64>, subjects: &[Subject]| {
        let mut best = vec![0.0_f64; ours.len()];
        for subject in subjects {
            for (best, rate) in best.iter_mut().zip(rates(*subject)) {
                *best = best.max(rate);
            }
        }
        Spread::of_ratios(&ours, &best)
    };
    let sockets: Vec<_> = Subject::ALL.into_iter().filter(|subject| subject.has_a_socket()).collect();
    let (flooded, best) = (|subject| results.flooded(subject), |subject| results.best(subject));
    let mut text = "| nsid in the flood, over | ratio | target |\n| --- | --- | --- |\n".to_owned();
    let mut line = |name: &str, ratio: Spread, target: Option<f64>| {
        let verdict = target.map_or(String::new(), |target| {
            format!(">= {target}: {}", if ratio.median >= target { "holds" } else { "MISSED" })
        });
        row(&mut text, [name.to_owned(), spread(ratio, |ratio| format!("{ratio:.1}")), verdict]);
    };
    line("the best socket server in the flood", of(&flooded, &sockets), Some(OVER_SOCKETS));
    line("the best socket server at its best", of(&best, &sockets), Some(OVER_SOCKETS));
    line("CoreDNS in the flood", of(&flooded, &[Subject::Coredns]), Some(OVER_COREDNS));
    line("CoreDNS at its best", of(&best, &[Subject::Coredns]), Some(OVER_COREDNS));
    line("Knot DNS by AF_XDP in the flood", of(&flooded, &[Subject::KnotAfXdp]), None);
    line("Knot DNS by AF_XDP at its best", of(&best, &[Subject::KnotAfXdp]), None);
    let every = ours_of(results).all(|sample| sample.answered == sample.arrived);
    let verdict = if every { "holds" } else { "MISSED" };
    row(
        &mut text,
        [
            "every query that arrived was answered, at every load and in every round".to_owned(),
            String::new(),
            verdict.to_owned(),
        ],
    );
    text
}

fn ours_of(results: &Results) -> impl Iterator<Item = &Sample> {
    let ours = results.series.iter().filter(|series| series.subject == Subject::Nsid);
    ours.flat_map(|series| &series.rounds)
}

/// Everybody at every load.
fn loads(results: &Results) -> String {
    let mut text = "Answers a second, in thousands, by how many queries are asked:\n\n".to_owned();
    row(&mut text, [String::new()].into_iter().chain(Load::ALL.map(Load::title)));
    row(&mut text, ["---"; Load::ALL.len() + 1].map(str::to_owned));
    for subject in Subject::ALL {
        let cells = Load::ALL.map(|load| {
            let rates = results.rounds(subject, load).iter().map(Sample::goodput);
            format!("{:.1}", Spread::of(rates).median / 1000.0)
        });
        row(&mut text, [subject.title().to_owned()].into_iter().chain(cells));
    }
    text
}

fn limits(results: &Results) -> String {
    let flood = results.rounds(Subject::Nsid, Load::Flood);
    let busy = Spread::of(flood.iter().map(Sample::busy));
    let asked = Spread::of(flood.iter().map(Sample::offered));
    let refused: u64 = ours_of(results).map(|sample| sample.refused).sum();
    let limit = match (Spread::of(flood.iter().map(Sample::part_arrived)).median, busy.median) {
        (arrived, _) if arrived >= NEARLY_ALL => "that one is what limits",
        (_, busy) if busy >= NEARLY_ALL => "the server's is what limits",
        _ => {
            "neither limits, but that the server's was not there in time: something else ran there, or it slept"
        }
    };
    format!(
        "In the flood, the server's CPU worked {} of the time for nsid, and the other one asked {} times a second \
         while it counted the answers: {limit}. {refused} answers of all rounds did not get into the wire back.\n",
        spread(busy, percent),
        spread(asked, thousands),
    )
}

/// From when on a part counts as all.
const NEARLY_ALL: f64 = 0.95;

fn line_rate(paths: &[Path]) -> String {
    let mut text = "## What line rate takes\n\n\
                    Frames with preamble, frame check sequence and gap; CPUs like those of this machine.\n\n"
        .to_owned();
    let links = LINKS.map(|link| format!("CPUs for {link} GbE"));
    let head = ["", "bytes of the frame", "ns", "M/s and CPU"].map(str::to_owned);
    row(&mut text, head.into_iter().chain(links));
    row(&mut text, ["---"; 4 + LINKS.len()].map(str::to_owned));
    for path in paths {
        let cells = [
            path.name.clone(),
            path.frame.to_string(),
            format!("{:.0}", path.ns),
            format!("{:.1}", path.per_cpu() / 1e6),
        ];
        row(&mut text, cells.into_iter().chain(LINKS.map(|link| format!("{:.1}", path.cpus(link)))));
    }
    format!("{text}\n![CPUs by link]({})\n", plots::LINE_RATE)
}

fn row(text: &mut String, cells: impl IntoIterator<Item = String>) {
    let line = cells.into_iter().fold("|".to_owned(), |line, cell| format!("{line} {cell} |"));
    writeln!(text, "{line}").expect("a String takes all");
}

fn spread(Spread { median, min, max }: Spread, shown: impl Fn(f64) -> String) -> String {
    let [median, min, max] = [median, min, max].map(shown);
    if min == max { median } else { format!("{median} ({min} to {max})") }
}

fn thousands(number: f64) -> String {
    format!("{:.0} k", number / 1000.0)
}

fn percent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}
