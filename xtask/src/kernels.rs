//! `cargo xtask kernels`: the programs and the agent on the kernels that Debian has, each booted in a virtual machine.
//!
//! The verifier changes with every release of the kernel: what one loads, the next may refuse.

mod debian;
mod machine;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::build::NSID;
use crate::cargo::{build_release, build_tests};
use crate::kernels::debian::Kernel;
use crate::kernels::machine::Machine;
use crate::kernels::report::Report;
use crate::root::as_root;
use crate::setup::{self, Consent, Need, Purpose, say};

/// Tests of the package nsid-tests that are run in a machine.
struct Task {
    /// The test program.
    program: &'static str,
    /// Chooses among its tests.
    filter: &'static str,
    /// What it takes of the kernel.
    takes: Takes,
    /// What they show, in a word or two.
    shows: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// No module.
    BareKernel,
    /// Modules for links and their queueing disciplines.
    Links,
}

/// What is run on every kernel.
const TASKS: [Task; 5] = [
    Task { program: "kernel", filter: "", takes: Takes::BareKernel, shows: "loads" },
    Task { program: "packet_table", filter: NOT_TWO_CPUS, takes: Takes::BareKernel, shows: "packet tables" },
    Task { program: "answers", filter: "dig_and_kdig", takes: Takes::Links, shows: "CoreDNS, NSD, Unbound" },
    Task { program: "id_server", filter: "dig_and_kdig", takes: Takes::Links, shows: "answers by itself" },
    Task { program: "interface_kinds", filter: "", takes: Takes::Links, shows: "interface kinds" },
];

/// A machine has one CPU, and what two do to each other's notes is the same on every kernel.
const NOT_TWO_CPUS: &str = "--skip between_cpus";

/// What `cargo xtask test` runs on the oldest and the newest: what a change of the programs breaks first, and needs no
/// program beside the test.
const FIRST_TASKS: [Task; 2] = [
    Task { program: "kernel", filter: "the_verifier", takes: Takes::BareKernel, shows: "loads" },
    Task { program: "packet_table", filter: "row", takes: Takes::BareKernel, shows: "packet tables" },
];

/// The test of a NIC, from outside the machine, and what it starts inside.
const NIC: &str = "virtio_net";
const BEHIND_NIC: &str = "virtual_server";
/// The programs that it starts.
const BESIDE_NIC: [&str; 2] = ["ip", "nsd"];

/// Machines at a time: two cores are what CI has.
const MACHINES: usize = 2;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Boot only the kernel of this series, such as 6.1
    series: Option<String>,

    /// Only load the programs and run the tables of packets, on the oldest kernel and the newest, as `cargo xtask test` does
    #[arg(long, conflicts_with = "series")]
    quick: bool,
}

pub(crate) fn kernels(Arguments { series, quick }: &Arguments, consent: Consent) -> Result<()> {
    if !*quick {
        return newest_of_each_series(series.as_deref(), consent);
    }
    setup::prepare(&[Need::Build, Need::Programs(Purpose::Kernels), Need::Programs(Purpose::Test)], consent)?;
    let [nsid] = build_release(&[NSID])?;
    oldest_and_newest(&nsid).map(drop)
}

/// Everything on every kernel, or on one. Once all have passed, docs/kernels.md is written anew.
pub(crate) fn newest_of_each_series(series: Option<&str>, consent: Consent) -> Result<()> {
    let [to_boot, to_test] = [Purpose::Kernels, Purpose::Machine].map(Need::Programs);
    setup::prepare(&[Need::Build, to_boot, to_test, Need::CoreDns], consent)?;
    let [nsid] = build_release(&[NSID])?;
    let programs = test_programs(&TASKS)?;
    let mut machine = Machine::new(&programs)?;
    machine.add(&nsid, setup::programs::names(Purpose::Machine))?;
    machine.add_coredns()?;
    let nic = programs.iter().find_map(|(name, path)| (name == NIC).then_some(path.as_path()));
    let kernels = debian::newest_of_each_series(series)?;
    let reports = boot_each(&kernels, &machine, &TASKS, nic)?;
    if series.is_none() {
        report::write(&reports)?;
    }
    Ok(())
}

