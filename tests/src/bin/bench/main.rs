//! What nsid costs on this machine: `cargo xtask bench [--json] [ROW]`.
//!
//! A row that misses its target says so, and is no failure.

mod programs;

mod rates;
mod start;

mod claims;

mod machine;
mod progress;
mod table;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use nsid_tests::supervise::supervise;

/// Measures what nsid costs on this machine
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
    /// Print rows of JSON on stdout
    #[arg(long)]
    json: bool,

    /// Measure only the rows whose name contains this
    #[arg(value_name = "ROW", default_value = "", hide_default_value = true)]
    filter: String,
}

fn main() -> Result<ExitCode> {
    let Arguments { json, filter } = Arguments::parse();
    ensure!(rustix::process::geteuid().is_root(), "loading programs into the kernel takes root");
    if let Some(code) = supervise() {
        return Ok(code);
    }
    let wanted = |name: &str| name.contains(&filter);
    machine::describe();
    let start = start::start(wanted)?;
    let rates = rates::rates(wanted)?;
    let claims = claims::claims(wanted)?;
    // Last, since it leaves the host's mount namespace.
    let tables = [programs::programs(wanted)?, rates, start, claims];
    ensure!(tables.iter().any(|table| !table.lines.is_empty()), "no row's name contains `{filter}`");
    if json {
        table::print_json(tables.into())?;
    } else {
        table::print(&tables);
    }
    Ok(ExitCode::SUCCESS)
}
