//! What the kernel programs cost on this machine: `cargo xtask bench [--json] [ROW]`.
//!
//! Each row is a program on a frame, by `BPF_PROG_TEST_RUN`: the shipped programs, on maps that are filled as the agent
//! fills them. Where a frame would not be the same a second time, the program for measuring undoes what was done to it.
//!
//! A row that misses its target says so, and is no failure; a program that did not do what its row says is one.

mod frames;
mod measure;
mod rows;
mod stage;
mod table;

use std::{env, process::ExitCode};

use anyhow::{Result, ensure};

use self::{measure::measure, rows::rows, stage::Stage};

fn main() -> Result<ExitCode> {
    ensure!(rustix::process::geteuid().is_root(), "loading programs into the kernel takes root");
    let (flags, words): (Vec<_>, Vec<_>) =
        env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let json = match flags.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--json"] => true,
        _ => anyhow::bail!("usage: bench [--json] [ROW]"),
    };
    let filter = words.join(" ");
    let rows = rows().into_iter().filter(|row| row.name.contains(&filter)).collect::<Vec<_>>();
    ensure!(!rows.is_empty(), "no row's name contains `{filter}`");
    let lines = measure(&mut Stage::set()?, &rows)?;
    if json {
        table::print_json(&lines)?
    } else {
        table::print(&lines)
    }
    Ok(ExitCode::SUCCESS)
}
