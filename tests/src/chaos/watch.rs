//! Asks every node for its name every 20 ms, all from one thread that waits for none of them, and puts what it hears
//! together.
//!
//! What tells one claim of an agent from the next is how much the agent had told when the question was sent and when the
//! next ones were: an agent that loses a name tells so before it asks for another one.

use std::{
    collections::{BTreeMap, VecDeque},
    fs, mem,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::setpriority_process;

use super::stretch::{Epoch, Said, Stretch};
use crate::{
    boot_clock,
    client::PORT,
    message::{Answer, Query},
    netns::Namespace,
    prober::PERIOD,
    servers::PRESENT,
};

/// How many rounds of questions an answer may be late by: two seconds.
const ROUNDS: usize = 100;

/// The nice value of who goes before all others.
const FIRST: i32 = -20;

/// What is not heard for that long is silence; anything shorter may be a lost packet.
pub(super) const SILENCE: Duration = Duration::from_millis(100);

/// From when to when something was so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

/// A line of an agent's standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) at: Duration,
    pub(super) node: usize,
    pub(super) line: String,
}

/// All that was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) stretches: Vec<Stretch>,
    /// When a name was said, by whomever, without a silence in between.
    pub(super) heard: BTreeMap<String, Vec<Span>>,
    pub(super) told: Vec<Told>,
    pub(super) asked: usize,
    pub(super) answers: usize,
    /// The longest time in which a node gave no answer.
    pub(super) blind: Duration,
}

/// What a node said last, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Latest {
    pub(super) at: Duration,
    pub(super) name: Option<String>,
}

/// Asks from its start until it is stopped.
#[derive(Debug)]
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<Seen>>,
}

#[derive(Debug)]
struct Shared {
    runs: Vec<Run>,
    latest: Vec<Latest>,
}

/// A run of an agent at a node.
#[derive(Clone, Debug, Default)]
struct Run {
    number: u32,
    stdout: Option<PathBuf>,
}

