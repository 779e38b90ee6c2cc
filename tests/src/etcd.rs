//! etcd, of Debian's packages `etcd-server` and `etcd-client`: one server, alone or as a member of a cluster, configured as
//! by default but for where it listens and keeps its state. Its shortest lease is two seconds, as everywhere (`minTTL`,
//! etcdserver/server.go).

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

use rustix::fs::statvfs;
use serde_json::Value;
use tempfile::TempDir;

use crate::{authority::Authority, leftovers::MEMORY, netns::Namespace, patience::until, process::Process};

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
    /// All members, as `--initial-cluster` has them.
    cluster: String,
    /// What it and `etcdctl` are told about certificates; nothing: no TLS.
    tls: Option<[Vec<String>; 2]>,
    directory: TempDir,
}

impl Etcd {
    /// Starts one alone on an address of a namespace and waits until it is healthy.
    pub fn start(namespace: &Namespace, address: IpAddr) -> Self {
        let mut alone = Self::new(namespace, address, &[address]);
        alone.restart(namespace);
        alone
    }

    /// The same, with a certificate of that authority, and for clients who have one.
    pub fn start_over_tls(namespace: &Namespace, address: IpAddr, authority: &Authority) -> Self {
        let files =
            [authority.ca(), authority.cert(), authority.key()].map(|file| file.display().to_string());
        let told = |flags: [&str; 3]| {
            flags.iter().zip(&files).map(|(flag, file)| format!("--{flag}={file}")).collect::<Vec<_>>()
        };
        let mut alone = Self::new(namespace, address, &[address]);
        let mut server = told(["trusted-ca-file", "cert-file", "key-file"]);
        server.push("--client-cert-auth".to_owned());
        alone.tls = Some([server, told(["cacert", "cert", "key"])]);
        alone.restart(namespace);
        alone
    }

    /// Starts one in each place, and waits until all are healthy.
    pub fn start_cluster(places: &[(&Namespace, IpAddr)]) -> Vec<Self> {
        let mut members = Self::begin_cluster(places);
        for (member, (namespace, _)) in members.iter_mut().zip(places) {
            member.until_it_is_healthy(namespace);
        }
        members
    }

    /// Starts one in each place, and does not wait.
    pub(crate) fn begin_cluster(places: &[(&Namespace, IpAddr)]) -> Vec<Self> {
        let addresses: Vec<IpAddr> = places.iter().map(|(_, address)| *address).collect();
        let member = |(namespace, address): &(&Namespace, IpAddr)| {
            let mut member = Self::new(namespace, *address, &addresses);
            member.run(namespace);
            member
        };
        places.iter().map(member).collect()
    }

    /// One that does not run yet.
    fn new(namespace: &Namespace, address: IpAddr, addresses: &[IpAddr]) -> Self {
        let member = |address: &IpAddr| format!("{address}=http://{}", SocketAddr::new(*address, PEER_PORT));
        let cluster: Vec<String> = addresses.iter().map(member).collect();
        Self {
            process: None,
            endpoint: SocketAddr::new(address, CLIENT_PORT),
            cluster: cluster.join(","),
            tls: None,
            directory: scratch(namespace, addresses.len()),
        }
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

    /// Kills it if it runs, starts it on the data it had, and waits until it is healthy. If it is alone, it is leader of a
    /// new term then, and every lease has its whole TTL again.
    pub fn restart(&mut self, namespace: &Namespace) {
        self.run(namespace);
        self.until_it_is_healthy(namespace);
    }

    /// Kills it if it runs, starts it on the data it had, and does not wait.
    pub(crate) fn run(&mut self, namespace: &Namespace) {
        self.kill();
        self.process = Some(Process::start("etcd", &mut self.command(namespace), self.directory.path()));
    }

    fn until_it_is_healthy(&mut self, namespace: &Namespace) {
        until(START, &format!("etcd on {}", self.endpoint), || {
            let process = self.process.as_mut().expect("it was started");
            let ended = process.ended();
            assert!(ended.is_none(), "etcd ended: {ended:?}\n{}", process.stderr());
            if self.tls.is_some() {
                return self.ctl(namespace, &["endpoint", "health"]).is_some();
            }
            namespace.enter(|| is_healthy(self.endpoint).unwrap_or(false))
        });
    }

    /// Whether it leads its cluster, by its own word.
    pub fn is_leader(&self, namespace: &Namespace) -> bool {
        let status = self.ctl(namespace, &["endpoint", "status", "-w", "json"]);
        let status = status.and_then(|json| serde_json::from_str::<Value>(&json).ok());
        status
            .is_some_and(|status| status[0]["Status"]["leader"] == status[0]["Status"]["header"]["member_id"])
    }

    /// What `etcdctl` prints, run in a namespace; nothing if etcd did not answer in time, or refused.
    pub fn ctl(&self, namespace: &Namespace, arguments: &[&str]) -> Option<String> {
        let mut command = namespace.command("etcdctl");
        command
            .arg(format!("--endpoints={}", self.url()))
            .args(self.tls.iter().flat_map(|[_, client]| client));
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

    fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.endpoint)
    }

    fn command(&self, namespace: &Namespace) -> Command {
        let (clients, address) = (self.url(), self.endpoint.ip());
        let peers = format!("http://{}", SocketAddr::new(address, PEER_PORT));
        let mut command = namespace.command("etcd");
        command.arg("--data-dir").arg(self.directory.path().join("data"));
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--name", &address.to_string(), "--initial-cluster", &self.cluster]);
        command.args(["--logger", "zap", "--log-outputs", "stderr"]);
        command.args(self.tls.iter().flat_map(|[server, _]| server));
        command
    }
}

/// In memory, if there is room for all of a cluster of so many: etcd waits for the disk at each change.
fn scratch(namespace: &Namespace, members: usize) -> TempDir {
    let room = ROOM * members as u64;
    let has_room = statvfs(MEMORY).is_ok_and(|memory| memory.f_bavail * memory.f_frsize >= room);
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
