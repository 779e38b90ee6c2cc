//! What the running kernel makes of the programs. `cargo xtask kernels` asks this of every kernel that Debian has.

use std::{collections::BTreeSet, time::Duration};

use aya::{EbpfLoader, programs::Program};
use nsid_tests::{
    agent::{Agent, Instance},
    netns::Namespace,
    patience::until,
    process::run,
    unique::Prefix,
    verifier::{kernel, limit},
};
use nsid_user::datapath::{OBJECT, Prog};
use serde_json::json;

/// The loopback interface is the only one that every kernel has without a module.
const RUN: [&str; 8] =
    ["--iface", "lo", "--store", "static:vm", "--listen", "127.0.0.1:53", "--ingress", "auto"];

const PATIENCE: Duration = Duration::from_secs(10);

/// `aya_log::Level::Debug`, which `--log-packets` sets.
const DEBUG: u8 = 4;

/// The programs of the object, as the verifier saw them: by name, how many instructions it went through.
fn verified(log_level: u8) -> Vec<(String, u32)> {
    let mut loader = EbpfLoader::new();
    loader.override_global("AYA_LOG_LEVEL", &log_level, true);
    let mut ebpf = loader.load(OBJECT).expect("the object can be loaded, as root");
    let count = |(name, program): (&str, &mut Program)| {
        match program {
            Program::Xdp(program) => program.load(),
            Program::SchedClassifier(program) => program.load(),
            other => panic!("{name} is of a type that the agent does not load: {:?}", other.prog_type()),
        }
        .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let info = program.info().expect("the kernel tells of what it has loaded");
        (name.to_owned(), info.verified_instruction_count().expect("a count, since Linux 5.16"))
    };
    ebpf.programs_mut().map(count).collect()
}

#[test]
fn the_verifier_goes_through_each_program_well_below_its_limit() {
    let limit = limit();
    let programs = verified(0);
    let names: BTreeSet<&str> = programs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, Prog::ALL.map(Prog::name).into());
    for (name, count) in &programs {
        println!("verified {name} {count}");
    }
    // With logging there is no limit but the kernel's.
    for (name, count) in verified(DEBUG) {
        println!("verified {name} {count} --log-packets");
    }
    let above: Vec<_> = programs.iter().filter(|(_, count)| *count > limit).collect();
    assert!(above.is_empty(), "more than {limit} instructions: {above:?}");
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

/// Kills the agent and starts its instance there.
fn start_again(agent: Agent, namespace: &Namespace) -> Agent {
    let mut agent = Agent::spawn_as(agent.kill(), namespace, &RUN);
    agent.ready();
    until(PATIENCE, "the agent to run", || agent.status()["agent"] == json!("running"));
    is_attached(namespace, &agent);
    agent
}

#[test]
fn egress_is_by_tcx_or_a_filter_that_a_restart_replaces_and_the_end_removes() {
    let namespace = Namespace::new(Prefix::Test, "lo");
    let agent = Agent::start(&namespace, &RUN);
    is_attached(&namespace, &agent);

    let agent = start_again(agent, &namespace);
    let (status, _instance) = agent.terminate();
    assert!(status.success());
    assert_eq!(filters(&namespace), "");

    let instance: Instance = Agent::start(&namespace, &RUN).kill();
    instance.verb("detach");
    assert_eq!(filters(&namespace), "");
}

#[test]
fn what_is_left_in_another_namespace_is_gone_once_the_instance_runs_again() {
    let (old, new) = (Namespace::new(Prefix::Test, "old"), Namespace::new(Prefix::Test, "new"));
    let agent = Agent::start(&old, &RUN);
    is_attached(&old, &agent);
    let _agent = start_again(agent, &new);
    assert_eq!(filters(&old), "");
}
