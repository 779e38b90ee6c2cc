//! Where a service's DNS server listens.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// The port of a DNS server (RFC 1035 section 4.2.1).
pub const DNS_PORT: u16 = 53;

/// An address and port whose queries and responses belong to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// Each local IPv4 address, as they come and go: `0.0.0.0:PORT`.
    EveryIpv4 {
        /// The UDP port, never 0.
        port: u16,
    },
    /// Each local IPv6 address, as they come and go: `[::]:PORT`.
    EveryIpv6 {
        /// The UDP port, never 0.
        port: u16,
    },
    /// This address alone.
    One {
        /// The address, never the unspecified one.
        address: IpAddr,
        /// The UDP port, never 0.
        port: u16,
    },
}

impl Listen {
    /// What a service without `listen` listens on: every local address, port 53.
    pub const DEFAULT: [Self; 2] = [Self::EveryIpv4 { port: DNS_PORT }, Self::EveryIpv6 { port: DNS_PORT }];
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let socket = text.parse::<SocketAddr>().map_err(|_| {
            let bare = text.trim_matches(['[', ']']);
            match bare.parse::<IpAddr>() {
                Ok(address) => ListenError::NoPort { address },
                Err(_) => ListenError::NotAnAddress { text: text.to_owned() },
            }
        })?;
        let port = socket.port();
        if port == 0 {
            return Err(ListenError::PortZero { address: socket.ip() });
        }
        Ok(match socket.ip().to_canonical() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Self::EveryIpv4 { port },
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Self::EveryIpv6 { port },
            address => Self::One { address, port },
        })
    }
}

/// The form that it is read from.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, port) = match *self {
            Self::EveryIpv4 { port } => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
            Self::EveryIpv6 { port } => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
            Self::One { address, port } => (address, port),
        };
        SocketAddr::new(address, port).fmt(f)
    }
}

/// Why a text is no [`Listen`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// An address alone.
    #[error("{address} has no port; write {}", SocketAddr::new(*address, DNS_PORT))]
    NoPort {
        /// The address.
        address: IpAddr,
    },
    /// A port that nobody can ask.
    #[error("port 0 cannot be listened on; write {}", SocketAddr::new(*address, DNS_PORT))]
    PortZero {
        /// The address beside it.
        address: IpAddr,
    },
    /// Neither form of address and port.
    #[error("{text:?} is no ADDR:PORT; write one such as 192.0.2.1:53 or [2001:db8::1]:53")]
    NotAnAddress {
        /// The text.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_prints_the_same() {
        for text in ["192.0.2.1:53", "[2001:db8::1]:5353", "0.0.0.0:53", "[::]:53", "127.0.0.53:53"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_unspecified_address_stands_for_all_of_its_family() {
        assert_eq!("0.0.0.0:5353".parse(), Ok(Listen::EveryIpv4 { port: 5353 }));
        assert_eq!("[::]:53".parse(), Ok(Listen::EveryIpv6 { port: 53 }));
    }

    #[test]
    fn an_ipv4_mapped_address_is_the_ipv4_address() {
        assert_eq!("[::ffff:192.0.2.1]:53".parse::<Listen>(), "192.0.2.1:53".parse());
    }

    #[test]
    fn an_address_without_a_port_is_told_apart_from_nonsense() {
        for bare in ["192.0.2.1", "2001:db8::1", "[2001:db8::1]"] {
            assert!(matches!(bare.parse::<Listen>(), Err(ListenError::NoPort { .. })), "{bare}");
        }
        for text in ["", ":53", "eth0:53", "53", "192.0.2.1:65536", "192.0.2:53", "192.0.2.1: 53"] {
            assert!(matches!(text.parse::<Listen>(), Err(ListenError::NotAnAddress { .. })), "{text:?}");
        }
        assert!(matches!("192.0.2.1:0".parse::<Listen>(), Err(ListenError::PortZero { .. })));
    }
}
