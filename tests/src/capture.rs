//! What arrives at a client, captured and judged by tcpdump.

use std::{path::PathBuf, process::Command, time::Duration};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{netns::Namespace, patience::until, process::Process, process::run, wire::INTERFACE};

const PATIENCE: Duration = Duration::from_secs(5);

/// A capture under way.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    file: PathBuf,
    _directory: TempDir,
}

/// What tcpdump says of the packets that came from port 53.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Their number.
    pub responses: usize,
    /// The lines in which it finds a checksum wrong, of IP or UDP.
    pub bad: Vec<String>,
    /// Those whose UDP checksum it finds right.
    pub good: usize,
}

impl Capture {
    /// Starts one of port 53 on the client's interface, and waits until it sees packets.
    pub fn start(namespace: &Namespace) -> Self {
        let directory = namespace.scratch();
        let file = directory.path().join("capture.pcap");
        let mut command = namespace.command("tcpdump");
        command.args(["-Z", "root", "-i", INTERFACE, "-n", "-U", "--immediate-mode", "-B", "16384", "-w"]);
        command.arg(&file).args(["src", "port", "53"]);
        let process = Process::start("tcpdump", &mut command, directory.path());
        until(PATIENCE, "tcpdump to listen", || process.stderr().contains("listening on"));
        Self { process, file, _directory: directory }
    }

    /// Ends it once it has written `responses` packets, and tells what tcpdump thinks of them.
    pub fn verdict(mut self, responses: usize) -> Verdict {
        until(PATIENCE, "tcpdump to write what it captured", || self.read().responses >= responses);
        self.process.signal(Signal::INT);
        self.process.wait(PATIENCE);
        self.read()
    }

    fn read(&self) -> Verdict {
        let text = run(Command::new("tcpdump").args(["-vv", "-n", "-r"]).arg(&self.file));
        // Two lines a packet over IPv4, one over IPv6; the line of the addresses has them both.
        let is_bad = |line: &&str| line.contains("bad cksum") || line.contains("bad udp cksum");
        Verdict {
            responses: text.lines().filter(|line| line.contains(".53 > ")).count(),
            bad: text.lines().filter(is_bad).map(str::to_owned).collect(),
            good: text.lines().filter(|line| line.contains("[udp sum ok]")).count(),
        }
    }
}
