//! The targets' programs, in which libFuzzer sees what was reached.
//!
//! rustc counts that on any channel, by a pass of LLVM. (The sanitizers need a nightly; there is little for them in
//! code whose only raw pointers are in the kernel.) Only the crates of this workspace have the pass, since a rustc of
//! ours adds it ([`as_rustc`]): their dependencies are those of the tests, and are not built again.

use std::collections::HashMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};

use crate::cargo::{cargo, executables};

const PACKAGE: &str = "nsid-fuzz";
/// The program that writes the seeds, and has no coverage.
const SEEDS: &str = "fuzz-seeds";

/// What runs for every input: optimized, with its arithmetic still checked.
const FAST: [&str; 3] = ["nsid-common", "nsid-packets", PACKAGE];

/// Set for the rustc of ours.
const AS_RUSTC: &str = "NSID_XTASK_AS_RUSTC";

/// Those of cargo-fuzz, for libFuzzer without a sanitizer.
const COVERAGE: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// The program of each target, and the one that writes their seeds.
pub(super) struct Programs {
    targets: HashMap<String, PathBuf>,
    seeds: PathBuf,
}

impl Programs {
    pub(super) fn build(targets: impl Iterator<Item = &'static str>) -> Result<Self> {
        let seeds = build([SEEDS.to_owned()])?;
        let seeds = executables(seeds)?.remove(SEEDS).context("cargo built no seeds")?;
        let mut targets = build(targets.map(program))?;
        for package in FAST {
            targets.args(["--config", &format!("profile.dev.package.{package}.opt-level=3")]);
        }
        targets.env("RUSTC_WORKSPACE_WRAPPER", env::current_exe()?).env(AS_RUSTC, "1");
        Ok(Self { targets: executables(targets)?, seeds })
    }

    /// The program of a target.
    pub(super) fn of(&self, target: &str) -> Result<PathBuf> {
        let program = program(target);
        self.targets.get(&program).cloned().with_context(|| format!("cargo built no {program}"))
    }

    /// Writes what each target starts from into a directory of its name.
    pub(super) fn write_seeds(&self, below: &Path) -> Result<()> {
        let status = Command::new(&self.seeds).arg(below).status().context("no seeds")?;
        ensure!(status.success(), "the seeds could not be written");
        Ok(())
    }
}

fn program(target: &str) -> String {
    format!("fuzz-{target}")
}

fn build(programs: impl IntoIterator<Item = String>) -> Result<Command> {
    let mut build = cargo()?;
    build.args(["build", "--message-format=json-render-diagnostics", "--package", PACKAGE]);
    for program in programs {
        build.args(["--bin", &program]);
    }
    // As in tests, whatever the profile says: else every dependency is built once more.
    build.args(["--config", "profile.dev.panic='unwind'"]);
    Ok(build)
}

/// Compiles, if it was cargo that called and not a person: as rustc does, and counts coverage where it can be read.
pub(crate) fn as_rustc() -> Option<ExitCode> {
    env::var_os(AS_RUSTC)?;
    let mut arguments = env::args_os().skip(1);
    let mut rustc = Command::new(arguments.next()?);
    let arguments: Vec<OsString> = arguments.collect();
    rustc.args(&arguments);
    if is_fuzzed(&arguments) {
        rustc.args(COVERAGE);
    }
    let ended = rustc.status().map(|status| status.success());
    Some(if ended.unwrap_or(false) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Not a build script: it has no libFuzzer in it, which the pass calls.
fn is_fuzzed(arguments: &[OsString]) -> bool {
    let name = arguments.iter().skip_while(|argument| *argument != "--crate-name").nth(1);
    name.is_some_and(|name| name != OsStr::new("build_script_build"))
}
