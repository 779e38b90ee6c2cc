//! `cargo xtask fuzz`: the fuzz targets of `tests/fuzz`, each from its seeds and from what earlier runs kept.

mod build;
mod run;

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum};

pub(crate) use self::build::as_rustc;

use self::build::Programs;
use self::run::Fuzzer;
use crate::cargo::workspace;
use crate::setup::{self, Consent, Need, Purpose, say};

/// How long `cargo xtask test` runs each target.
pub(crate) const IN_TESTS: Duration = Duration::from_secs(30);

/// What is fuzzed; `tests/fuzz/targets/` says how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// The walk over any bytes, and both hooks on any frame
    Parser,
    /// The same as hickory-proto reads it
    Hickory,
    /// The programs in the kernel and the same code on a model
    Kernel,
    /// Flags and configuration file
    Config,
    /// What agent and verbs read of others
    Control,
    /// Datagrams between nodes without a store
    Peers,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Parser => "parser",
            Self::Hickory => "hickory",
            Self::Kernel => "kernel",
            Self::Config => "config",
            Self::Control => "control",
            Self::Peers => "peers",
        }
    }

    /// Only root may run programs in the kernel.
    fn needs_root(self) -> bool {
        self == Self::Kernel
    }
}

#[derive(Args)]
pub(crate) struct Arguments {
    /// How long to run each target
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    minutes: f64,

    /// Run this one alone
    target: Option<Target>,

    /// Run it on this input alone, once: one that an earlier run has failed on
    #[arg(requires = "target")]
    input: Option<PathBuf>,
}

pub(crate) fn fuzz(Arguments { minutes, target, input }: &Arguments, consent: Consent) -> Result<()> {
    let Ok(time) = Duration::try_from_secs_f64(minutes * 60.0) else {
        bail!("--minutes {minutes} is no time; give a number such as 20 or 0.5");
    };
    setup::prepare(&[Need::Build, Need::Programs(Purpose::Fuzz)], consent)?;
    let programs = programs()?;
    match (target, input) {
        (Some(target), Some(input)) => fuzzer(&programs, *target)?.run_on(input),
        (Some(target), None) => for_a_time(&programs, &[*target], time),
        (None, _) => for_a_time(&programs, Target::value_variants(), time),
    }
}

/// Every target, for the time that there is in `cargo xtask test`.
pub(crate) fn in_tests() -> Result<()> {
    for_a_time(&programs()?, Target::value_variants(), IN_TESTS)
}

fn programs() -> Result<Programs> {
    Programs::build(Target::value_variants().iter().map(|target| target.name()))
}

/// As many targets at a time as there are CPUs.
fn for_a_time(programs: &Programs, targets: &[Target], time: Duration) -> Result<()> {
    let below = directory()?;
    programs.write_seeds(&below.join("seeds"))?;
    let fuzzers = targets.iter().map(|target| fuzzer(programs, *target)).collect::<Result<Vec<_>>>()?;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failed = Vec::new();
        while let Some(fuzzer) = fuzzers.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = fuzzer.run_for(time) {
                say(format_args!("{error:#}"));
                failed.push(fuzzer.name);
            }
        }
        failed
    };
    let cpus = thread::available_parallelism()?.get().min(fuzzers.len());
    let failed: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cpus).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|_| vec!["xtask"])).collect()
    });
    ensure!(failed.is_empty(), "fuzzing found something in {}: above is what", failed.join(", "));
    Ok(())
}

fn fuzzer(programs: &Programs, target: Target) -> Result<Fuzzer> {
    let name = target.name();
    Ok(Fuzzer { name, program: programs.of(name)?, needs_root: target.needs_root(), below: directory()? })
}

/// Where seeds, corpora, logs and failures are.
fn directory() -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| OsStr::new("target").to_owned());
    Ok(workspace()?.join(target).join("fuzz"))
}
