//! `cargo xtask lint`: every check of the source that needs no running program.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::cargo::{cargo, workspace};
use crate::setup::ebpf::Compiler;
use crate::setup::{self, CARGO_DENY, Consent, Need, say};
use crate::tidy;

/// One check: its name, what to do when it fails, and whether the source passes.
struct Check {
    name: &'static str,
    mend: &'static str,
    passes: fn() -> Result<bool>,
}

/// The quick ones first.
const CHECKS: [Check; 5] = [
    Check {
        name: "rules of the source text",
        mend: "the lines above name file and rule; xtask/src/tidy.rs says why there is such a rule",
        passes: tidy::tidy,
    },
    Check { name: "formatting", mend: "`cargo fmt --all`", passes: formatting },
    Check {
        name: "bans, licences and sources of dependencies",
        mend: "another dependency, or an entry in deny.toml that says why",
        passes: dependencies,
    },
    Check {
        name: "clippy of what runs in user space",
        mend: "`cargo clippy --workspace --exclude nsid-ebpf --all-targets --fix`, or an #[expect] with its reason",
        passes: clippy,
    },
    Check {
        name: "clippy of what runs in the kernel",
        mend: "as in user space, but the compiler is the one that .ebpf-compiler names",
        passes: ebpf_clippy,
    },
];

pub(crate) fn lint(consent: Consent) -> Result<()> {
    setup::prepare(&[Need::Build, Need::EbpfClippy, Need::Linters], consent)?;
    let mut failures = Vec::new();
    for Check { name, mend, passes } in CHECKS {
        say(format_args!("checking {name}"));
        match passes() {
            Ok(true) => {}
            Ok(false) => failures.push(format!("{name}. To mend it: {mend}")),
            Err(error) => failures.push(format!("{name}: {error:#}")),
        }
    }
    for failure in &failures {
        say(format_args!("FAILED: {failure}"));
    }
    if !failures.is_empty() {
        bail!("{} of {} checks failed", failures.len(), CHECKS.len());
    }
    say("all checks pass");
    Ok(())
}

fn formatting() -> Result<bool> {
    succeeds(cargo()?.args(["fmt", "--all", "--check"]))
}

fn dependencies() -> Result<bool> {
    let mut deny = Command::new(CARGO_DENY.path()?);
    deny.current_dir(workspace()?).args(["--log-level=error", "check", "bans", "licenses", "sources"]);
    succeeds(&mut deny)
}

fn clippy() -> Result<bool> {
    succeeds(cargo()?.args([
        "clippy",
        "--workspace",
        "--exclude=nsid-ebpf",
        "--all-targets",
        "--",
        "--deny=warnings",
    ]))
}

fn ebpf_clippy() -> Result<bool> {
    let compiler = Compiler::find()?.context("no compiler for the eBPF programs")?;
    let target = if cfg!(target_endian = "big") { "bpfeb-unknown-none" } else { "bpfel-unknown-none" };
    let mut clippy = compiler.cargo()?;
    clippy.args(["clippy", "--package=nsid-ebpf", "--bins", "--target", target, "-Zbuild-std=core"]);
    succeeds(clippy.args(["--", "--deny=warnings"]))
}

fn succeeds(command: &mut Command) -> Result<bool> {
    let started = command.status();
    Ok(started.with_context(|| format!("{} does not start", command.get_program().display()))?.success())
}
