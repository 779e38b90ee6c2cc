//! Witnesses on the loopback interface, each in a thread of its own, which can be killed, frozen and started anew.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use std::future::poll_fn;
use std::pin::pin;

use nsid_peers::List;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::super::record::Records;
use super::super::{ClusterKey, Quorum, Witness};

/// Witnesses of one list.
pub(super) struct Site {
    records: TempDir,
    pub(super) quorum: Quorum,
    lease: Duration,
    witnesses: Vec<Option<Thread>>,
}

struct Thread {
    /// Dropped, the witness is.
    stop: Option<oneshot::Sender<()>>,
    /// Locked, it does nothing.
    frozen: Arc<Mutex<()>>,
    handle: Option<JoinHandle<()>>,
}

impl Site {
    /// So many of them.
    pub(super) fn start(witnesses: usize, lease: Duration, key: Option<ClusterKey>) -> Self {
        let list = List::new((0..witnesses).map(|_| free_address()).collect()).unwrap();
        let quorum = Quorum { list, key, expected: 0 };
        let records = tempfile::tempdir().unwrap();
        let mut site = Self { records, quorum, lease, witnesses: Vec::new() };
        site.witnesses = (0..witnesses).map(|index| Some(site.open(index))).collect();
        site
    }

    /// Ends a witness at once, as SIGKILL does: what it left says that it lives.
    pub(super) fn kill(&mut self, index: usize) {
        let records = Records::below(self.records.path(), self.quorum.list.witnesses()[index], "test");
        let left = fs::read(records.path());
        self.witnesses[index] = None;
        if let Ok(left) = left {
            fs::write(records.path(), left).unwrap();
        }
    }

    /// Starts one again that was killed.
    pub(super) fn restart(&mut self, index: usize) {
        self.witnesses[index] = Some(self.open(index));
    }

    /// For as long as that lasts, it does nothing.
    pub(super) fn freeze(&self, index: usize) -> MutexGuard<'_, ()> {
        let witness = self.witnesses[index].as_ref().unwrap();
        witness.frozen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, index: usize) -> Thread {
        let (quorum, lease) = (self.quorum.clone(), self.lease);
        let address = quorum.list.witnesses()[index];
        let records = Records::below(self.records.path(), address, "test");
        let (stop, stopped) = oneshot::channel();
        let frozen = Arc::new(Mutex::new(()));
        let held = Arc::clone(&frozen);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let witness = Witness::open_with(records, quorum, address, lease).unwrap();
                let mut serve = pin!(witness.serve());
                let serve = poll_fn(|context| {
                    let _thawed = held.lock().unwrap_or_else(PoisonError::into_inner);
                    serve.as_mut().poll(context)
                });
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
        });
        Thread { stop: Some(stop), frozen, handle: Some(thread) }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(handle) = self.handle.take() {
            let ended = handle.join();
            assert!(ended.is_ok() || thread::panicking(), "a witness panicked");
        }
    }
}

/// Below the ports that the kernel gives to who does not ask for one, and in no other process of these tests.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let port = 10_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 20_000;
        let address = SocketAddr::from(([127, 0, 74, 1], port));
        if std::net::UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}
