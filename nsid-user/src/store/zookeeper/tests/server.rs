//! A real ZooKeeper that stands alone, on loopback.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use std::{
    fs::{self, OpenOptions},
    path::Path,
};

use tempfile::TempDir;

use crate::store::authority::Authority;
use crate::store::program::Program;

/// ZooKeeper's unit of time: what a session's end is rounded up to.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// The longest session.
pub(super) const SESSION_MAX: Duration = Duration::from_mins(1);

/// Java, for a short life on a small machine.
const MACHINE: [&str; 7] = [
    "-Xmx64m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Dzookeeper.preAllocSize=256",
    "-Dzookeeper.admin.enableServer=false",
    "-Dzookeeper.jmx.log4j.disable=true",
];

/// What it is, and what it takes for TLS that Debian's package does not name.
const CLASS_PATH: &str = "/usr/share/java/zookeeper.jar:/usr/share/java/netty-codec.jar";

/// Killed on Drop.
pub(in crate::store::zookeeper) struct Server {
    port: u16,
    port_over_tls: Option<u16>,
    directory: TempDir,
    process: Option<Program>,
}

impl Server {
    /// One that answers.
    pub(in crate::store::zookeeper) fn start() -> Self {
        let mut server = Self::stopped();
        server.run();
        server
    }

    /// One that does not run yet.
    pub(super) fn stopped() -> Self {
        let port = free_port();
        let directory = tempfile::tempdir().unwrap();
        let configuration = format!(
            "tickTime={}\nmaxSessionTimeout={}\nmaxClientCnxns=0\ndataDir={}\nclientPort={port}\n\
             clientPortAddress={}\n",
            TICK.as_millis(),
            SESSION_MAX.as_millis(),
            directory.path().join("data").display(),
            Ipv4Addr::LOCALHOST,
        );
        fs::write(directory.path().join("zoo.cfg"), configuration).unwrap();
        Self { port, port_over_tls: None, directory, process: None }
    }

    /// One that has another port besides, where it wants a certificate of that authority and has one.
    pub(super) fn start_over_tls(authority: &Authority) -> Self {
        let mut server = Self::stopped();
        let port = free_port();
        let [ca, cert, key] = authority.files();
        // Key and certificate in one file.
        let identity = server.directory().join("identity.pem");
        fs::write(&identity, [fs::read(key).unwrap(), fs::read(cert).unwrap()].concat()).unwrap();
        let configuration = format!(
            "secureClientPort={port}\nsecureClientPortAddress={}\n\
             serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
             ssl.keyStore.type=PEM\nssl.keyStore.location={}\n\
             ssl.trustStore.type=PEM\nssl.trustStore.location={ca}\n",
            Ipv4Addr::LOCALHOST,
            identity.display(),
        );
        let file = OpenOptions::new().append(true).open(server.directory().join("zoo.cfg"));
        file.unwrap().write_all(configuration.as_bytes()).unwrap();
        server.port_over_tls = Some(port);
        server.run();
        server
    }

    pub(in crate::store::zookeeper) fn endpoint(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    pub(super) fn endpoint_over_tls(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.port_over_tls.expect("it has TLS"))
    }

    /// A directory that goes with it.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts it, with the data of the last run.
    pub(super) fn run(&mut self) {
        let mut java = Command::new("java");
        java.args(MACHINE)
            .args(["-cp", CLASS_PATH, "org.apache.zookeeper.server.quorum.QuorumPeerMain"])
            .arg(self.directory.path().join("zoo.cfg"));
        self.process = Some(Program::start(&mut java));
        let patience = Instant::now() + Duration::from_mins(1);
        while !self.serves().unwrap_or(false) {
            assert!(Instant::now() < patience, "ZooKeeper does not come to serve");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn serves(&self) -> io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"srvr")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.contains("Mode: standalone"))
    }

    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    /// As on a disk that was replaced.
    pub(super) fn lose_data(&mut self) {
        self.kill();
        fs::remove_dir_all(self.directory().join("data")).unwrap();
    }

    pub(super) fn freeze(&self) {
        self.process.as_ref().expect("it runs").freeze();
    }

    pub(super) fn thaw(&self) {
        self.process.as_ref().expect("it runs").thaw();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
