//! A real etcd of one member or three, on loopback.

use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::store::authority::Authority;
use crate::store::program::Program;

/// A member; killed on Drop.
pub(super) struct Server {
    name: String,
    ports: [u16; 2],
    /// Of all members.
    peers: String,
    data: TempDir,
    /// What `etcd` and `etcdctl` are told about certificates; nothing: no TLS.
    tls: Option<[Vec<String>; 2]>,
    process: Option<Program>,
}

impl Server {
    /// One alone, that answers.
    pub(super) fn start() -> Self {
        let mut server = Self::stopped();
        server.run();
        server
    }

    /// One alone, that wants a certificate of that authority and has one.
    pub(super) fn start_over_tls(authority: &Authority) -> Self {
        let mut server = Self::stopped();
        let [ca, cert, key] = authority.files();
        let etcd = [("--trusted-ca-file", &ca), ("--cert-file", &cert), ("--key-file", &key)];
        let etcdctl = [("--cacert", &ca), ("--cert", &cert), ("--key", &key)];
        let told = |files: [(&str, &String); 3]| files.map(|(flag, file)| format!("{flag}={file}")).to_vec();
        server.tls = Some([[told(etcd), vec!["--client-cert-auth".to_owned()]].concat(), told(etcdctl)]);
        server.run();
        server
    }

    /// One alone, that does not run yet.
    pub(super) fn stopped() -> Self {
        let [server] = Self::members();
        server
    }

    /// Three that answer.
    pub(super) fn three() -> [Self; 3] {
        let mut members = Self::members();
        members.iter_mut().for_each(Self::spawn);
        members.iter().for_each(Self::until_healthy);
        members
    }

    fn members<const N: usize>() -> [Self; N] {
        // All are listened on at a time, so that they differ.
        let listeners = [(); N].map(|()| [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap()));
        let ports = listeners.map(|pair| pair.map(|listener| listener.local_addr().unwrap().port()));
        let peers = ports.map(|[_, peer]| format!("{peer}=http://127.0.0.1:{peer}")).join(",");
        ports.map(|ports| Self {
            name: ports[1].to_string(),
            ports,
            peers: peers.clone(),
            data: tempfile::tempdir().unwrap(),
            tls: None,
            process: None,
        })
    }

    pub(super) fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.endpoint())
    }

    /// Starts it, with the data of the last run.
    pub(super) fn run(&mut self) {
        self.spawn();
        self.until_healthy();
    }

    fn spawn(&mut self) {
        let [_, peer] = self.ports.map(|port| format!("http://127.0.0.1:{port}"));
        let client = self.url();
        let mut etcd = Command::new("etcd");
        etcd.args(["--name", &self.name, "--data-dir"])
            .arg(self.data.path())
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &self.peers, "--log-level", "error"])
            .args(self.tls.iter().flat_map(|[etcd, _]| etcd));
        self.process = Some(Program::start(&mut etcd));
    }

    fn until_healthy(&self) {
        let patience = Instant::now() + Duration::from_secs(20);
        let healthy = || {
            let mut etcdctl = Command::new("etcdctl");
            etcdctl.env("ETCDCTL_API", "3").args(self.tls.iter().flat_map(|[_, etcdctl]| etcdctl));
            etcdctl.args(["--endpoints", &self.url(), "endpoint", "health"]);
            etcdctl.output().expect("etcdctl can be started").status.success()
        };
        while !healthy() {
            assert!(Instant::now() < patience, "etcd does not become healthy");
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    pub(super) fn freeze(&self) {
        self.process.as_ref().expect("it runs").freeze();
    }

    pub(super) fn thaw(&self) {
        self.process.as_ref().expect("it runs").thaw();
    }
}
