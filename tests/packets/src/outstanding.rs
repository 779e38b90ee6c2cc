//! Many queries that wait for their responses: how many notes are lost on the way from one CPU to another.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions, Xdp};
use nsid_common::model::Datagram;
use nsid_user::datapath::Prog;
use rustix::thread::{CpuSet, sched_setaffinity};

use super::{
    both::open_stage,
    insertions::with,
    kernel::Kernel,
    message::asking,
    row::{SERVER4, address},
};

/// How many more queries may be under way: the two CPUs do not wait for each other at each of them.
const AHEAD: usize = 1000;

/// Queries that are noted on one CPU while responses are named on another.
#[derive(Clone, Copy, Debug)]
pub struct Outstanding {
    /// How many at a time have no response yet, at least.
    pub outstanding: usize,
    /// How many in all.
    pub queries: usize,
}

impl Outstanding {
    /// How many responses left without the name.
    pub fn lost(self, kernel: &mut Kernel) -> usize {
        kernel.fill(&open_stage());
        let Self { outstanding, queries } = self;
        let (sent, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let xdp: &Xdp = kernel.program(Prog::Xdp);
        let tc: &SchedClassifier = kernel.program(Prog::Responses);
        thread::scope(|scope| {
            scope.spawn(|| {
                let sent = Done(&sent);
                on_cpu(0);
                for number in 0..queries {
                    wait_while(|| number >= answered.load(Ordering::Acquire) + outstanding + AHEAD);
                    let query = Datagram::new(client(number), address(SERVER4), message(number, false));
                    let mut options = TestRunOptions::default();
                    let query = query.frame();
                    options.data_in = Some(&query);
                    xdp.test_run(options).expect("a test run");
                    sent.0.store(number + 1, Ordering::Release);
                }
            });
            let responses = scope.spawn(|| {
                let answered = Done(&answered);
                on_cpu(1);
                let mut lost = 0;
                for number in 0..queries {
                    // The last ones have nobody behind them.
                    let waiting = (number + outstanding).min(queries);
                    wait_while(|| sent.load(Ordering::Acquire) < waiting);
                    let response = Datagram::new(address(SERVER4), client(number), message(number, true));
                    let response = response.frame();
                    let mut left = vec![0; 4096];
                    let mut options = TestRunOptions::default();
                    (options.data_in, options.data_out) =
                        (Some(response.as_slice()), Some(left.as_mut_slice()));
                    let result = tc.test_run(options).expect("a test run");
                    lost += usize::from(usize::try_from(result.data_size_out) == Ok(response.len()));
                    answered.0.store(number + 1, Ordering::Release);
                }
                lost
            });
            responses.join().expect("no panic")
        })
    }
}

/// How many are done; as many as anybody waits for at the end, and in a panic, which else nobody would see.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(usize::MAX / 2, Ordering::Release);
    }
}

/// As many clients as there are queries, each with another id.
fn client(number: usize) -> std::net::SocketAddr {
    let number = u32::try_from(number).expect("fewer queries than addresses");
    let [_, high, middle, low] = number.to_be_bytes();
    ([10, 1 + high, middle, low], 1024 + u16::from(low)).into()
}

fn message(number: usize, response: bool) -> Vec<u8> {
    let [.., high, low] = number.wrapping_mul(0x9e37).to_be_bytes();
    let message = if response { with(b"").0 } else { asking() };
    message.id(u16::from_be_bytes([high, low])).bytes()
}

fn wait_while(condition: impl Fn() -> bool) {
    while condition() {
        thread::yield_now();
    }
}

/// Test runs are on the CPU of who asks for them.
fn on_cpu(cpu: usize) {
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    let pinned: io::Result<()> = sched_setaffinity(None, &cpus).map_err(io::Error::from);
    pinned.expect("two CPUs");
}
