//! A socket for messages.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use nsid_peers::{Message, Outgoing};
use tokio::net::UdpSocket;

use super::quorum::Quorum;
use super::seal::{CANNOT_OPEN, ClusterKey, MAX_DATAGRAM, OpenError, open, seal};
use crate::clock::BootTime;

/// A UDP socket, and what messages are sealed under.
#[derive(Debug)]
pub(super) struct Wire {
    socket: UdpSocket,
    key: Option<ClusterKey>,
    /// Of the witness that it is.
    at: Option<SocketAddr>,
}

impl Wire {
    /// From which the witnesses of that quorum are reached.
    pub(super) fn to(quorum: &Quorum) -> io::Result<Self> {
        let any = match quorum.list.witnesses().first() {
            Some(SocketAddr::V6(_)) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            Some(SocketAddr::V4(_)) | None => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        };
        Self::bind(any, quorum, None)
    }

    /// Of its witness at that address.
    pub(super) fn at(address: SocketAddr, quorum: &Quorum) -> io::Result<Self> {
        Self::bind(address, quorum, Some(address))
    }

    fn bind(address: SocketAddr, quorum: &Quorum, at: Option<SocketAddr>) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UdpSocket::from_std(socket)?, key: quorum.key.clone(), at })
    }

    /// Sends all of them. What the kernel refuses is lost, as it may be on the way.
    pub(super) async fn send(&self, out: impl IntoIterator<Item = Outgoing>) {
        for Outgoing { to, message } in out {
            let Some(datagram) = seal(&message, self.key.as_ref(), self.at) else {
                log::debug!("a message to {to} is too long");
                continue;
            };
            if let Err(error) = self.socket.send_to(&datagram, to).await {
                log::debug!("to {to}: {error}");
            }
        }
    }

    /// Tells who sent something that cannot be opened.
    pub(super) async fn complain(&self, to: SocketAddr) {
        if let Err(error) = self.socket.send_to(CANNOT_OPEN, to).await {
            log::debug!("to {to}: {error}");
        }
    }

    /// The next message, or what came in place of one.
    pub(super) async fn receive(&self) -> (SocketAddr, Result<Message, OpenError>) {
        loop {
            if let Some(received) = self.try_receive() {
                return received;
            }
            // An error is that of a datagram, and told by the next look.
            let _ = self.socket.readable().await;
        }
    }

    /// The next one, if it is there already.
    pub(super) fn try_receive(&self) -> Option<(SocketAddr, Result<Message, OpenError>)> {
        // One byte more: what fills it was longer.
        let mut buffer = [0; MAX_DATAGRAM + 1];
        loop {
            match self.socket.try_recv_from(&mut buffer) {
                Ok((length, from)) => {
                    return Some((from, open(&buffer[..length], from, self.key.as_ref())));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // What became of a datagram that was sent, by ICMP.
                Err(error) => log::debug!("peers: {error}"),
            }
        }
    }
}

/// The present, as the machines are told it.
pub(super) fn now() -> nsid_peers::Time {
    time(BootTime::now())
}

/// Then, as the machines are told it.
pub(super) fn time(time: BootTime) -> nsid_peers::Time {
    nsid_peers::Time::from_nanos(time.as_nanos())
}

/// Then, on the clock that deadlines are told in: it is the same.
pub(super) fn boot_time(time: nsid_peers::Time) -> BootTime {
    BootTime::from_nanos(time.as_nanos())
}
