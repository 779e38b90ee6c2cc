//! A client that asks for the name without a pause, and keeps what it heard and when.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{boot_clock, client::Client, message::Query, netns::Namespace, servers::PRESENT};

/// How often it asks, unless told otherwise, and how long it waits for each answer.
pub const PERIOD: Duration = Duration::from_millis(20);

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When the question was sent, since boot.
    pub asked: Duration,
    /// When the answer had come, since boot.
    pub at: Duration,
    /// The name in it.
    pub name: Option<String>,
}

/// Asks from its start until it is stopped.
#[derive(Debug)]
pub struct Prober {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Heard>>>,
}

impl Prober {
    /// Starts asking a server.
    pub fn start(namespace: &Namespace, server: IpAddr) -> Self {
        Self::start_every(PERIOD, namespace, server)
    }

    /// Starts asking a server that often.
    pub fn start_every(period: Duration, namespace: &Namespace, server: IpAddr) -> Self {
        let client = Client::new(namespace, server);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || ask_until(&stopped, period, &client));
        Self { stop, thread: Some(thread) }
    }

    /// Stops and tells what it heard, in order; questions that nobody answered are not in it.
    pub fn stop(mut self) -> Vec<Heard> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("only stop takes the thread");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn ask_until(stopped: &AtomicBool, period: Duration, client: &Client) -> Vec<Heard> {
    let query = Query::a(PRESENT).with_nsid();
    let mut heard = Vec::new();
    let mut next = Instant::now();
    while !stopped.load(Ordering::Relaxed) {
        let asked = boot_clock::now();
        if let Some(answer) = client.ask_within(PERIOD, &query) {
            heard.push(Heard { asked, at: boot_clock::now(), name: answer.nsid() });
        }
        next += period;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    heard
}
