//! etcd, of Debian's packages `etcd-server` and `etcd-client`: one member, configured as by default but for where it
//! listens and keeps its state. Its shortest lease is two seconds, as everywhere (`minTTL`,
//! etcdserver/server.go).

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

use rustix::fs::statvfs;
use tempfile::TempDir;

use crate::{leftovers::MEMORY, netns::Namespace, patience::until, process::Process};

/// The ports that IANA assigned to it.
const CLIENT_PORT: u16 = 2379;
const PEER_PORT: u16 = 2380;

/// How long it may take to start: after a crash it waits for an election first.
const START: Duration = Duration::from_secs(10);

/// How long `etcdctl` waits for it.
const PATIENCE: &str = "1s";

/// The write-ahead log is allocated in segments of 64 MB (`SegmentSizeBytes`, wal/wal.go), the next one ahead.
const ROOM: u64 = 256 << 20;

/// A running etcd; killed on Drop, its data with it.
#[derive(Debug)]
pub struct Etcd {
    process: Option<Process>,
    endpoint: SocketAddr,
    directory: TempDir,
}

impl Etcd {
    /// Starts it on an address of a namespace and waits until it is healthy.
    pub fn start(namespace: &Namespace, address: IpAddr) -> Self {
        let endpoint = SocketAddr::new(address, CLIENT_PORT);
        let mut etcd = Self { process: None, endpoint, directory: scratch(namespace) };
        etcd.restart(namespace);
        etcd
    }

    /// Where clients reach it.
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// `SIGSTOP`: connections stay, and are accepted, and nobody answers.
    pub fn freeze(&self) {
        self.process().freeze();
    }

    /// `SIGCONT`: first it answers what has arrived meanwhile.
    pub fn thaw(&self) {
        self.process().thaw();
    }

    /// `SIGKILL`: connections are refused until [`Self::restart`].
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Kills it if it runs, starts it on the data it had, and waits until it is healthy. It is leader of a new term
    /// then, and every lease has its whole TTL again.
    pub fn restart(&mut self, namespace: &Namespace) {
        self.kill();
        let mut process = Process::start("etcd", &mut self.command(namespace), self.directory.path());
        until(START, &format!("etcd on {}", self.endpoint), || {
            let ended = process.ended();
            assert!(ended.is_none(), "etcd ended: {ended:?}\n{}", process.stderr());
            namespace.enter(|| is_healthy(self.endpoint).unwrap_or(false))
        });
        self.process = Some(process);
    }

    /// What `etcdctl` prints, run in a namespace; nothing if etcd did not answer in time, or refused.
    pub fn ctl(&self, namespace: &Namespace, arguments: &[&str]) -> Option<String> {
        let mut command = namespace.command("etcdctl");
        command.arg(format!("--endpoints={}", self.endpoint));
        command.args(["--dial-timeout", PATIENCE, "--command-timeout", PATIENCE]).args(arguments);
        let output = command.output().expect("etcdctl can be run");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The time that CPUs have worked for it.
    pub fn cpu_time(&self) -> Duration {
        self.process().cpu_time()
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("etcd was killed")
    }

    fn command(&self, namespace: &Namespace) -> Command {
        let clients = format!("http://{}", self.endpoint);
        let peers = format!("http://{}", SocketAddr::new(self.endpoint.ip(), PEER_PORT));
        let mut command = namespace.command("etcd");
        command.arg("--data-dir").arg(self.directory.path().join("data"));
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--name", "one", "--initial-cluster", &format!("one={peers}")]);
        command.args(["--logger", "zap", "--log-outputs", "stderr"]);
        command
    }
}

/// In memory, if there is room: etcd waits for the disk at each change.
fn scratch(namespace: &Namespace) -> TempDir {
    let has_room = statvfs(MEMORY).is_ok_and(|memory| memory.f_bavail * memory.f_frsize >= ROOM);
    if has_room { namespace.scratch_in(Path::new(MEMORY)) } else { namespace.scratch() }
}

/// Whether it has a leader and commits (`/health`, etcdserver/api/etcdhttp/metrics.go).
fn is_healthy(endpoint: SocketAddr) -> io::Result<bool> {
    const SOON: Duration = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&endpoint, SOON)?;
    stream.set_read_timeout(Some(SOON))?;
    stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.contains(r#""health":"true""#))
}
