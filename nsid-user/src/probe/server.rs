//! Which server is asked.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use crate::config::DNS_PORT;

/// A DNS server's address and port. No host name: it can have many addresses, and which one says what is the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server(SocketAddr);

impl Server {
    /// Where it is asked.
    pub fn address(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for Server {
    type Err = ServerError;

    /// Takes an address, in brackets or not, with a port or without.
    fn from_str(text: &str) -> Result<Self, ServerError> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let alone = || match bare {
            Some(bare) => bare.parse().map(IpAddr::V6),
            None => text.parse(),
        };
        let address = text.parse().or_else(|_| alone().map(|address| SocketAddr::new(address, DNS_PORT)));
        match address {
            Ok(address) if address.port() == 0 => Err(ServerError::PortZero { address: address.ip() }),
            Ok(address) => Ok(Self(address)),
            Err(_) => Err(ServerError::NotAnAddress { text: text.to_owned() }),
        }
    }
}

/// With its port, also the usual one.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text is no [`Server`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// A port that no server has.
    #[error("no server has port 0; write {address} for port {DNS_PORT}")]
    PortZero {
        /// The address beside it.
        address: IpAddr,
    },
    /// A host name, or nonsense.
    #[error(
        "{text:?} is no address; write one such as 192.0.2.1, 192.0.2.1:5353, 2001:db8::1 or [2001:db8::1]:5353"
    )]
    NotAnAddress {
        /// The text.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_address_with_port_53_unless_it_says_another() {
        for (text, server) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
            ("[fe80::1%2]:53", "[fe80::1%2]:53"),
            // All of it is the address.
            ("2001:db8::1:53", "[2001:db8::1:53]:53"),
        ] {
            assert_eq!(text.parse::<Server>().map(|server| server.to_string()).as_deref(), Ok(server));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let names = ["ns1.example.net", "ns1.example.net:53", "localhost"];
        let nonsense =
            ["", ":53", "[]", "[192.0.2.1]", "[2001:db8::1", "2001:db8::1]", "192.0.2.1:65536", "192.0.2.1:"];
        for text in names.into_iter().chain(nonsense) {
            let error = ServerError::NotAnAddress { text: text.to_owned() };
            assert_eq!(text.parse::<Server>(), Err(error));
        }
        assert!(matches!("[::1]:0".parse::<Server>(), Err(ServerError::PortZero { .. })));
    }
}
