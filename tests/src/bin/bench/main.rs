//! What nsid costs on this machine: `cargo xtask bench [--json] [ROW]`; and what it does for a server that is flooded:
//! `cargo xtask bench flood`; and how long crowds take to have names: `cargo xtask bench claims`.
//!
//! A row that misses its target says so, and is no failure.

mod programs;

mod rates;
mod start;

mod claims;

mod flood;

mod cpus;
mod machine;
mod progress;
mod table;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use nsid_tests::supervise::supervise;

/// Thousands of claimants in one process would be busy with the C library's allocator for a tenth of their time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measures what nsid costs on this machine
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Print rows of JSON on stdout
    #[arg(long)]
    json: bool,

    /// Measure only the rows whose name contains this
    #[arg(value_name = "ROW", default_value = "", hide_default_value = true)]
    filter: String,

    #[command(subcommand)]
    instead: Option<Instead>,
}

/// What is measured instead of rows.
#[derive(Subcommand)]
enum Instead {
    /// Flood real DNS servers, and nsid, with queries made in the kernel; write the report
    Flood(flood::Arguments),
    /// Let crowds of up to 10,000 claim names from a real etcd, a real ZooKeeper and, of 1000, from three witnesses, beside
    /// other ways to do so; write the report
    Claims(claims::Arguments),
}

fn main() -> Result<ExitCode> {
    let Arguments { json, filter, instead } = Arguments::parse();
    ensure!(rustix::process::geteuid().is_root(), "loading programs into the kernel takes root");
    if let Some(code) = supervise() {
        return Ok(code);
    }
    machine::describe();
    match instead {
        Some(Instead::Flood(arguments)) => {
            flood::flood(&arguments)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Instead::Claims(arguments)) => {
            claims::claims(&arguments)?;
            return Ok(ExitCode::SUCCESS);
        }
        None => {}
    }
    let wanted = |name: &str| name.contains(&filter);
    let start = start::start(wanted)?;
    let rates = rates::rates(wanted)?;
    let claims = claims::small(wanted)?;
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
