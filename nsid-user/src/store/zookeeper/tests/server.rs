//! A real ZooKeeper that stands alone, on loopback.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, path::Path};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

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

const CLASS_PATH: &str = "/usr/share/java/zookeeper.jar";

/// Killed on Drop.
pub(in crate::store::zookeeper) struct Server {
    port: u16,
    directory: TempDir,
    process: Option<Child>,
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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
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
        Self { port, directory, process: None }
    }

    pub(in crate::store::zookeeper) fn endpoint(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// A directory that goes with it.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts it, with the data of the last run.
    pub(super) fn run(&mut self) {
        let server = Command::new("java")
            .args(MACHINE)
            .args(["-cp", CLASS_PATH, "org.apache.zookeeper.server.quorum.QuorumPeerMain"])
            .arg(self.directory.path().join("zoo.cfg"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("java can be started: `cargo xtask setup` installs it, and ZooKeeper");
        self.process = Some(server);
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
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Its connections stay, and nothing on them is answered.
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
        // Its threads stop one by one; the last one tells.
        waitid(WaitId::Pid(self.pid()), WaitIdOptions::STOPPED).unwrap();
    }

    pub(super) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.process.as_ref().expect("it runs"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
