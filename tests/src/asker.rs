//! A client that asks one question again and again, each time as soon as the last answer has come, and counts.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    boot_clock,
    client::Client,
    message::{Answer, Query},
    netns::Namespace,
    servers::PRESENT,
};

/// How long an answer may take on a host that stands still for seconds. One that has not come by then is lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// The server, with an NSID option.
    WithNsid,
    /// The kernel, for `id.server.`
    IdServer,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Answers with the name.
    pub named: usize,
    /// What was in the others.
    pub others: Vec<Option<String>>,
    /// When the questions were asked that nobody answered, since boot.
    pub lost: Vec<Duration>,
}

/// Asks from its start until it is stopped.
#[derive(Debug)]
pub struct Asker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Tally>>,
}

impl Asker {
    /// Starts to ask a server for its name, which is this one.
    pub fn start(namespace: &Namespace, server: IpAddr, asks: Asks, name: &str) -> Self {
        let client = Client::new(namespace, server);
        let (name, stop) = (name.to_owned(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || ask_until(&stopped, &client, asks, &name));
        Self { stop, thread: Some(thread) }
    }

    /// Stops and tells what came of it.
    pub fn stop(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("only stop takes the thread");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn ask_until(stopped: &AtomicBool, client: &Client, asks: Asks, name: &str) -> Tally {
    let (query, said): (_, fn(&Answer) -> Option<String>) = match asks {
        Asks::WithNsid => (Query::a(PRESENT).with_nsid(), Answer::nsid),
        Asks::IdServer => (Query::identity("id.server."), Answer::text),
    };
    let mut tally = Tally::default();
    while !stopped.load(Ordering::Relaxed) {
        let asked = boot_clock::now();
        match client.ask_within(PATIENCE, &query).map(|answer| said(&answer)) {
            None => tally.lost.push(asked),
            Some(said) if said.as_deref() == Some(name) => tally.named += 1,
            Some(other) => tally.others.push(other),
        }
    }
    tally
}
