//! `cargo xtask kernels`: the programs and the agent on the kernels that Debian has, each booted in a virtual machine.
//!
//! The verifier changes with every release of the kernel: what one loads, the next may refuse.

mod debian;
mod machine;

use anyhow::{Result, bail};
use clap::Args;

use crate::build::NSID;
use crate::cargo::{build_release, build_tests};
use crate::kernels::debian::Kernel;
use crate::kernels::machine::Machine;
use crate::setup::{self, Consent, Need, Purpose, say};

/// Tests of the package nsid-tests that are run on every kernel, and the word that chooses among them.
const TESTS: [(&str, &str); 3] = [
    // Needs no module.
    ("kernel", ""),
    ("answers", "dig_and_kdig"),
    ("id_server", "dig_and_kdig"),
];

#[derive(Args, Default)]
pub(crate) struct Arguments {
    /// Boot only the kernel of this series, such as 6.1
    series: Option<String>,
}

pub(crate) fn kernels(Arguments { series }: &Arguments, consent: Consent) -> Result<()> {
    let [to_boot, to_test] = [Purpose::Kernels, Purpose::Machine].map(Need::Programs);
    setup::prepare(&[Need::Build, to_boot, to_test, Need::CoreDns], consent)?;
    let [nsid] = build_release(&[NSID])?;
    let tests = build_tests(&TESTS.map(|(test, _)| test))?;
    let kernels = debian::newest(series.as_deref())?;
    let machine = Machine::new(&nsid, &tests)?;
    say("kernel                          ingress  egress  verified instructions, at most");
    let mut failed = Vec::new();
    for kernel in &kernels {
        if !passes(&machine, kernel)? {
            failed.push(kernel.release.as_str());
        }
    }
    if !failed.is_empty() {
        bail!("failed on {}", failed.join(", "));
    }
    Ok(())
}

fn passes(machine: &Machine, kernel: &Kernel) -> Result<bool> {
    let run = machine.boot(kernel, &commands(kernel.has_veth()))?;
    let [ingress, egress] = ["ingress", "egress"].map(|program| {
        most_verified(&run.output, program).map_or_else(|| "-".to_owned(), |count| count.to_string())
    });
    let remark = match (run.passed, kernel.has_veth()) {
        (false, _) => format!("FAILED:\n{}", run.output),
        (true, true) => "loads, serves CoreDNS, NSD and Unbound".to_owned(),
        (true, false) => "loads (its modules are no longer in Debian)".to_owned(),
    };
    say(format_args!("{:30} {ingress:>8} {egress:>7}  {remark}", kernel.release));
    Ok(run.passed)
}

/// Test programs with what chooses among their tests; without veth, those that need no module.
fn commands(has_veth: bool) -> String {
    let tests = TESTS.iter().filter(|(test, _)| has_veth || *test == "kernel");
    let lines = tests.map(|(test, filter)| format!("{}/{test} {filter}\n", machine::TESTS));
    lines.collect::<Vec<_>>().concat()
}

/// Of the lines `verified PROGRAM COUNT` that the test `kernel` prints, the highest count.
fn most_verified(output: &str, program: &str) -> Option<u32> {
    let counts = output.lines().filter_map(|line| {
        let (_, count) = line.split_once(&format!("verified {program} "))?;
        count.split_whitespace().next()?.parse().ok()
    });
    counts.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_count_is_shown_wherever_it_stands_in_its_line() {
        let output =
            "test a ... verified ingress 17 \nverified egress 30 \nverified ingress 18 --log-packets\n";
        assert_eq!(most_verified(output, "ingress"), Some(18));
        assert_eq!(most_verified(output, "egress"), Some(30));
        assert_eq!(most_verified("verified ingress none", "ingress"), None);
    }
}
