//! `nsid probe`: asks a DNS server who it is, as any client does, and times its answers.
//!
//! ```text
//! Question -> message -> socket -> message -> Answer     (`message` knows no sockets, `ask` no names)
//!                                      Heard -> Report   (`report` for people, `json` for programs)
//! ```
//!
//! It needs neither an agent nor root, and asks any server, one of ours or not.

mod ask;
mod json;
mod message;
mod report;
mod server;
mod timeout;

use std::io;

use self::ask::ask;
pub use self::{
    message::{Answer, Malformed, Question},
    report::Report,
    server::{Server, ServerError},
    timeout::{Timeout, TimeoutError},
};

/// Why a server could not be asked; that it does not answer is no error.
#[derive(Debug, thiserror::Error)]
#[error("cannot ask {server}: {source}")]
pub struct ProbeError {
    /// The server.
    server: Server,
    /// What the kernel said.
    source: io::Error,
}

/// Asks both questions, one after the other: the second would wait behind the first in the server's queue, and its time be longer.
pub fn probe(server: Server, timeout: Timeout) -> Result<Report, ProbeError> {
    let heard = |question| {
        ask(server.address(), question, timeout.get()).map_err(|source| ProbeError { server, source })
    };
    Ok(Report { server, timeout, nsid: heard(Question::Nsid)?, id_server: heard(Question::IdServer)? })
}
