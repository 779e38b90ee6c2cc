//! How long a start takes: from before the agent is executed until a client has an answer with the name.

use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use nsid_tests::{
    agent::Agent,
    client::Client,
    message::Query,
    servers::{PRESENT, Server, Software},
    wire::{INTERFACE, Wire},
};

use crate::{
    progress::progress,
    table::{Line, Table},
};

const ROW: &str = "start: exec to the first answer with the name";
const STARTS: usize = 11;
const TARGET: Duration = Duration::from_millis(150);

/// How often the client asks; an answer takes less.
const PERIOD: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(10);
const NAME: &str = "worker17";

/// Measures the row, if it is wanted.
pub(crate) fn start(wanted: impl Fn(&str) -> bool) -> Result<Table> {
    let lines = if wanted(ROW) { vec![measure()?] } else { vec![] };
    Ok(Table { heading: &["median", "max", "target"], lines })
}

fn measure() -> Result<Line> {
    let wire = Wire::direct();
    let _server = Server::start_default(Software::Nsd, &wire.server, wire.addresses);
    let mut starts = Vec::new();
    for number in 1..=STARTS {
        progress(format_args!("start: {number} of {STARTS}"));
        starts.push(one(&wire)?);
    }
    Ok(Line::timed(ROW.to_owned(), starts, Some(TARGET)))
}

/// One start of an instance that was not there before.
fn one(wire: &Wire) -> Result<Duration> {
    let client = Client::new(&wire.client, IpAddr::V4(wire.addresses.v4));
    let query = Query::a(PRESENT).with_nsid();
    let before = Instant::now();
    let agent = Agent::spawn(&wire.server, &["--iface", INTERFACE, "--store", &format!("static:{NAME}")]);
    let mut next = Instant::now();
    let first = loop {
        let answer = client.ask_within(PERIOD, &query);
        let elapsed = before.elapsed();
        if answer.is_some_and(|answer| answer.nsid().as_deref() == Some(NAME)) {
            break elapsed;
        }
        ensure!(elapsed < PATIENCE, "no answer with the name in {PATIENCE:?}\n{}", agent.stderr());
        next += PERIOD;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    };
    let (status, _instance) = agent.terminate();
    ensure!(status.success(), "the agent ended with {status}");
    Ok(first)
}
