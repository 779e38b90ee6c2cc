//! Who is asked. Each server has one thread that answers, since it has one CPU, and is otherwise as by default; each says
//! the same name as `id.server.` and as its NSID, by settings of its own, so that all answers are alike.

use std::{env, fs, net::Ipv4Addr, path::Path, process::Command};

use nsid_tests::{netns::Namespace, wire::INTERFACE};
use rustix::system::uname;
use serde::{Deserialize, Serialize};

/// The name that all say.
pub(crate) const NAME: &str = "worker17";

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Subject {
    /// The kernel programs of nsid, before NSD, which knows no NSID.
    Nsid,
    /// NSD, from a socket.
    Nsd,
    /// Knot DNS, from a socket.
    Knot,
    /// gdnsd, from a socket.
    Gdnsd,
    /// `CoreDNS`, from a socket, with its plugins `chaos`, whose `id.server.` is the host's name, and `nsid`.
    Coredns,
    /// Knot DNS, by `AF_XDP`.
    KnotAfXdp,
}

impl Subject {
    /// Each of them, ours first.
    pub(crate) const ALL: [Self; 6] =
        [Self::Nsid, Self::Nsd, Self::Knot, Self::Gdnsd, Self::Coredns, Self::KnotAfXdp];

    /// As people call it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Nsid => "nsid",
            Self::Nsd => "NSD",
            Self::Knot => "Knot DNS",
            Self::Gdnsd => "gdnsd",
            Self::Coredns => "CoreDNS",
            Self::KnotAfXdp => "Knot DNS, AF_XDP",
        }
    }

    /// Whether it has its queries from a socket.
    pub(crate) const fn has_a_socket(self) -> bool {
        matches!(self, Self::Nsd | Self::Knot | Self::Gdnsd | Self::Coredns)
    }

    /// What it answers to `id.server.`.
    pub(super) fn text(self) -> String {
        match self {
            Self::Coredns => uname().nodename().to_string_lossy().into_owned(),
            _ => NAME.to_owned(),
        }
    }

    /// The server, in the foreground.
    pub(super) fn command(self, namespace: &Namespace, address: Ipv4Addr, directory: &Path) -> Command {
        let state = directory.display();
        let file = |name: &str, text: &str| {
            let path = directory.join(name);
            fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            path
        };
        match self {
            Self::Nsid => nsd(namespace, &file("nsd.conf", &nsd_conf(address, directory, ""))),
            Self::Nsd => {
                let nsid = format!("nsid: \"ascii_{NAME}\"");
                nsd(namespace, &file("nsd.conf", &nsd_conf(address, directory, &nsid)))
            }
            Self::Knot => knot(namespace, &file("knot.conf", &knot_conf(address, directory, ""))),
            Self::KnotAfXdp => {
                let xdp = format!("xdp:\n  listen: {INTERFACE}\n");
                knot(namespace, &file("knot.conf", &knot_conf(address, directory, &xdp)))
            }
            Self::Gdnsd => {
                let text = format!(
                    r#"options => {{
  listen => "{address}"
  run_dir => "{state}"
  state_dir => "{state}"
  udp_threads => 1
  tcp_threads => 1
  chaos_response => "{NAME}"
  nsid_ascii => "{NAME}"
}}
"#
                );
                file("config", &text);
                let mut command = namespace.command("/usr/sbin/gdnsd");
                command.arg("-c").arg(directory).arg("start");
                command
            }
            Self::Coredns => {
                let text = format!("id.server {{\n  bind {address}\n  chaos\n  nsid {NAME}\n}}\n");
                let binary = env::var("COREDNS_BIN").unwrap_or_else(|_| panic!("{NO_COREDNS}"));
                let mut command = namespace.command(&binary);
                command.arg("-conf").arg(file("Corefile", &text));
                command
            }
        }
    }
}

const NO_COREDNS: &str = "no CoreDNS: run `cargo xtask bench flood`; or `cargo xtask setup`, and set COREDNS_BIN to what it has built";

fn nsd(namespace: &Namespace, file: &Path) -> Command {
    let mut command = namespace.command("/usr/sbin/nsd");
    command.arg("-d").arg("-c").arg(file);
    command
}

fn nsd_conf(address: Ipv4Addr, directory: &Path, more: &str) -> String {
    let state = directory.display();
    format!(
        r#"server:
  ip-address: {address}
  server-count: 1
  username: ""
  pidfile: ""
  database: ""
  zonesdir: "{state}"
  xfrdir: "{state}"
  xfrdfile: "{state}/xfrd.state"
  zonelistfile: "{state}/zone.list"
  cookie-secret-file: ""
  # One client asks all of it.
  rrl-ratelimit: 0
  identity: "{NAME}"
  {more}
remote-control:
  control-enable: no
"#
    )
}

fn knot(namespace: &Namespace, file: &Path) -> Command {
    let mut command = namespace.command("/usr/sbin/knotd");
    command.arg("-c").arg(file);
    command
}

fn knot_conf(address: Ipv4Addr, directory: &Path, more: &str) -> String {
    let state = directory.display();
    format!(
        r#"server:
  listen: {address}@53
  rundir: "{state}"
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  identity: {NAME}
  nsid: {NAME}
{more}database:
  storage: "{state}"
log:
  - target: stderr
    any: info
"#
    )
}
