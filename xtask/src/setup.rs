//! What a command needs and the machine lacks: said, asked, installed.
//!
//! On Debian everything; elsewhere the programs that its packages hold are named and left to a person.

mod beside;
mod crates;
mod debian;
mod plan;
mod rust;

pub(crate) mod coredns;
pub(crate) mod ebpf;
pub(crate) mod programs;

use std::fmt::Display;

use anyhow::{Result, ensure};

pub(crate) use beside::Running;
pub(crate) use crates::{CARGO_DENY, HICKORY, cache};
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
    /// What any build takes: compiler and linker of the eBPF programs, and of protocol buffers (etcd's).
    Build,
    /// That compiler's clippy.
    EbpfClippy,
    /// The programs that the demo, the tests or the bench start.
    Programs(Purpose),
    /// One of these that is not packaged.
    CoreDns,
    /// The other one.
    Hickory,
    /// rustfmt, clippy and cargo-deny.
    Linters,
}

/// Sees to the needs of every command.
pub(crate) fn everything(consent: Consent) -> Result<()> {
    let programs = [Purpose::Demo, Purpose::Test, Purpose::Bench, Purpose::Kernels, Purpose::Machine];
    let mut needs = vec![Need::Build, Need::EbpfClippy, Need::Linters, Need::CoreDns, Need::Hickory];
    needs.extend(programs.map(Need::Programs));
    prepare(&needs, consent)?;
    say("everything is there");
    Ok(())
}

/// Sees to the needs of one command, and tells nsid-user's build script which eBPF compiler there is.
pub(crate) fn prepare(needs: &[Need], consent: Consent) -> Result<()> {
    begin(needs, consent)?.into_iter().try_for_each(Running::wait)
}

/// The same, without waiting for what can be built beside.
pub(crate) fn begin(needs: &[Need], consent: Consent) -> Result<Vec<Running>> {
    let mut compiler = Compiler::find()?;
    let plan = plan_for(needs, compiler.as_ref())?;
    let mut running = Vec::new();
    if !plan.is_empty() {
        plan.announce_and_ask(consent)?;
        running = plan.carry_out()?;
        compiler = Compiler::find()?;
        let left = plan_for(needs, compiler.as_ref())?;
        ensure!(left.is_done_but_for_beside(), "all was installed, and yet this is missing:\n{left}");
    }
    if let Some(compiler) = compiler {
        compiler.record()?;
    }
    Ok(running)
}

fn plan_for(needs: &[Need], compiler: Option<&Compiler>) -> Result<Plan> {
    let mut plan = Plan::default();
    for need in needs {
        match need {
            Need::Build => {
                programs::plan(Purpose::Build, &mut plan);
                ebpf::plan_compiler(compiler, &mut plan)?;
                crates::BPF_LINKER.plan(&mut plan)?;
            }
            Need::EbpfClippy => ebpf::plan_clippy(compiler, &mut plan),
            Need::Programs(purpose) => programs::plan(*purpose, &mut plan),
            Need::CoreDns => coredns::plan(&mut plan)?,
            Need::Hickory => HICKORY.plan_beside(&mut plan)?,
            Need::Linters => {
                rust::plan_components(&mut plan);
                CARGO_DENY.plan(&mut plan)?;
            }
        }
    }
    Ok(plan)
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// xtask's own words go to stderr: stdout belongs to what it starts.
#[expect(clippy::print_stderr, reason = "xtask is a command line program without a log")]
pub(crate) fn say(line: impl Display) {
    eprintln!("xtask: {line}");
}
