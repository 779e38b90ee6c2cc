//! Real DNS servers, unchanged, configured as by default but for where they keep their state; they serve one zone, by
//! themselves or from a server behind them, fail in another one, and refuse everything else.

mod software;
mod tsig;
mod zone;

mod bind;
mod coredns;
mod dnsdist;
mod dnsmasq;
mod gdnsd;
mod hickory;
mod knot;
mod knot_resolver;
mod nsd;
mod powerdns_authoritative;
mod powerdns_recursor;
mod unbound;
mod upstream;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use hickory_proto::op::ResponseCode;
use tempfile::TempDir;

pub use self::{
    software::Software,
    tsig::{KEY, SECRET},
    zone::{ABSENT, ANSWERS, BROKEN, ELSEWHERE, LONG_TEXT, MANY_ADDRESSES, ORIGIN, PRESENT, trust_anchor},
};
use crate::{
    client::Client, link::Addresses, message::Query, netns::Namespace, patience::until, process::Process,
};

/// How long a server may take to answer its first query.
const START: Duration = Duration::from_secs(10);

/// What differs from the default configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// An NSID that the server says by itself, or the one behind it does. Those that [`Intake::OneThread`] is for answer
    /// `id.server.` with it too, but for `CoreDNS`, which says the host's name.
    pub own_nsid: Option<&'a str>,
    /// Whether the zone is signed.
    pub dnssec: Dnssec,
    /// How it takes queries in.
    pub intake: Intake<'a>,
}

/// How a server takes queries in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intake<'a> {
    /// By sockets, with room for those that come while it is stopped.
    #[default]
    Sockets,
    /// By one socket of each address and one thread: for a server with one CPU, of those that are measured so.
    OneThread,
    /// The same, but by `AF_XDP` what arrives at that interface: Knot DNS.
    AfXdp(&'a str),
}

/// Whether a zone is signed (RFC 4035).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dnssec {
    /// It is not.
    #[default]
    Unsigned,
    /// With a key made for it.
    Signed,
}

/// A running server; killed on Drop.
#[derive(Debug)]
pub struct Server {
    process: Process,
    _upstream: Option<Process>,
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
        assert!(software.takes(options.intake), "{software:?} does not do {:?} here", options.intake);
        let directory = namespace.scratch();
        let dnssec = software.no_dnssec().map_or(options.dnssec, |_why| Dnssec::Unsigned);
        zone::write(directory.path(), dnssec);
        let setting = Setting { namespace, addresses, options, directory: directory.path() };
        let upstream = software.has_no_zone().then(|| upstream::start(&setting));
        let mut process = Process::start(software.name(), &mut setting.command(software), directory.path());
        for address in addresses.both() {
            until_it_answers(&mut process, &Client::new(namespace, address));
        }
        Self { process, _upstream: upstream, _directory: directory }
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

/// Waits until a server that was started answers what it has been asked.
fn until_it_answers(process: &mut Process, client: &Client) {
    const SOON: Duration = Duration::from_millis(200);
    until(START, &format!("an answer through {client:?}"), || {
        let ended = process.ended();
        assert!(ended.is_none(), "it ended: {ended:?}\n{}", process.stderr());
        let answer = client.ask_within(SOON, &Query::a(PRESENT));
        answer.is_some_and(|answer| answer.rcode() == ResponseCode::NoError)
    });
}

/// What a server is started with.
struct Setting<'a> {
    namespace: &'a Namespace,
    addresses: Addresses,
    options: Options<'a>,
    directory: &'a Path,
}

impl Setting<'_> {
    /// The server, in the foreground.
    fn command(&self, software: Software) -> Command {
        match software {
            Software::Coredns => coredns::command(self),
            Software::Bind => bind::command(self),
            Software::Unbound => unbound::command(self),
            Software::Nsd => nsd::command(self),
            Software::Knot => knot::command(self),
            Software::KnotResolver => knot_resolver::command(self),
            Software::PowerdnsAuthoritative => powerdns_authoritative::command(self),
            Software::PowerdnsRecursor => powerdns_recursor::command(self),
            Software::Dnsdist => dnsdist::command(self),
            Software::Dnsmasq => dnsmasq::command(self),
            Software::Hickory => hickory::command(self),
            Software::Gdnsd => gdnsd::command(self),
        }
    }

    /// What its configuration says of an NSID of its own; nothing, if it has none.
    fn own_nsid(&self, setting: impl FnOnce(&str) -> String) -> String {
        self.options.own_nsid.map_or_else(String::new, setting)
    }

    /// Writes one of its files.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        write(self.directory, name, text)
    }

    /// Its program, where it is to run.
    fn program(&self, software: Software) -> Command {
        self.namespace.command(software.program())
    }
}

/// Writes a file.
fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let file = directory.join(name);
    fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    file
}
