//! What the programs log of each packet, if asked to (`--log-packets`).

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
};

use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use nsid_common::outcome::Outcome;
use tokio::io::unix::AsyncFd;

use super::load::Datapath;

/// The programs' log: readable when there is something to be flushed.
pub struct PacketLog(EbpfLogger<Named>);

impl Datapath {
    /// The programs' log; `None` if it was not asked for when they were loaded.
    pub fn packet_log(&mut self) -> Option<PacketLog> {
        EbpfLogger::init_with_logger(&mut self.ebpf, Named).ok().map(PacketLog)
    }
}

impl PacketLog {
    /// To be waited for in this thread's runtime.
    pub fn watched(self) -> io::Result<AsyncFd<Self>> {
        // SAFETY: the file descriptor is the ring buffer's, which lives in `self` and keeps it open.
        unsafe { AsyncFd::register(self) }.map_err(io::Error::from)
    }

    /// Writes to this process's log what has come.
    pub fn flush(&mut self) {
        self.0.flush();
    }
}

impl AsFd for PacketLog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for PacketLog {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The programs log an outcome's code and the interface's index; this logs the outcome's name.
#[derive(Clone, Copy, Debug)]
struct Named;

impl Log for Named {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        log::logger().enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let text = record.args().to_string();
        let code_and_index = text.split_once(' ').and_then(|(code, index)| Some((code.parse().ok()?, index)));
        match code_and_index {
            Some((code, index)) => {
                let name = Outcome::from_code(code).name();
                log::info!(target: "packet", "{} of interface {index}: {name}", record.target());
            }
            None => log::info!(target: "packet", "{}: {text}", record.target()),
        }
    }

    fn flush(&self) {}
}
