//! ZooKeeper, of Debian's package `libzookeeper-java`: one server, alone or as a member of an ensemble, with a tick that
//! is short, so that sessions can be.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::fs::statvfs;
use tempfile::TempDir;

use crate::{authority::Authority, leftovers::MEMORY, netns::Namespace, patience::until, process::Process};

/// The port for clients, the one for those over TLS, and those of an ensemble among itself: to follow the leader, and to
/// elect one.
const CLIENT_PORT: u16 = 2181;
const TLS_PORT: u16 = 2281;
const QUORUM_PORT: u16 = 2888;
const ELECTION_PORT: u16 = 3888;

/// ZooKeeper's unit of time. The shortest session lasts two.
pub const TICK: Duration = Duration::from_millis(200);

/// How long a follower may take to join a leader, and how long a leader and a follower that do not hear of each other take
/// until they give each other up. They are told in ticks; by default it is ten of them and five, of two seconds each.
const INIT_LIMIT: Duration = Duration::from_secs(5);
const SYNC_LIMIT: Duration = Duration::from_secs(1);

/// The longest session. By default it is 20 ticks.
const SESSION_MAX: Duration = Duration::from_mins(10);

/// How long it may take to start: a Java machine, on a busy host, and then an election.
const START: Duration = Duration::from_secs(30);

/// What is needed of it, what writes its log, and what it takes for TLS that Debian's package does not name.
const CLASS_PATH: &str =
    "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar:/usr/share/java/netty-codec.jar";

/// What a short life and a small machine want: no compilation that takes long, no collector with threads of its own, no
/// log in blocks of 64 MB, and no doors but the one for clients. And what an ensemble wants that is to have a leader soon:
/// in an election, a vote that was lost is sent again after a second at most, where it can take a minute by default; and a
/// member that cannot be reached keeps the others waiting for half a second, and not for five.
const MACHINE: [&str; 10] = [
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Dzookeeper.preAllocSize=1024",
    "-Dzookeeper.admin.enableServer=false",
    "-Dzookeeper.jmx.log4j.disable=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dzookeeper.fastleader.maxNotificationInterval=1000",
    "-Dzookeeper.cnxTimeout=500",
];

/// What a member of an ensemble wants besides. Who joins a leader that has proposed something meanwhile answers that and,
/// from another thread, that it has joined; the leader takes whichever comes first for the latter (`LearnerHandler.run` of
/// 3.8.0, ZOOKEEPER-4685). Where all followers join anew, as after all members stood still, the proposal so never has a
/// majority, and nothing is committed until another member leads. In memory a proposal is often written before the other
/// thread has answered; with this, its answer comes some milliseconds later (`SyncRequestProcessor`).
const JOINS_FIRST: &str = "-Dzookeeper.flushDelay=20";

/// What its log, and a snapshot or two, may take.
const ROOM: u64 = 64 << 20;

/// A ZooKeeper server; killed on Drop, its data with it.
#[derive(Debug)]
pub struct ZooKeeper {
    process: Option<Process>,
    endpoint: SocketAddr,
    is_member: bool,
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
        let mut alone = Self::new(namespace, address, &[], TICK);
        alone.restart(namespace);
        alone
    }

    /// The same, with another port where it has a certificate of that authority, for clients who have one.
    pub fn start_over_tls(namespace: &Namespace, address: IpAddr, authority: &Authority) -> Self {
        let mut alone = Self::new(namespace, address, &[], TICK);
        // Key and certificate in one file.
        let identity = alone.directory.path().join("identity.pem");
        let both = [authority.key(), authority.cert()].map(|part| fs::read(part).expect("it was made"));
        fs::write(&identity, both.concat()).expect("room for its identity");
        let configuration = format!(
            "secureClientPort={TLS_PORT}\nsecureClientPortAddress={address}\n\
             serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
             ssl.keyStore.type=PEM\nssl.keyStore.location={}\n\
             ssl.trustStore.type=PEM\nssl.trustStore.location={}\n",
            identity.display(),
            authority.ca().display(),
        );
        let file = OpenOptions::new().append(true).open(alone.directory.path().join("zoo.cfg"));
        let written = file.and_then(|mut file| file.write_all(configuration.as_bytes()));
        written.expect("room for its configuration");
        alone.restart(namespace);
        alone
    }

    /// Starts one in each place, and waits until all of them serve.
    pub fn start_ensemble(places: &[(&Namespace, IpAddr)], tick: Duration) -> Vec<Self> {
        let addresses: Vec<IpAddr> = places.iter().map(|(_, address)| *address).collect();
        let new =
            |(namespace, address): &(&Namespace, IpAddr)| Self::new(namespace, *address, &addresses, tick);
        let mut members: Vec<Self> = places.iter().map(new).collect();
        for (member, (namespace, _)) in members.iter_mut().zip(places) {
            member.run(namespace);
        }
        for (member, (namespace, _)) in members.iter_mut().zip(places) {
            member.until_it_serves(namespace);
        }
        members
    }

    /// One that does not run yet.
    fn new(namespace: &Namespace, address: IpAddr, ensemble: &[IpAddr], tick: Duration) -> Self {
        let directory = scratch(namespace);
        let data = directory.path().join("data");
        fs::create_dir(&data).expect("room for its data");
        let mut configuration = format!(
            "tickTime={}\ninitLimit={}\nsyncLimit={}\nmaxSessionTimeout={}\n\
             dataDir={}\nclientPort={CLIENT_PORT}\nclientPortAddress={address}\nmaxClientCnxns=0\n",
            tick.as_millis(),
            INIT_LIMIT.div_duration_f64(tick).ceil(),
            SYNC_LIMIT.div_duration_f64(tick).ceil(),
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
        let (endpoint, is_member) = (SocketAddr::new(address, CLIENT_PORT), !ensemble.is_empty());
        Self { process: None, endpoint, is_member, directory }
    }

    /// Where clients reach it.
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// Where they do over TLS.
    pub fn endpoint_over_tls(&self) -> SocketAddr {
        SocketAddr::new(self.endpoint.ip(), TLS_PORT)
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
        if self.is_member {
            command.arg(JOINS_FIRST);
        }
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

    /// Has its own client delete a node; whether it did. What the client prints does not tell that: it mostly warns of how
    /// its own connection ended, with an exception.
    pub fn delete(&self, namespace: &Namespace, path: &str) -> bool {
        let mut client = java(namespace);
        client.args(["org.apache.zookeeper.ZooKeeperMain", "-server", &self.endpoint.to_string()]);
        let output = client.args(["delete", path]).output().expect("java can be run");
        output.status.success()
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
