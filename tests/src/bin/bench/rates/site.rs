//! A server on a wire, in each of the states that are compared.

use std::{net::IpAddr, thread, time::Duration};

use anyhow::{Result, ensure};
use nsid_tests::{
    agent::Agent,
    link::Addresses,
    message::Query,
    peer_xdp::PassProgram,
    servers::{Options, PRESENT, Server, Software},
    wire::{INTERFACE, Wire},
};

use super::load::Load;
use crate::cpus::{self, Cpu, Threads, Turns};

/// What is attached to the server's interface, and who is asked for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Nothing.
    Nothing,
    /// Programs that pass everything, at the hooks that nsid uses.
    Bare,
    /// nsid, and nobody asks for the name.
    Attached,
    /// nsid, and every query asks for the name.
    Injecting,
    /// Programs that pass everything; the server says the same name by itself, and every query asks for it.
    NativeBare,
    /// The same with nothing attached.
    Native,
    /// As the first, at the other end of a round.
    NothingAgain,
}

impl State {
    /// In the order in which they are measured: what is compared lies side by side.
    pub(crate) const ALL: [Self; 7] = [
        Self::Nothing,
        Self::Bare,
        Self::Attached,
        Self::Injecting,
        Self::NativeBare,
        Self::Native,
        Self::NothingAgain,
    ];
}

/// What a round of a state came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Queries answered in a second of the server's CPU.
    pub(crate) per_second: f64,
    /// Queries that were not answered.
    pub(crate) lost: u32,
}

/// A server that knows nothing of NSID, another of the same software that does, and a client. Ends in the order of its
/// fields.
#[derive(Debug)]
pub(crate) struct Site {
    _servers: [Server; 2],
    /// All that works for a query on the server's side.
    threads: Threads,
    client: Cpu,
    wire: Wire,
}

const NAME: &str = "worker17";

/// Of the server that says the name by itself.
const NATIVE: Addresses = Addresses::new(1, 3);

/// How long to ask before a round, and in it.
const WARM_UP: Duration = Duration::from_millis(100);
const ROUND: Duration = Duration::from_millis(500);

impl Site {
    /// Starts the servers.
    pub(crate) fn start(software: Software) -> Result<Self> {
        let wire = Wire::direct();
        wire.server.ip(&format!("addr add {}/24 dev {INTERFACE}", NATIVE.v4));
        wire.server.ip(&format!("addr add {}/64 dev {INTERFACE} nodad", NATIVE.v6));
        let start = |addresses, own_nsid| {
            Server::start(software, &wire.server, addresses, Options { own_nsid, ..Options::default() })
        };
        let servers = [start(wire.addresses, None), start(NATIVE, Some(NAME))];
        let [server, client] = cpus::choose()?;
        client.bind_receiving(&wire.client, INTERFACE, Turns::First)?;
        let mut threads = server.bind_receiving(&wire.server, INTERFACE, Turns::First)?;
        for one in &servers {
            threads = threads.and(server.bind_server(one, Turns::First)?);
        }
        Ok(Self { _servers: servers, threads, client, wire })
    }

    /// Measures a state.
    pub(crate) fn measure(&self, state: State) -> Result<Rate> {
        let plain = || self.load(self.wire.addresses, &Query::a(PRESENT).with_opt(), None);
        let nsid = |server| self.load(server, &Query::a(PRESENT).with_nsid(), Some(NAME));
        match state {
            State::Nothing | State::NothingAgain => plain(),
            State::Bare => self.with_bare_programs(plain),
            State::Attached => self.with_nsid(plain),
            State::Injecting => self.with_nsid(|| nsid(self.wire.addresses)),
            State::NativeBare => self.with_bare_programs(|| nsid(NATIVE)),
            State::Native => nsid(NATIVE),
        }
    }

    fn with_bare_programs(&self, work: impl FnOnce() -> Result<Rate>) -> Result<Rate> {
        let _ingress = PassProgram::attach(&self.wire.server, INTERFACE);
        let _egress = PassProgram::attach_egress(&self.wire.server, INTERFACE);
        work()
    }

    fn with_nsid(&self, work: impl FnOnce() -> Result<Rate>) -> Result<Rate> {
        let store = format!("static:{NAME}");
        let agent = Agent::start(&self.wire.server, &["--iface", INTERFACE, "--store", &store]);
        let rate = work()?;
        let (status, _instance) = agent.terminate();
        ensure!(status.success(), "the agent ended with {status}");
        Ok(rate)
    }

    fn load(&self, server: Addresses, query: &Query, nsid: Option<&str>) -> Result<Rate> {
        let mut load = Load::new(&self.wire.client, IpAddr::V4(server.v4), query, nsid)?;
        let work = || {
            self.client.bind_self(Turns::First)?;
            load.run(WARM_UP)?;
            let before = self.threads.have_run()?;
            let tally = load.run(ROUND)?;
            let time = self.threads.have_run()?.saturating_sub(before);
            Ok(Rate { per_second: f64::from(tally.answered) / time.as_secs_f64(), lost: tally.lost })
        };
        thread::scope(|scope| scope.spawn(work).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
