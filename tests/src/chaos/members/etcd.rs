//! etcd: configured as by default but for where it listens and keeps its state.

use std::{net::Ipv4Addr, path::Path, process::Command};

use rustix::fs::statvfs;
use serde_json::Value;
use tempfile::TempDir;

use super::{MEMBERS, Member, Role, Taken, converse};
use crate::{leftovers::MEMORY, netns::Namespace, process::Process, star::Node};

/// The ports that IANA assigned to it.
const CLIENT_PORT: u16 = 2379;
const PEER_PORT: u16 = 2380;

/// How long `etcdctl` waits.
const PATIENCE: &str = "1s";

/// The write-ahead log is allocated in segments of 64 MB (`SegmentSizeBytes`, wal/wal.go), the next one ahead.
const ROOM: u64 = 256 << 20;

/// One of a cluster.
#[derive(Debug)]
struct Etcd {
    process: Option<Process>,
    index: usize,
    /// Those of all.
    addresses: Vec<Ipv4Addr>,
    directory: TempDir,
}

/// Starts one at each of these nodes.
pub(super) fn start(nodes: &[Node]) -> Vec<Box<dyn Member>> {
    let addresses: Vec<Ipv4Addr> = nodes.iter().map(|node| node.addresses.v4).collect();
    let members = nodes.iter().enumerate().map(|(index, Node { namespace, .. })| {
        let directory = scratch(namespace);
        let mut member = Etcd { process: None, index, addresses: addresses.clone(), directory };
        member.start(namespace);
        Box::new(member) as Box<dyn Member>
    });
    members.collect()
}

impl Etcd {
    fn command(&self, namespace: &Namespace) -> Command {
        let own = self.address();
        let (clients, peers) = (format!("http://{own}:{CLIENT_PORT}"), format!("http://{own}:{PEER_PORT}"));
        let member = |(index, address)| format!("member{index}=http://{address}:{PEER_PORT}");
        let cluster: Vec<String> = self.addresses.iter().enumerate().map(member).collect();
        let mut command = namespace.command("etcd");
        command.arg("--data-dir").arg(self.directory.path().join("data"));
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--name", &format!("member{}", self.index), "--initial-cluster", &cluster.join(",")]);
        command.args(["--logger", "zap", "--log-outputs", "stderr"]);
        command
    }

    fn address(&self) -> Ipv4Addr {
        self.addresses[self.index]
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("one that runs")
    }

    /// What `etcdctl` prints, run in the hub; nothing if this member did not answer in time, or refused.
    fn ctl(&self, hub: &Namespace, arguments: &[&str]) -> Option<String> {
        let mut command = hub.command("etcdctl");
        command.arg(format!("--endpoints=http://{}:{CLIENT_PORT}", self.address()));
        command.args(["--dial-timeout", PATIENCE, "--command-timeout", PATIENCE]).args(arguments);
        let output = command.output().expect("etcdctl can be run");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Member for Etcd {
    fn start(&mut self, namespace: &Namespace) {
        self.kill();
        self.process = Some(Process::start("etcd", &mut self.command(namespace), self.directory.path()));
    }

    fn kill(&mut self) {
        self.process = None;
    }

    fn freeze(&self) {
        self.process().freeze();
    }

    fn thaw(&self) {
        self.process().thaw();
    }

    /// One that is cut off takes itself for the leader for up to an election time-out.
    fn role(&self, hub: &Namespace) -> Option<Role> {
        let status = status(hub, self.address())?;
        match status["leader"].as_str() {
            // JSON of proto3 leaves a zero out.
            None | Some("0") => None,
            leader if leader == status["header"]["member_id"].as_str() => Some(Role::Leader),
            Some(_) => Some(Role::Follower),
        }
    }

    fn step_down(&mut self, hub: &Namespace, _: &Namespace) -> Option<()> {
        let next = self.addresses[(self.index + 1) % MEMBERS];
        let id: u64 = status(hub, next)?["header"]["member_id"].as_str()?.parse().ok()?;
        self.ctl(hub, &["move-leader", &format!("{id:x}")]).map(|_| ())
    }

    fn take_away(&self, hub: &Namespace, pool: &str, slot: u32, what: Taken) -> Option<()> {
        let key = &format!("/nsid/{pool}/slots/{slot}");
        match what {
            Taken::Slot => (self.ctl(hub, &["del", key])?.trim() == "1").then_some(()),
            Taken::Lease => {
                let json = |text: String| serde_json::from_str::<Value>(&text).ok();
                let holder = json(self.ctl(hub, &["get", "--print-value-only", key])?)?;
                let ticket = format!("/nsid/{pool}/tickets/{}", holder["nonce"].as_str()?);
                let ticket = json(self.ctl(hub, &["get", "-w", "json", &ticket])?)?;
                let lease = ticket["kvs"][0]["lease"].as_u64()?;
                self.ctl(hub, &["lease", "revoke", &format!("{lease:x}")]).map(|_| ())
            }
        }
    }

    fn version(&self, hub: &Namespace) -> Option<String> {
        status(hub, self.address())?["version"].as_str().map(str::to_owned)
    }
}

/// What a member says of itself, over its gateway (`Maintenance.Status`, etcdserver/etcdserverpb/rpc.proto).
fn status(hub: &Namespace, address: Ipv4Addr) -> Option<Value> {
    let request = "POST /v3/maintenance/status HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}";
    let answer = converse(hub, (address, CLIENT_PORT).into(), request)?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// In memory, if there is room for all: they wait for the disk at each change.
fn scratch(namespace: &Namespace) -> TempDir {
    let room = ROOM * MEMBERS as u64;
    let has_room = statvfs(MEMORY).is_ok_and(|memory| memory.f_bavail * memory.f_frsize >= room);
    if has_room { namespace.scratch_in(Path::new(MEMORY)) } else { namespace.scratch() }
}
