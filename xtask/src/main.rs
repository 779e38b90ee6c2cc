//! `cargo xtask`: set-up, build, run, test, bench and lint.
//!
//! Every command first sees to what it needs itself (module `setup`), so that each is the first one that a fresh
//! machine may be given.

mod cargo;
mod root;
mod setup;

mod bench;
mod build;
mod chaos;
mod conformance;
mod fuzz;
mod kernels;
mod lint;
mod run;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::setup::{Consent, say};

/// Set-up, build, run, test, bench and lint of nsid.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    /// Install what is missing without asking (without a terminal nothing is asked anyway)
    #[arg(long, global = true)]
    yes: bool,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install everything that the other commands need
    Setup,
    /// Build target/release/nsid, the eBPF programs inside
    Build,
    /// Show the demo in network namespaces of its own (`-- --store etcd` or `zk`: with an etcd, a ZooKeeper); with
    /// `-- --iface IF ...`, run the agent in the foreground
    Run(run::Arguments),
    /// Run every test, as root: unit tests, packet tables in the kernel, real DNS servers in network namespaces
    Test(test::Arguments),
    /// Run the end-to-end tests of the kernel programs on each kernel that Debian has, in a virtual machine
    Kernels(kernels::Arguments),
    /// Measure on this machine what the kernel programs cost, what a DNS server loses by them, and how long a start and
    /// the claims of a crowd take
    Bench(bench::Arguments),
    /// Have members of a store and agents die, freeze and be cut off, look for a name that two say, and write
    /// docs/chaos-etcd.md, docs/chaos-zk.md or docs/chaos-peers.md anew
    Chaos(chaos::Arguments),
    /// Feed the code whatever bytes reach new parts of it, and compare: parser, kernel programs, configuration, control
    Fuzz(fuzz::Arguments),
    /// Ask every DNS server everything and write docs/conformance.md anew
    Conformance,
    /// Check formatting, lints, dependencies and the rules of the source text
    Lint,
}

fn main() -> ExitCode {
    if let Some(ended) = fuzz::as_rustc() {
        return ended;
    }
    let Arguments { yes, verb } = Arguments::parse();
    let consent = if yes { Consent::Given } else { Consent::AskOnTerminal };
    let done = match verb {
        Verb::Setup => setup::everything(consent),
        Verb::Build => build::build(consent),
        Verb::Run(arguments) => run::run(&arguments, consent),
        Verb::Test(arguments) => test::test(&arguments, consent),
        Verb::Kernels(arguments) => kernels::kernels(&arguments, consent),
        Verb::Bench(arguments) => bench::bench(&arguments, consent),
        Verb::Chaos(arguments) => chaos::chaos(&arguments, consent),
        Verb::Fuzz(arguments) => fuzz::fuzz(&arguments, consent),
        Verb::Conformance => conformance::conformance(consent),
        Verb::Lint => lint::lint(consent),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
