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

use std::{env, process::ExitCode};

use anyhow::{Result, bail, ensure};
use nsid_tests::supervise::supervise;

/// The argument by which the program starts itself under supervision.
const SUPERVISED: &str = "supervised";

fn main() -> Result<ExitCode> {
    ensure!(rustix::process::geteuid().is_root(), "loading programs into the kernel takes root");
    let mut arguments = env::args().skip(1).peekable();
    if arguments.next_if(|argument| argument == SUPERVISED).is_none() {
        return Ok(supervise([SUPERVISED.to_owned()].into_iter().chain(arguments).map(Into::into)));
    }
    let (flags, words): (Vec<_>, Vec<_>) = arguments.partition(|argument| argument.starts_with("--"));
    let json = match flags.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--json"] => true,
        _ => bail!("usage: bench [--json] [ROW]"),
    };
    let filter = words.join(" ");
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
