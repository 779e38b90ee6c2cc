//! The witnesses of a pool that no store keeps.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use nsid_peers::{List, ListError};

/// The port of a witness, if nothing else is said.
const PORT: u16 = 7400;

/// Witnesses, as `peers://ADDRESS[:PORT][,ADDRESS[:PORT]...]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeersAddress {
    /// Who they are.
    pub list: List,
}

impl FromStr for PeersAddress {
    type Err = PeersAddressError;

    /// What stands behind `peers://`.
    fn from_str(text: &str) -> Result<Self, PeersAddressError> {
        let witnesses = text.split(',').map(witness).collect::<Result<Vec<_>, _>>()?;
        if witnesses.iter().any(SocketAddr::is_ipv4) && witnesses.iter().any(SocketAddr::is_ipv6) {
            return Err(PeersAddressError::TwoFamilies);
        }
        Ok(Self { list: List::new(witnesses)? })
    }
}

fn witness(text: &str) -> Result<SocketAddr, PeersAddressError> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_the_port = || Some(SocketAddr::new(bare.parse().ok()?, PORT));
    let is_one = |witness: &SocketAddr| {
        let is_of_one_host = match witness.ip() {
            IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast(),
            // One of a link is another host's on another link.
            IpAddr::V6(ip) => {
                !ip.is_unspecified()
                    && !ip.is_multicast()
                    && !ip.is_unicast_link_local()
                    && ip.to_ipv4_mapped().is_none()
            }
        };
        witness.port() != 0 && is_of_one_host
    };
    let witness = text.parse().ok().or_else(with_the_port).filter(is_one);
    witness.ok_or_else(|| PeersAddressError::Witness { witness: text.to_owned() })
}

/// Why a text is no [`PeersAddress`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeersAddressError {
    /// A witness's address.
    #[error(
        "{witness:?} is no address of a witness; write peers://ADDRESS:PORT, the same on every node, by numbers: \
         peers://192.0.2.1:7400,192.0.2.2:7400,192.0.2.3:7400"
    )]
    Witness {
        /// The text.
        witness: String,
    },
    /// A node sends from one kind of address.
    #[error("witnesses have addresses either of IPv4 or of IPv6; give all of them one of the same kind")]
    TwoFamilies,
    /// Not a number of them that makes a majority.
    #[error(transparent)]
    List(#[from] ListError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn witnesses_are_addresses_with_a_port_or_the_usual_one() {
        for (text, list) in [
            ("10.0.0.1", "10.0.0.1:7400"),
            ("10.0.0.2:1,10.0.0.1,10.0.0.3:7400", "10.0.0.1:7400,10.0.0.2:1,10.0.0.3:7400"),
            ("[2001:db8::1]:1", "[2001:db8::1]:1"),
            ("[2001:db8::1]", "[2001:db8::1]:7400"),
            ("::1", "[::1]:7400"),
        ] {
            assert_eq!(text.parse::<PeersAddress>().expect(text).list.to_string(), list);
        }
    }

    #[test]
    fn what_is_no_list_is_named() {
        for witness in [
            "",
            "ns1.example.net:7400",
            "10.0.0.1:0",
            "0.0.0.0:7400",
            "224.0.0.1",
            "255.255.255.255",
            "10.0.0.1:70000",
            "fe80::1",
            "[fe80::1%2]:7400",
            "::ffff:10.0.0.1",
        ] {
            let error = PeersAddressError::Witness { witness: witness.to_owned() };
            assert_eq!(witness.parse::<PeersAddress>(), Err(error));
        }
        let two = "10.0.0.1,10.0.0.2".parse::<PeersAddress>().unwrap_err().to_string();
        assert_eq!(two, "2 witnesses; give 1, 3 or 5");
        assert_eq!("10.0.0.1,::1,::2".parse::<PeersAddress>(), Err(PeersAddressError::TwoFamilies));
    }
}
