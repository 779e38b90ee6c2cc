//! Real DNS servers, unchanged, configured as by default but for where they keep their state; authoritative for one
//! zone, and refusing everything else.

mod coredns;
mod nsd;
mod unbound;
mod zone;

use std::{net::IpAddr, path::Path, process::Command, time::Duration};

use hickory_proto::op::ResponseCode;
use tempfile::TempDir;

pub use self::zone::{ABSENT, ELSEWHERE, LONG_TEXT, MANY_ADDRESSES, ORIGIN, PRESENT};
use crate::{
    client::Client, link::Addresses, message::Query, netns::Namespace, patience::until, process::Process,
};

/// How long a server may take to answer its first query.
const START: Duration = Duration::from_secs(10);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Software {
    /// The authoritative server of `NLnet` Labs.
    Nsd,
    /// Their resolver, here with an `auth-zone`.
    Unbound,
    /// The server of Kubernetes' names, here with a zone file.
    Coredns,
}

impl Software {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Nsd, Self::Unbound, Self::Coredns];
}

/// What differs from the default configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// An NSID that the server says by itself.
    pub own_nsid: Option<&'a str>,
}

/// A running server; killed on Drop.
#[derive(Debug)]
pub struct Server {
    process: Process,
    _directory: TempDir,
}

impl Server {
    /// Starts it on port 53 of both addresses and waits until it answers on both.
    pub fn start(
        software: Software,
        namespace: &Namespace,
        addresses: Addresses,
        options: Options<'_>,
    ) -> Self {
        let directory = namespace.scratch();
        zone::write(directory.path());
        let (name, mut command) = match software {
            Software::Nsd => ("nsd", nsd::command(namespace, addresses, options, directory.path())),
            Software::Unbound => {
                ("unbound", unbound::command(namespace, addresses, options, directory.path()))
            }
            Software::Coredns => {
                ("coredns", coredns::command(namespace, addresses, options, directory.path()))
            }
        };
        let mut process = Process::start(name, &mut command, directory.path());
        for address in addresses.both() {
            until(START, &format!("an answer of {name} on {address}"), || {
                let ended = process.ended();
                assert!(ended.is_none(), "{name} ended: {ended:?}\n{}", process.stderr());
                answers(namespace, address)
            });
        }
        Self { process, _directory: directory }
    }

    /// Starts it with the default configuration.
    pub fn start_default(software: Software, namespace: &Namespace, addresses: Addresses) -> Self {
        Self::start(software, namespace, addresses, Options::default())
    }

    /// The process group of all that runs for it.
    pub fn group(&self) -> u32 {
        self.process.id()
    }

    /// Makes it stop answering, with its sockets open: what arrives meanwhile waits.
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// Makes it answer again, first what has arrived meanwhile.
    pub fn thaw(&self) {
        self.process.thaw();
    }
}

fn answers(namespace: &Namespace, address: IpAddr) -> bool {
    const SOON: Duration = Duration::from_millis(200);
    let answer = Client::new(namespace, address).ask_within(SOON, &Query::a(PRESENT));
    answer.is_some_and(|answer| answer.rcode() == ResponseCode::NoError)
}

/// A server in the foreground (`-d`) with `text` as its configuration (`-c`).
fn configured(namespace: &Namespace, program: &str, directory: &Path, text: &str) -> Command {
    let file = directory.join("server.conf");
    std::fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut command = namespace.command(program);
    command.arg("-d").arg("-c").arg(file);
    command
}
