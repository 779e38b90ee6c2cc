//! Goodput under a flood: how many queries for the server's identity are answered as they should be, by the kernel
//! programs of nsid and by servers that say the same by themselves, while ever more of them come.
//!
//! Neither asking nor counting knows sockets, which would be the slowest part by far: the queries are frames that the
//! kernel makes by `BPF_PROG_TEST_RUN`, and an XDP program compares the answers byte by byte.
//!
//! All subjects are measured at each load in turn, in many rounds, and compared in each.

mod frame;
mod load;
mod programs;
mod subject;

mod site;

mod line_rate;
mod results;

mod plots;
mod report;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use self::{
    line_rate::Path,
    load::Load,
    results::{Results, Sample, Series, Spread},
    site::Site,
    subject::Subject,
};
use crate::{
    cpus,
    machine::Machine,
    programs::{answered_with_nsid, inserted, time_above_bare},
    progress::progress,
};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Where the report is written: flood.json, report.md and its plots
    #[arg(long, value_name = "DIRECTORY", default_value = "docs/bench")]
    to: PathBuf,

    /// How often everything is measured
    #[arg(long, default_value_t = 7)]
    rounds: usize,

    /// Measure nothing, and write the report of the flood.json that is there
    #[arg(long)]
    draw: bool,
}

/// Measures, writes, and prints what came of it.
pub(crate) fn flood(Arguments { to, rounds, draw }: &Arguments) -> Result<()> {
    std::fs::create_dir_all(to)?;
    let json = to.join("flood.json");
    if !draw {
        let results = measure(*rounds)?;
        std::fs::write(&json, serde_json::to_string(&results)? + "\n")?;
    }
    let results: Results = serde_json::from_str(&std::fs::read_to_string(&json)?)?;
    plots::draw(&results, to)?;
    let report = report::report(&results);
    std::fs::write(to.join("report.md"), &report)?;
    println!("{report}");
    Ok(())
}

fn measure(rounds: usize) -> Result<Results> {
    let cpus = cpus::choose()?;
    let mut sites = Vec::new();
    for subject in Subject::ALL {
        progress(format_args!("flood: {} starts", subject.title()));
        sites.push((subject, Site::start(subject, cpus)?));
    }
    let mut series: Vec<Series> = Subject::ALL
        .into_iter()
        .flat_map(|subject| Load::ALL.map(|load| Series { subject, load, rounds: Vec::new() }))
        .collect();
    for round in 1..=rounds {
        progress(format_args!("flood: round {round} of {rounds}"));
        for Series { subject, load, rounds } in &mut series {
            let site = sites.iter_mut().find(|(of, _)| of == subject);
            let (_, site) = site.expect("each subject has one");
            rounds.push(site.measure(*load)?);
        }
    }
    drop(sites);
    let whole = Spread::of(ours(&series).iter().map(Sample::ns_per_query)).median;
    Ok(Results { machine: Machine::here(), series, paths: paths(whole)? })
}

fn ours(series: &[Series]) -> &[Sample] {
    let ours = series.iter().find(|series| series.subject == Subject::Nsid && series.load == Load::Flood);
    &ours.expect("it is one of all").rounds
}

/// What is done to frames, and how long it takes.
fn paths(whole_answer: f64) -> Result<Vec<Path>> {
    /// Bytes of these rows' frames when they leave.
    const ANSWER: u32 = 113;
    const RESPONSE: u32 = 115;
    let [answered, inserted] = time_above_bare(&[answered_with_nsid(), inserted()])?;
    let path = |name: &str, frame, ns| Path { name: name.to_owned(), frame, ns };
    Ok(vec![
        path("an answer, with the undo of the bench", ANSWER, answered),
        path("an answer here, veth's receiving and sending included", ANSWER, whole_answer),
        path("an insertion, with the undo of the bench", RESPONSE, inserted),
    ])
}
