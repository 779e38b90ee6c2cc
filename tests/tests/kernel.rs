//! What the running kernel makes of the programs. `cargo xtask kernels` asks this of every kernel that Debian has.

use std::{fs, time::Duration};

use nsid_tests::{
    agent::{Agent, Instance},
    netns::Namespace,
    patience::until,
    process::run,
    unique::Prefix,
};
use serde_json::json;

/// The loopback interface is the only one that every kernel has without a module.
const RUN: [&str; 6] = ["--iface", "lo", "--store", "static:vm", "--listen", "127.0.0.1:53"];

const PATIENCE: Duration = Duration::from_secs(10);

/// `BPF_PROG_TYPE_XDP` and `BPF_PROG_TYPE_SCHED_CLS` of include/uapi/linux/bpf.h.
const PROGRAMS: [(&str, &str); 2] = [("ingress", "6"), ("egress", "3")];

/// The running kernel's version, to the second number.
fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    let mut numbers = release.split(['.', '-', '+']).map(|number| number.parse().expect("a number"));
    (numbers.next().expect("a version"), numbers.next().expect("a second number"))
}

/// How many instructions the verifier went through for a program of this process, of those of a type.
fn verified(process: u32, program_type: &str) -> u32 {
    let directory = format!("/proc/{process}/fdinfo");
    let files = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let infos = files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
    let counts = infos.filter_map(|info| {
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        (field("prog_type")? == program_type).then(|| field("verified_insns")?.parse().ok()).flatten()
    });
    // A probe that aya keeps open would be smaller.
    counts.max().unwrap_or_else(|| panic!("no program of type {program_type} in {directory}"))
}

#[test]
fn the_verifier_goes_through_each_program_well_below_its_limit() {
    let namespace = Namespace::new(Prefix::Test, "lo");
    // The targets of `cargo xtask bench`.
    let limit = if kernel() < (6, 2) { 30_000 } else { 25_000 };
    for arguments in [&[][..], &["--log-packets"]] {
        let agent = Agent::start(&namespace, &[&RUN, arguments].concat());
        for (name, program_type) in PROGRAMS {
            let count = verified(agent.id(), program_type);
            println!("verified {name} {count} {}", arguments.join(" "));
            assert!(count < limit, "{name}: {count} instructions, {arguments:?}");
        }
    }
}

/// The filters of `lo`, as `tc` prints them.
fn filters(namespace: &Namespace) -> String {
    run(namespace.command("tc").args(["filter", "show", "dev", "lo", "egress"]))
}

fn is_attached(namespace: &Namespace, agent: &Agent) {
    let egress = &agent.status()["interfaces"][0]["tc"];
    let (hook, listed) = if kernel() < (6, 6) { ("clsact", 1) } else { ("tcx", 0) };
    assert_eq!(*egress, json!(hook));
    assert_eq!(filters(namespace).matches("direct-action").count(), listed, "{}", filters(namespace));
}

#[test]
fn egress_is_by_tcx_or_a_filter_that_a_restart_replaces_and_the_end_removes() {
    let namespace = Namespace::new(Prefix::Test, "lo");
    let agent = Agent::start(&namespace, &RUN);
    is_attached(&namespace, &agent);

    let mut agent = Agent::spawn_as(agent.kill(), &namespace, &RUN);
    agent.ready();
    until(PATIENCE, "the agent to run", || agent.status()["agent"] == json!("running"));
    is_attached(&namespace, &agent);
    let (status, _instance) = agent.terminate();
    assert!(status.success());
    assert_eq!(filters(&namespace), "");

    let instance: Instance = Agent::start(&namespace, &RUN).kill();
    instance.verb("detach");
    assert_eq!(filters(&namespace), "");
}
