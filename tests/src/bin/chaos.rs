//! Has faults from outside befall agents and their store of three members, and writes what came of it: `cargo xtask chaos
//! --store etcd --faults 200`. Exits 0 only if no name was said by two.

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use nsid_tests::{
    agent::binary,
    chaos::{Plan, Software, chaos, report},
    supervise::supervise,
};

/// How long a fault lasts at least.
const SHORTEST: Duration = Duration::from_secs(1);

/// Has faults from outside befall agents and their store of three members
#[derive(Parser)]
#[command(name = "cargo xtask chaos", bin_name = "cargo xtask chaos")]
struct Arguments {
    /// What the names are from
    #[arg(long, value_enum, value_name = "STORE", default_value_t)]
    store: Software,

    /// How many faults
    #[arg(long, value_name = "N", default_value_t = 200)]
    faults: usize,

    /// What kinds, victims and times are drawn from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// The lease that agents ask for
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    ttl: Duration,

    /// How long a fault lasts at most
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    longest: Duration,

    /// Where the report is written
    #[arg(long, value_name = "FILE")]
    report: PathBuf,
}

fn main() -> Result<ExitCode> {
    let Arguments { store, faults, seed, ttl, longest, report: file } = Arguments::parse();
    ensure!(rustix::process::geteuid().is_root(), "network namespaces and programs in the kernel take root");
    if let Some(code) = supervise() {
        return Ok(code);
    }
    let plan = Plan { seed, faults, kinds: store.kinds(), lasts: (SHORTEST.min(longest), longest), ttl };
    let outcome = chaos(&plan, store, binary(), &mut progress);
    let text = report(&outcome, &binary());
    fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    progress(&format!("written: {}", file.display()));
    if outcome.collisions.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    progress(&format!("names were said by two: {:#?}", outcome.collisions));
    Ok(ExitCode::FAILURE)
}

/// Tells on stderr.
#[expect(clippy::print_stderr, reason = "what goes on is not what comes out")]
fn progress(line: &str) {
    eprintln!("{line}");
}
