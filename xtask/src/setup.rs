//! What a command needs and the machine lacks: said, asked, installed.
//!
//! On Debian everything; elsewhere the programs that its packages hold are named and left to a person.

mod crates;
mod debian;
mod plan;
mod programs;
mod rust;

pub(crate) mod ebpf;

use std::fmt::Display;

use anyhow::{Result, ensure};

pub(crate) use crates::{CARGO_DENY, cache};
pub(crate) use programs::Purpose;

use crate::setup::ebpf::Compiler;
use crate::setup::plan::Plan;

/// Whether a person has agreed to installations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// `--yes`.
    Given,
    /// To be asked for, if there is a person to ask.
    AskOnTerminal,
}

/// What a command needs beside rustup's stable Rust.
#[derive(Clone, Copy)]
pub(crate) enum Need {
    /// A compiler and a linker for the eBPF programs.
    EbpfBuild,
    /// That compiler's clippy.
    EbpfClippy,
    /// The programs that the demo or the tests start.
    Programs(Purpose),
    /// rustfmt, clippy and cargo-deny.
    Linters,
}

/// Sees to the needs of every command.
pub(crate) fn everything(consent: Consent) -> Result<()> {
    let [for_demo, for_tests] = [Purpose::Demo, Purpose::Test].map(Need::Programs);
    prepare(&[Need::EbpfBuild, Need::EbpfClippy, Need::Linters, for_demo, for_tests], consent)?;
    say("everything is there");
    Ok(())
}

/// Sees to the needs of one command, and tells nsid-user's build script which eBPF compiler there is.
pub(crate) fn prepare(needs: &[Need], consent: Consent) -> Result<()> {
    let mut compiler = Compiler::find()?;
    let plan = plan_for(needs, compiler.as_ref())?;
    if !plan.is_empty() {
        plan.announce_and_ask(consent)?;
        plan.carry_out()?;
        compiler = Compiler::find()?;
        let left = plan_for(needs, compiler.as_ref())?;
        ensure!(left.is_empty(), "all was installed, and yet this is missing:\n{left}");
    }
    compiler.map_or(Ok(()), |compiler| compiler.record())
}

fn plan_for(needs: &[Need], compiler: Option<&Compiler>) -> Result<Plan> {
    let mut plan = Plan::default();
    for need in needs {
        match need {
            Need::EbpfBuild => {
                ebpf::plan_compiler(compiler, &mut plan)?;
                crates::BPF_LINKER.plan(&mut plan)?;
            }
            Need::EbpfClippy => ebpf::plan_clippy(compiler, &mut plan),
            Need::Programs(purpose) => programs::plan(*purpose, &mut plan),
            Need::Linters => {
                rust::plan_components(&mut plan);
                CARGO_DENY.plan(&mut plan)?;
            }
        }
    }
    Ok(plan)
}

/// xtask's own words go to stderr: stdout belongs to what it starts.
#[expect(clippy::print_stderr, reason = "xtask is a command line program without a log")]
pub(crate) fn say(line: impl Display) {
    eprintln!("xtask: {line}");
}