impl Watch {
    /// Starts to ask these servers.
    pub(super) fn start(hub: &Namespace, servers: &[Ipv4Addr]) -> Self {
        let socket = hub.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).expect("a socket");
        let shared = Shared {
            runs: vec![Run::default(); servers.len()],
            latest: vec![Latest::default(); servers.len()],
        };
        let (stop, shared) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(shared)));
        let watcher = Watcher::new(socket, servers.to_vec(), Arc::clone(&shared));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || watcher.ask_until(&stopped));
        Self { stop, shared, thread: Some(thread) }
    }

    /// From now on, what a node says is of another run of its agent, about to start.
    pub(super) fn next_run(&self, node: usize) {
        let runs = &mut self.shared().runs;
        runs[node] = Run { number: runs[node].number + 1, stdout: None };
    }

    /// The run has started, and that is where it tells.
    pub(super) fn listen(&self, node: usize, stdout: PathBuf) {
        self.shared().runs[node].stdout = Some(stdout);
    }

    /// What each node said last.
    pub(super) fn latest(&self) -> Vec<Latest> {
        self.shared().latest.clone()
    }

    /// Stops and tells what was seen.
    pub(super) fn stop(mut self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("only stop takes the thread");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().expect("nobody panics with it")
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A round of questions.
#[derive(Debug)]
struct Round {
    id: u16,
    asked: Duration,
    /// Of each node, before it was asked.
    epochs: Vec<Epoch>,
}

/// An answer whose epoch is not certain yet.
#[derive(Debug)]
struct Arrived {
    node: usize,
    said: Said,
    name: Option<String>,
    epoch: Epoch,
}

struct Watcher {
    socket: UdpSocket,
    servers: Vec<Ipv4Addr>,
    shared: Arc<Mutex<Shared>>,
    epochs: Vec<Epoch>,
    rounds: VecDeque<Round>,
    arrived: Vec<Arrived>,
    /// The stretch of each node that goes on.
    open: Vec<Option<Stretch>>,
    answered: Vec<Option<Duration>>,
    seen: Seen,
}

impl Watcher {
    fn new(socket: UdpSocket, servers: Vec<Ipv4Addr>, shared: Arc<Mutex<Shared>>) -> Self {
        let nodes = servers.len();
        Self {
            socket,
            servers,
            shared,
            epochs: vec![Epoch { run: 0, told: 0 }; nodes],
            rounds: VecDeque::with_capacity(ROUNDS),
            arrived: Vec::new(),
            open: vec![None; nodes],
            answered: vec![None; nodes],
            seen: Seen::default(),
        }
    }

    fn ask_until(mut self, stopped: &AtomicBool) -> Seen {
        // Of this thread alone (setpriority(2), "C library/kernel differences"): whatever else there is to do waits.
        setpriority_process(None, FIRST).expect("root may");
        let query = Query::a(PRESENT).with_nsid();
        let mut next = Instant::now();
        for id in (0..=u16::MAX).cycle() {
            self.listen();
            self.settle();
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            self.ask(id, &query.encode(id));
            next = (next + PERIOD).max(Instant::now());
            self.receive_until(next);
        }
        self.seen.stretches.extend(self.open.into_iter().flatten());
        self.seen
    }

    /// Sees what agents have told since.
    fn listen(&mut self) {
        let runs = self.shared.lock().expect("nobody panics with it").runs.clone();
        for (node, run) in runs.into_iter().enumerate() {
            let epoch = &mut self.epochs[node];
            if epoch.run != run.number {
                *epoch = Epoch { run: run.number, told: 0 };
            }
            // One that was killed has no file any more, and tells nothing.
            let Some(stdout) = run.stdout else { continue };
            let Ok(length) = fs::metadata(&stdout).map(|file| file.len()) else { continue };
            if length != epoch.told {
                let text = fs::read_to_string(&stdout).unwrap_or_default();
                let new = text.get(usize::try_from(epoch.told).unwrap_or(0)..).unwrap_or_default();
                let at = boot_clock::now();
                self.seen.told.extend(new.lines().map(|line| Told { at, node, line: line.to_owned() }));
                epoch.told = length;
            }
        }
    }

    /// Puts down the answers that came before agents were last listened to.
    fn settle(&mut self) {
        for Arrived { node, said, name, epoch } in mem::take(&mut self.arrived) {
            let since = self.answered[node].replace(said.at);
            self.seen.blind = self.seen.blind.max(said.at.saturating_sub(since.unwrap_or(said.at)));
            let Some(name) = name else { continue };
            self.heard(&name, said);
            let certain = epoch == self.epochs[node];
            match &mut self.open[node] {
                Some(open) if certain && open.epoch == epoch && open.name == name => {
                    open.last = said;
                }
                open => {
                    let stretch = Stretch { node, name, epoch, first: said, last: said };
                    // One whose claim is not certain is a stretch of its own.
                    let ended = if certain { open.replace(stretch) } else { Some(stretch) };
                    self.seen.stretches.extend(ended);
                }
            }
        }
    }

    fn heard(&mut self, name: &str, said: Said) {
        let spans = self.seen.heard.entry(name.to_owned()).or_default();
        match spans.last_mut() {
            Some(span) if said.at <= span.to + SILENCE => span.to = span.to.max(said.at),
            Some(_) | None => spans.push(Span { from: said.at, to: said.at }),
        }
    }

    fn ask(&mut self, id: u16, message: &[u8]) {
        if self.rounds.len() == ROUNDS {
            self.rounds.pop_front();
        }
        self.rounds.push_back(Round { id, asked: boot_clock::now(), epochs: self.epochs.clone() });
        for &server in &self.servers {
            // One that cannot be sent is one that nobody answers.
            let _unsent = self.socket.send_to(message, (server, PORT));
        }
        self.seen.asked += self.servers.len();
    }

    fn receive_until(&mut self, end: Instant) {
        let mut buffer = [0; 1500];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.socket.set_read_timeout(Some(left)).expect("a time-out that is not zero");
            // An error is that time-out, or of a question that nobody took.
            if let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
                self.receive(&buffer[..length], from);
            }
        }
    }

    fn receive(&mut self, message: &[u8], from: SocketAddr) {
        let at = boot_clock::now();
        let node = self.servers.iter().position(|&server| IpAddr::V4(server) == from.ip());
        let round = self.rounds.iter().rfind(|round| message.starts_with(&round.id.to_be_bytes()));
        let (Some(node), Some(round)) = (node, round) else { return };
        let said = Said { asked: round.asked, at };
        let epoch = round.epochs[node];
        let name = Answer::decode(message).nsid();
        self.seen.answers += 1;
        self.shared.lock().expect("nobody panics with it").latest[node] = Latest { at, name: name.clone() };
        self.arrived.push(Arrived { node, said, name, epoch });
    }
}
