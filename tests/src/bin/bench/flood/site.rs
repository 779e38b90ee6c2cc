//! Somebody who answers, on a wire of its own, and the flood at its other end.
//!
//! Everything that an answer costs the server's host is on one CPU: receiving, by a thread of the kernel (see
//! [`cpus`](crate::cpus)), the programs that run there, and the server. By default the two take turns, as with a NIC's
//! interrupts on a busy host. The flood and the counting are on the other CPU, and count first.

use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use hickory_proto::op::ResponseCode;
use nsid_tests::{
    agent::Agent,
    client::Client,
    link::{Addresses, End, veth},
    message::{Answer, Query},
    netns::Namespace,
    patience::within,
    peer_xdp::PassProgram,
    process::run,
    servers::Server,
    unique::Prefix,
    wire::INTERFACE,
};

use super::{
    frame::{self, Ends},
    load::Load,
    programs::{Programs, Tally},
    results::Sample,
    subject::{NAME, Subject},
};
use crate::cpus::{Cpu, Threads, Turns};

/// Ends in the order of its fields.
#[derive(Debug)]
pub(crate) struct Site {
    programs: Programs,
    _agent: Option<Agent>,
    _pass: Option<PassProgram>,
    answering: Server,
    client: Namespace,
    server: Namespace,
    flooding: Cpu,
    receiving: Threads,
}

const SERVER: Addresses = Addresses::new(1, 2);
const CLIENT: Addresses = Addresses::new(1, 1);
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// Answers of the kernel in a second to the client's network: a limit that is kept to, and that no flood here reaches.
const ANSWER_RATE: &str = "10000000";

/// How long a measurement lasts, about.
const TIME: Duration = Duration::from_millis(400);

/// Frames before one, to warm up and to see how long they take.
const WARM_UP: u32 = 200_000;

/// When nothing has been answered for so long, nothing more will be.
const SILENCE: Duration = Duration::from_millis(60);

const START: Duration = Duration::from_secs(10);

impl Site {
    /// Starts it.
    pub(crate) fn start(subject: Subject, [serving, flooding]: [Cpu; 2]) -> Result<Self> {
        let [server, client] = ["server", "client"].map(|role| Namespace::new(Prefix::Test, role));
        connect(&server, &client);
        let receiving = serving.bind_receiving(&server, INTERFACE, Turns::Shared)?;
        flooding.bind_receiving(&client, INTERFACE, Turns::BeforeFirst)?;
        let (answering, agent) = serving.starting(|| {
            let answering = Server::start(subject.software(), &server, SERVER, subject.options());
            let store = format!("static:{NAME}");
            let arguments = ["--iface", INTERFACE, "--store", &store, "--answer-rate", ANSWER_RATE];
            let agent = (subject == Subject::Nsid).then(|| Agent::start(&server, &arguments));
            (answering, agent)
        })?;
        // What is sent to an end without a program does not arrive; two subjects have one of their own.
        let pass = (!matches!(subject, Subject::Nsid | Subject::KnotAfXdp))
            .then(|| PassProgram::attach(&server, INTERFACE));
        let query = Query::identity("id.server.").with_nsid();
        let answer = first_answer(&client, &query);
        ensure!(answer.rcode() == ResponseCode::NoError, "{subject:?}: {answer:?}");
        ensure!(answer.nsid().as_deref() == Some(NAME), "{subject:?}: not that NSID: {answer:?}");
        ensure!(answer.text() == Some(subject.text()), "{subject:?}: not that text: {answer:?}");
        let ends = Ends { client: (CLIENT_MAC, CLIENT.v4), server: (SERVER_MAC, SERVER.v4) };
        let query = frame::Query::new(ends, &query.encode(0));
        let programs = client.enter(|| Programs::attach(INTERFACE, query, answer.bytes()))?;
        Ok(Self { programs, _agent: agent, _pass: pass, answering, client, server, flooding, receiving })
    }

    /// Asks at that load, and counts.
    pub(crate) fn measure(&mut self, load: Load) -> Result<Sample> {
        let (_, took) = self.ask(load, WARM_UP)?;
        let frames = f64::from(WARM_UP) * TIME.as_secs_f64() / took.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it saturates, and is positive"
        )]
        let frames = frames as u32;
        let (refused, worked) = (self.refused()?, self.have_worked()?);
        let (tally, _) = self.ask(load, frames)?;
        let (refused_then, worked_then) = (self.refused()?, self.have_worked()?);
        let Tally { asked, right: answered, wrong, time, right_in_time: answered_in_time } = tally;
        ensure!(wrong == 0, "{wrong} of {answered} answers are not like the first one");
        Ok(Sample {
            asked,
            arrived: asked - (refused_then[0] - refused[0]),
            answered,
            answered_in_time,
            refused: refused_then[1] - refused[1],
            time,
            worked: worked_then.saturating_sub(worked),
        })
    }

    /// Has so many frames made, and waits until nothing comes back any more.
    fn ask(&mut self, load: Load, frames: u32) -> Result<(Tally, Duration)> {
        let Self { programs, client, flooding, .. } = self;
        let work = || {
            flooding.bind_self(Turns::First)?;
            programs.begin(load)?;
            let start = Instant::now();
            programs.run(frames)?;
            let took = start.elapsed();
            let mut tally = programs.tally()?;
            loop {
                thread::sleep(SILENCE);
                let now = programs.tally()?;
                if now.right == tally.right {
                    return Ok((now, took));
                }
                tally = now;
            }
        };
        client.enter(work)
    }

    /// Queries of the flood, and answers of a program, that the wire has refused so far: its ring was full.
    fn refused(&self) -> Result<[u64; 2]> {
        let count = |namespace: &Namespace, counter: &str| {
            let all = run(namespace.command("ethtool").args(["-S", INTERFACE]));
            let count = all.lines().find_map(|line| line.trim().strip_prefix(counter)?.trim().parse().ok());
            count.with_context(|| format!("no {counter} in {all}"))
        };
        Ok([
            count(&self.client, "tx_queue_0_xdp_xmit_errors:")?,
            count(&self.server, "rx_queue_0_xdp_tx_errors:")?,
        ])
    }

    /// How long everything on the server's side has run.
    fn have_worked(&self) -> Result<Duration> {
        Ok(self.receiving.have_run()? + Threads::of_group(self.answering.group()).have_run()?)
    }
}

/// A veth pair, with addresses of our own choice that nobody has to ask for.
fn connect(server: &Namespace, client: &Namespace) {
    veth(
        End { namespace: server, interface: INTERFACE, addresses: SERVER },
        End { namespace: client, interface: INTERFACE, addresses: CLIENT },
    );
    let shown = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
    for (namespace, mac, other, other_mac) in
        [(server, SERVER_MAC, CLIENT, CLIENT_MAC), (client, CLIENT_MAC, SERVER, SERVER_MAC)]
    {
        namespace.ip_batch(&[
            format!("link set {INTERFACE} address {}", shown(mac)),
            format!("neigh replace {} lladdr {} dev {INTERFACE} nud permanent", other.v4, shown(other_mac)),
        ]);
    }
}

fn first_answer(client: &Namespace, query: &Query) -> Answer {
    const SOON: Duration = Duration::from_millis(200);
    let socket = Client::new(client, IpAddr::V4(SERVER.v4));
    within(START, "a first answer", || socket.ask_within(SOON, query))
}
