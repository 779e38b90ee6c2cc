//! ZooKeeper, of Debian's package `libzookeeper-java`: one server, alone or as a member of an ensemble, with a tick that
//! is short, so that sessions can be.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::fs::statvfs;
use tempfile::TempDir;

use crate::{leftovers::MEMORY, netns::Namespace, patience::until, process::Process};

/// The port for clients, and those of an ensemble among itself: to follow the leader, and to elect one.
const CLIENT_PORT: u16 = 2181;
const QUORUM_PORT: u16 = 2888;
const ELECTION_PORT: u16 = 3888;

/// ZooKeeper's unit of time. The shortest session lasts two.
const TICK: Duration = Duration::from_millis(200);

/// In ticks: how long a follower may take to join a leader, and how far it may be behind one.
const INIT_LIMIT: u32 = 25;
const SYNC_LIMIT: u32 = 10;

/// The longest session. By default it is 20 ticks.
const SESSION_MAX: Duration = Duration::from_mins(10);

/// How long it may take to start: a Java machine, on a busy host, and then an election.
const START: Duration = Duration::from_secs(30);

/// What is needed of it, and what writes its log.
const CLASS_PATH: &str = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar";

/// What a short life and a small machine want: no compilation that takes long, no collector with threads of its own, no
/// log in blocks of 64 MB, and no doors but the one for clients.
const MACHINE: [&str; 8] = [
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Dzookeeper.preAllocSize=1024",
    "-Dzookeeper.admin.enableServer=false",
    "-Dzookeeper.jmx.log4j.disable=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
];

/// What its log, and a snapshot or two, may take.
const ROOM: u64 = 64 << 20;

/// A ZooKeeper server; killed on Drop, its data with it.
#[derive(Debug)]
pub struct ZooKeeper {
    process: Option<Process>,
    endpoint: SocketAddr,
    directory: TempDir,
}

/// What a server is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// There are no others.
    Standalone,
    /// All changes go through it.
    Leader,
    /// It hands changes to the leader, and answers what is asked.
    Follower,
}

impl ZooKeeper {
    /// Starts one alone on an address of a namespace, and waits until it serves.
    pub fn start(namespace: &Namespace, address: IpAddr) -> Self {
        let mut alone = Self::new(namespace, address, &[]);
        alone.restart(namespace);
        alone
    }

    /// Starts one in each place, and waits until all of them serve.
    pub fn start_ensemble(places: &[(&Namespace, IpAddr)]) -> Vec<Self> {
        let addresses: Vec<IpAddr> = places.iter().map(|(_, address)| *address).collect();
        let mut members: Vec<Self> =
            places.iter().map(|(namespace, address)| Self::new(namespace, *address, &addresses)).collect();
        for (member, (namespace, _)) in members.iter_mut().zip(places) {
            member.run(namespace);
        }
        for (member, (namespace, _)) in members.iter_mut().zip(places) {
            member.until_it_serves(namespace);
        }
        members
    }

    /// One that does not run yet.
    fn new(namespace: &Namespace, address: IpAddr, ensemble: &[IpAddr]) -> Self {
        let directory = scratch(namespace);
        let data = directory.path().join("data");
        fs::create_dir(&data).expect("room for its data");
        let mut configuration = format!(
            "tickTime={}\ninitLimit={INIT_LIMIT}\nsyncLimit={SYNC_LIMIT}\nmaxSessionTimeout={}\n\
             dataDir={}\nclientPort={CLIENT_PORT}\nclientPortAddress={address}\nmaxClientCnxns=0\n",
            TICK.as_millis(),
            SESSION_MAX.as_millis(),
            data.display(),
        );
        for (number, member) in (1..).zip(ensemble) {
            let member_at = |port| SocketAddr::new(*member, port);
            let line = format!("server.{number}={}:{ELECTION_PORT}\n", member_at(QUORUM_PORT));
            configuration.push_str(&line);
            if *member == address {
                fs::write(data.join("myid"), number.to_string()).expect("room for its number");
            }
        }
        fs::write(directory.path().join("zoo.cfg"), configuration).expect("room for its configuration");
        Self { process: None, endpoint: SocketAddr::new(address, CLIENT_PORT), directory }
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

    /// `SIGKILL`: connections are refused until it runs again.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Kills it if it runs, starts it on the data it had, and waits until it serves. Who is leader then, or alone, gives
    /// every session its whole time again.
    pub fn restart(&mut self, namespace: &Namespace) {
        self.run(namespace);
        self.until_it_serves(namespace);
    }

    /// The same without waiting: a member serves once a majority runs.
    pub fn run(&mut self, namespace: &Namespace) {
        self.kill();
        let mut command = java(namespace);
        command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain");
        command.arg(self.directory.path().join("zoo.cfg"));
        self.process = Some(Process::start("zookeeper", &mut command, self.directory.path()));
    }

    /// Waits until it answers clients.
    pub fn until_it_serves(&mut self, namespace: &Namespace) {
        until(START, &format!("ZooKeeper on {}", self.endpoint), || {
            let process = self.process.as_mut().expect("it was started");
            let ended = process.ended();
            assert!(ended.is_none(), "ZooKeeper ended: {ended:?}\n{}", process.stderr());
            self.mode(namespace).is_some()
        });
    }

    /// What it is to the others; nothing if it does not serve.
    pub fn mode(&self, namespace: &Namespace) -> Option<Mode> {
        let answer = namespace.enter(|| srvr(self.endpoint)).ok()?;
        match answer.lines().find_map(|line| line.strip_prefix("Mode: "))? {
            "standalone" => Some(Mode::Standalone),
            "leader" => Some(Mode::Leader),
            "follower" => Some(Mode::Follower),
            other => panic!("{other:?} is no mode that is known here"),
        }
    }

    /// What ZooKeeper's own client prints, given these commands, one on a line.
    pub fn cli(&self, namespace: &Namespace, commands: &str) -> String {
        let mut client = java(namespace);
        client.args(["org.apache.zookeeper.ZooKeeperMain", "-server", &self.endpoint.to_string()]);
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = client.spawn().expect("java can be run");
        let mut input = client.stdin.take().expect("it is piped");
        input.write_all(format!("{commands}\nquit\n").as_bytes()).expect("it reads commands");
        drop(input);
        let output = client.wait_with_output().expect("it ends");
        // What is refused is told on the one or the other.
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
    }

    /// The time that CPUs have worked for it.
    pub fn cpu_time(&self) -> Duration {
        self.process().cpu_time()
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("ZooKeeper was killed")
    }
}

fn java(namespace: &Namespace) -> Command {
    let mut command = namespace.command("java");
    command.args(MACHINE).args(["-cp", CLASS_PATH]);
    command
}

/// In memory, if there is room: ZooKeeper waits for the disk at each change.
fn scratch(namespace: &Namespace) -> TempDir {
    let has_room = statvfs(MEMORY).is_ok_and(|memory| memory.f_bavail * memory.f_frsize >= ROOM);
    if has_room { namespace.scratch_in(Path::new(MEMORY)) } else { namespace.scratch() }
}

/// The answer to `srvr`, one of the words of four letters (ZooKeeper Administrator's Guide).
fn srvr(endpoint: SocketAddr) -> io::Result<String> {
    const SOON: Duration = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&endpoint, SOON)?;
    stream.set_read_timeout(Some(SOON))?;
    stream.write_all(b"srvr")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