/// The programs alone, on the oldest kernel and the newest. What is returned is the environment in which the tests of
/// this host find a machine with a NIC: of the newest kernel that has modules.
pub(crate) fn oldest_and_newest(nsid: &Path) -> Result<[(&'static str, PathBuf); 2]> {
    let kernels = debian::oldest_and_newest()?;
    let mut machine = Machine::new(&test_programs(&FIRST_TASKS)?)?;
    machine.add(nsid, BESIDE_NIC)?;
    boot_each(&kernels, &machine, &FIRST_TASKS, None)?;
    let newest = kernels.iter().rev().find(|kernel| kernel.has_modules());
    with_nic(newest.context("Debian has modules of no kernel")?, &machine)
}

/// Where the test of a NIC finds the kernel, and what is to be inside.
fn with_nic(kernel: &Kernel, machine: &Machine) -> Result<[(&'static str, PathBuf); 2]> {
    let initrd = machine.initrd(kernel, NIC, &format!("{}/{BEHIND_NIC}\n", machine::TESTS))?;
    Ok([("NSID_MACHINE_KERNEL", kernel.image()), ("NSID_MACHINE_INITRD", initrd)])
}

/// Builds the test programs of tasks, the test of a NIC, and what that starts inside.
fn test_programs(tasks: &[Task]) -> Result<Vec<(String, PathBuf)>> {
    let tests: Vec<_> = tasks.iter().map(|task| task.program).chain([NIC]).collect();
    build_tests(&tests, &[BEHIND_NIC])
}

/// Boots each kernel, some at a time, and says what came of it; it is an error if one failed.
fn boot_each(
    kernels: &[Kernel],
    machine: &Machine,
    tasks: &[Task],
    nic: Option<&Path>,
) -> Result<Vec<Report>> {
    machine.pack()?;
    let waiting = Mutex::new(kernels.iter().enumerate());
    let work = || -> Result<Vec<(usize, Report)>> {
        let mut done = Vec::new();
        loop {
            let next = waiting.lock().expect("nobody panics with it").next();
            let Some((place, kernel)) = next else { return Ok(done) };
            let report = boot(kernel, machine, tasks, nic)?;
            say(&report);
            done.push((place, report));
        }
    };
    let mut reports = Vec::new();
    thread::scope(|scope| {
        let machines: Vec<_> = (0..MACHINES).map(|_| scope.spawn(work)).collect();
        machines.into_iter().try_for_each(|machine| {
            reports.extend(machine.join().expect("no machine panics")?);
            anyhow::Ok(())
        })
    })?;
    reports.sort_by_key(|(place, _)| *place);
    let reports: Vec<_> = reports.into_iter().map(|(_, report)| report).collect();
    let failed: Vec<_> = reports.iter().filter_map(Report::failed).collect();
    if !failed.is_empty() {
        bail!("failed on {}", failed.join(", "));
    }
    Ok(reports)
}

/// Runs on a kernel those of the tasks for which it has what they take.
fn boot(kernel: &Kernel, machine: &Machine, tasks: &[Task], nic: Option<&Path>) -> Result<Report> {
    let can = |task: &&Task| task.takes == Takes::BareKernel || kernel.has_modules();
    let tasks: Vec<_> = tasks.iter().filter(can).collect();
    let command = |task: &&Task| format!("{}/{} --nocapture {}\n", machine::TESTS, task.program, task.filter);
    let mut run = machine.boot(kernel, &tasks.iter().map(command).collect::<Vec<_>>().concat())?;
    let mut shown: Vec<_> = tasks.iter().map(|task| task.shows).collect();
    if let Some(test) = nic.filter(|_| kernel.has_modules()) {
        let environment = with_nic(kernel, machine)?;
        let environment = environment.each_ref().map(|(name, path)| (*name, path.as_os_str()));
        let output = as_root(test, &environment)?.output().context("the test of a NIC does not start")?;
        run.passed &= output.status.success();
        run.output.push_str(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
        shown.push("virtio-net");
    }
    if !kernel.has_modules() {
        shown.push("nothing else: Debian no longer has its modules");
    }
    Ok(Report::new(kernel.release.clone(), &shown, run))
}
