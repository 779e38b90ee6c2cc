//! Bad input: at most three lines that name what is at fault, an exit code that is not 0, and nothing left behind.

use std::{fs, process::Output};

use nsid_tests::{
    agent::{Instance, run_refused},
    attached::{Attached, attached, directories},
    unique::Prefix,
    wire::{INTERFACE, Wire},
};

fn assert_refused(wire: &Wire, instance: &Instance, output: &Output, at_fault: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!((1..=3).contains(&stderr.lines().count()), "{at_fault}: not one to three lines:\n{stderr}");
    assert!(stderr.contains(at_fault), "{at_fault}: not named:\n{stderr}");
    assert!(output.stdout.is_empty(), "{at_fault}: {output:?}");
    assert_eq!(attached(&wire.server, INTERFACE), Attached::default(), "{at_fault}");
    assert_eq!(directories(instance.name()), Vec::<String>::new(), "{at_fault}");
}

#[test]
fn bad_flags_are_refused_by_name() {
    let long_label = format!("static:{}.example", "n".repeat(64));
    let long_name = format!("static:{}", ["n".repeat(63), "m".repeat(63), "x".to_owned()].join("."));
    let iface = ["--iface", INTERFACE];
    let with = |more: &[&'static str]| [&iface[..], more].concat();
    let wire = Wire::direct();
    let instance = Instance::new(Prefix::Test);
    for (arguments, at_fault) in [
        (vec!["--store", "static:ns1"], "iface"),
        (with(&["--store", "local", "--pattern", "worker.example"]), "pattern"),
        (with(&["--store", "local", "--pattern", "worker{id}-{id}.example"]), "pattern"),
        (with(&["--store", "local", "--pattern", "wor ker{id}.example"]), "pattern"),
        (with(&["--store", "local", "--pattern", "worker{id}.example", "--limit", "0"]), "limit"),
        (with(&["--store", "local", "--pattern", "worker{id}.example", "--ttl", "0s"]), "ttl"),
        (with(&["--store", "nosuch:x"]), "nosuch"),
        (with(&["--store", "static:ns1", "--listen", "10.77.1.2"]), "listen"),
        (with(&["--store", "static:ns1", "--nosuch"]), "--nosuch"),
        (with(&["--store", "static:ns1", "--answer", "nosuch"]), "answer"),
        ([&iface[..], &["--store", &long_label]].concat(), &"n".repeat(64)),
        ([&iface[..], &["--store", &long_name]].concat(), "128"),
        (vec!["--iface", "nosuch0", "--store", "static:ns1"], "nosuch0"),
    ] {
        let output = run_refused(&wire.server, &instance, &arguments);
        assert_refused(&wire, &instance, &output, at_fault);
    }
}

#[test]
fn bad_files_are_refused_by_name_and_key() {
    let wire = Wire::direct();
    let instance = Instance::new(Prefix::Test);
    let directory = wire.server.scratch();
    for (name, text, at_fault) in [
        ("malformed.toml", "iface = [", "malformed.toml"),
        ("unknown.toml", "iface = [\"eth0\"]\nnosuch = 1\n", "nosuch"),
        ("service.toml", "iface = [\"eth0\"]\n[[services]]\nstore = \"static:ns1\"\nnosuch = 1\n", "nosuch"),
        (
            "type.toml",
            "iface = [\"eth0\"]\n[[services]]\nstore = \"static:ns1\"\nlimit = \"many\"\n",
            "limit",
        ),
    ] {
        let file = directory.path().join(name);
        fs::write(&file, text).expect("a temporary file");
        let output =
            run_refused(&wire.server, &instance, &["--config", file.to_str().expect("a path in UTF-8")]);
        assert_refused(&wire, &instance, &output, at_fault);
    }
    let missing = directory.path().join("missing.toml");
    let output =
        run_refused(&wire.server, &instance, &["--config", missing.to_str().expect("a path in UTF-8")]);
    assert_refused(&wire, &instance, &output, "missing.toml");
}
