//! What nsid costs on this machine: `cargo xtask bench [--json] [ROW]`.
//!
//! A row that misses its target says so, and is no failure.

mod programs;

mod machine;
mod progress;
mod table;

use std::{env, process::ExitCode};

use anyhow::{Result, bail, ensure};
fn main() -> Result<ExitCode> {
    ensure!(rustix::process::geteuid().is_root(), "loading programs into the kernel takes root");
    let (flags, words): (Vec<_>, Vec<_>) =
        env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let json = match flags.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--json"] => true,
        _ => bail!("usage: bench [--json] [ROW]"),
    };
    let filter = words.join(" ");
    let wanted = |name: &str| name.contains(&filter);
    machine::describe();
    let tables = [programs::programs(wanted)?];
    ensure!(tables.iter().any(|table| !table.lines.is_empty()), "no row's name contains `{filter}`");
    if json {
        table::print_json(tables.into())?;
    } else {
        table::print(&tables);
    }
    Ok(ExitCode::SUCCESS)
}
