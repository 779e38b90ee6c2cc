//! How many queries a second a server answers, with programs beside it and without.
//!
//! One server process and one wire for all states, so that they differ by what is attached alone; only the server that
//! says its name by itself is another process. All states are measured in turn, in many rounds, and compared in each.
//!
//! A second is one in which the server's CPU worked for it, the kernel's receiving and sending included: what else runs
//! there, and a client that is too slow, change little then.

mod load;
mod site;

use std::collections::BTreeMap;

use anyhow::Result;
use nsid_tests::servers::Software;
use serde_json::json;

use self::site::{Rate, Site, State};
use crate::{
    progress::progress,
    table::{Line, Table},
};

const SERVERS: [(&str, Software); 2] = [("NSD", Software::Nsd), ("Unbound", Software::Unbound)];

const ROUNDS: usize = 9;

/// A row: a state, and what it is compared with.
struct Row {
    name: &'static str,
    state: State,
    over: Option<State>,
    /// The least that the ratio should be.
    target: Option<f64>,
}

const ROWS: [Row; 8] = [
    Row::alone("nothing attached", State::Nothing),
    Row::over("nothing attached / the same again", State::NothingAgain, State::Nothing, None),
    Row::over("bare programs / nothing attached", State::Bare, State::Nothing, None),
    Row::over("nsid, unasked / bare programs", State::Attached, State::Bare, Some(0.98)),
    Row::alone("its own NSID", State::Native),
    Row::over("its own NSID, bare programs / without", State::NativeBare, State::Native, None),
    Row::over("NSID by nsid / its own, bare programs", State::Injecting, State::NativeBare, None),
    Row::over("NSID by nsid / its own", State::Injecting, State::Native, Some(0.95)),
];

impl Row {
    const fn alone(name: &'static str, state: State) -> Self {
        Self { name, state, over: None, target: None }
    }

    const fn over(name: &'static str, state: State, over: State, target: Option<f64>) -> Self {
        Self { name, state, over: Some(over), target }
    }
}

/// Measures the rows that are wanted.
pub(crate) fn rates(wanted: impl Fn(&str) -> bool) -> Result<Table> {
    let mut lines = Vec::new();
    for (server, software) in SERVERS {
        let name = |row: &Row| format!("{server}: {}", row.name);
        let rows: Vec<_> = ROWS.iter().map(|row| (name(row), row)).filter(|(name, _)| wanted(name)).collect();
        if !rows.is_empty() {
            let states = State::ALL
                .into_iter()
                .filter(|&state| rows.iter().any(|(_, row)| row.state == state || row.over == Some(state)));
            let rounds = measure(server, software, &states.collect::<Vec<_>>())?;
            lines.extend(rows.into_iter().map(|(name, row)| line(name, row, &rounds)));
        }
    }
    Ok(Table { heading: &["queries/s", "lost", "ratio", "from", "to", "target"], lines })
}

/// What a state came to in each round.
type Rounds = BTreeMap<State, Vec<Rate>>;

fn measure(server: &str, software: Software, states: &[State]) -> Result<Rounds> {
    let site = Site::start(software)?;
    let mut rounds = Rounds::new();
    for round in 1..=ROUNDS {
        progress(format_args!("{server}: round {round} of {ROUNDS}"));
        for &state in states {
            rounds.entry(state).or_default().push(site.measure(state)?);
        }
    }
    Ok(rounds)
}

fn line(name: String, &Row { state, over, target, .. }: &Row, rounds: &Rounds) -> Line {
    let rates = |state| rounds[&state].iter().map(|rate| rate.per_second);
    let lost: u32 = rounds[&state].iter().map(|rate| rate.lost).sum();
    let rate = median(sorted(rates(state)));
    let baseline = over.map(|over| median(sorted(rates(over))));
    let ratios = over.map(|over| sorted(rates(state).zip(rates(over)).map(|(rate, over)| rate / over)));
    let ratio = ratios.as_ref().map(|ratios| median(*ratios));
    let [from, to] = [0, ROUNDS - 1].map(|index| ratios.map(|ratios| ratios[index]));
    let shown = |ratio: Option<f64>| ratio.map_or(String::new(), |ratio| format!("{ratio:.3}"));
    Line {
        name,
        cells: [vec![format!("{rate:.0}"), lost.to_string()], [ratio, from, to, target].map(shown).into()]
            .concat(),
        holds: ratio.zip(target).map(|(ratio, target)| ratio >= target),
        figures: json!({
            "unit": "queries per second of the server's CPU",
            "value": rate,
            "baseline": baseline,
            "ratio": ratio,
            "target": target,
            "min": from,
            "max": to,
            "lost": lost,
        }),
    }
}

fn sorted(numbers: impl Iterator<Item = f64>) -> [f64; ROUNDS] {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers.try_into().expect("each state has a number in each round")
}

fn median(sorted: [f64; ROUNDS]) -> f64 {
    sorted[ROUNDS / 2]
}
