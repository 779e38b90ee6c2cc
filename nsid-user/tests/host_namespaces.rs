//! Entering the host's mount namespace from where people start agents. Runs itself again as a process of one
//! thread in each of those places; the parent compares what the children tell.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    process::{Command, Output},
    sync::mpsc,
    thread,
};

use nsid_user::host::namespaces::{Entered, NetNs, enter_host_mount_namespace};
use serde::{Deserialize, Serialize};

/// What a child saw before and after it entered the host's mount namespace.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    moved: bool,
    mount: [u64; 2],
    sys: [u64; 2],
    net: [NetNs; 2],
    directory: [String; 2],
}

fn main() {
    let mut arguments = env::args();
    match arguments.by_ref().find(|argument| argument == CHILD).and_then(|_| arguments.next()).as_deref() {
        Some("one thread") => child(),
        Some("two threads") => {
            let (_alive, wait) = mpsc::channel::<()>();
            thread::spawn(move || wait.recv());
            child();
        }
        Some(other) => unreachable!("no child is called {other}"),
        None => {
            each_start_ends_in_the_hosts_mount_namespace();
            a_process_with_threads_is_refused();
            println!("each start ends in the host's mount namespace, unless the process has threads");
        }
    }
}

const CHILD: &str = "--child";

fn child() {
    let mount = || fs::metadata("/proc/self/ns/mnt").expect("/proc").ino();
    let sys = || fs::metadata("/sys").expect("/sys").dev();
    let net = || NetNs::current().expect("/proc");
    let directory = || env::current_dir().expect("a directory").display().to_string();
    let before = (mount(), sys(), net(), directory());
    let entered = enter_host_mount_namespace().unwrap_or_else(|error| panic!("{error}"));
    let report = Report {
        moved: entered == Entered::Moved,
        mount: [before.0, mount()],
        sys: [before.1, sys()],
        net: [before.2, net()],
        directory: [before.3, directory()],
    };
    println!("{}", serde_json::to_string(&report).expect("JSON"));
}

/// A network namespace with a name, as `ip netns` makes them.
struct Namespace(String);

impl Namespace {
    fn create() -> Self {
        let name = format!("nsh-{}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).status().expect("iproute2 is installed");
        assert!(made.success(), "`ip netns add` works: run the tests as root");
        Self(name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn run(prefix: &[&str], child: &str, directory: &str) -> Output {
    let exe = env::current_exe().expect("this program");
    let (program, arguments) = prefix.split_first().unwrap_or((&"env", &[]));
    let mut command = Command::new(program);
    command.args(arguments).arg(exe).args([CHILD, child]).current_dir(directory);
    command.output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn report(prefix: &[&str], directory: &str) -> Report {
    let output = run(prefix, "one thread", directory);
    assert!(output.status.success(), "{prefix:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a report")
}

fn each_start_ends_in_the_hosts_mount_namespace() {
    let namespace = Namespace::create();
    let here = NetNs::current().expect("/proc");
    let path = format!("/run/netns/{}", namespace.0);

    let plain = report(&[], "/usr/bin");
    let host = plain.mount[1];
    assert_eq!(plain.net, [here, here]);
    assert_eq!(plain.directory, ["/usr/bin", "/usr/bin"]);

    let nsenter = report(&["nsenter", &format!("--net={path}")], "/usr/bin");
    assert_eq!((nsenter.moved, nsenter.mount), (plain.moved, plain.mount), "nsenter --net stays where it is");
    assert_ne!(nsenter.net[0], here);
    assert_eq!(nsenter.net[0], nsenter.net[1], "the network namespace stays");

    let exec = report(&["ip", "netns", "exec", &namespace.0], "/usr/bin");
    assert_ne!(exec.mount[0], host, "`ip netns exec` has a mount namespace of its own");
    assert_ne!(exec.sys[0], plain.sys[1], "and a /sys of its own");
    assert!(exec.moved);
    assert_eq!((exec.mount[1], exec.sys[1]), (host, plain.sys[1]));
    assert_eq!(exec.net, nsenter.net, "the network namespace stays");
    assert_eq!(exec.directory, ["/usr/bin", "/usr/bin"], "so does the working directory");

    let gone = report(
        &[
            "unshare",
            "--mount",
            "sh",
            "-c",
            "mount -t tmpfs none /mnt && mkdir /mnt/nsh && cd /mnt/nsh && exec \"$@\"",
            "sh",
        ],
        "/",
    );
    assert_eq!(gone.mount[1], host);
    assert_eq!(gone.directory, ["/mnt/nsh", "/"], "one that the host does not have is left");
}

fn a_process_with_threads_is_refused() {
    let output = run(&["unshare", "--mount"], "two threads", "/");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{stderr}");
    assert!(stderr.contains("already has threads"), "{stderr}");
}
