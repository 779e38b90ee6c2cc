//! The links of a network namespace, as rtnetlink(7) tells them.

use std::io;

use futures_util::TryStreamExt;
use rtnetlink::{
    Handle, new_connection,
    packet_route::{
        AddressFamily,
        link::{
            InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp,
        },
    },
};
use thiserror::Error;

use super::addresses::Address;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index, which stays the same when it is renamed and is never the same when it is made again.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// What its frames begin with.
    pub layer: Layer,
    /// The longest packet behind that header.
    pub mtu: u32,
    /// Whether it is set up (`IFF_UP`).
    pub up: bool,
    /// The link it stands on, for a VLAN; the other end, which may be in another namespace, for a veth.
    pub lower: Option<u32>,
    /// The bond or bridge that it is one link of.
    pub master: Option<u32>,
    /// The XDP programs on it, whoever attached them.
    pub xdp: Vec<Xdp>,
}

/// What a link is: who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A driver of a real or virtual machine's device.
    Physical,
    /// `lo`.
    Loopback,
    /// One end of a pair.
    Veth,
    /// A VLAN of another link.
    Vlan,
    /// Several links as one.
    Bond,
    /// A software switch.
    Bridge,
    /// A link to nowhere, often a home for anycast addresses.
    Dummy,
    /// By the name that `ip link add ... type NAME` knows it.
    Other(String),
}

/// What the frames of a link begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// An Ethernet header, to this address.
    Ethernet([u8; 6]),
    /// An Ethernet header of zeros.
    Loopback,
    /// Anything else, by its name in the kernel (`ARPHRD_*`).
    Other(String),
}

/// An XDP program on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xdp {
    /// Where in the receive path it runs.
    pub mode: XdpMode,
    /// The program's id, as bpftool knows it.
    pub program: u32,
}

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// Behind it, on socket buffers.
    Generic,
    /// On the device.
    Offload,
}

/// Why a link is of no use.
#[derive(Debug, Error)]
pub enum LinkError {
    /// Nothing of that name.
    #[error("no interface '{name}' in this network namespace; there are: {}", present.join(", "))]
    Missing {
        /// The name asked for.
        name: String,
        /// The names there are.
        present: Vec<String>,
    },
    /// Our programs read Ethernet frames.
    #[error(
        "interface '{name}' carries no Ethernet frames: its link type is {layer}; use the interface below it"
    )]
    NotEthernet {
        /// The interface.
        name: String,
        /// Its `ARPHRD_*` name.
        layer: String,
    },
    /// What is sent to its addresses arrives elsewhere.
    #[error(
        "no query comes to interface '{name}', which is a dummy; use the interface that they come to: \
         the addresses of '{name}' are served there"
    )]
    Dummy {
        /// The interface.
        name: String,
    },
    /// The kernel does not tell.
    #[error("cannot ask the kernel about interfaces: {0}")]
    Netlink(#[from] rtnetlink::Error),
}

impl Link {
    /// The address that frames for this host carry.
    pub fn mac(&self) -> Result<[u8; 6], LinkError> {
        match &self.layer {
            Layer::Ethernet(mac) => Ok(*mac),
            Layer::Loopback => Ok([0; 6]),
            Layer::Other(layer) => {
                Err(LinkError::NotEthernet { name: self.name.clone(), layer: layer.clone() })
            }
        }
    }

    /// Whether queries can come to it, in frames that our programs read.
    pub fn check(&self) -> Result<(), LinkError> {
        if self.kind == Kind::Dummy {
            return Err(LinkError::Dummy { name: self.name.clone() });
        }
        self.mac().map(drop)
    }

    /// `None` for a message about something else than the link itself: a bridge tells of its ports in
    /// messages of the same type (`AF_BRIDGE`), also when one merely leaves it.
    pub(super) fn from_message(message: LinkMessage) -> Option<Self> {
        if message.header.interface_family != AddressFamily::Unspec {
            return None;
        }
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            kind: Kind::Physical,
            layer: Layer::Other(message.header.link_layer_type.to_string()),
            mtu: 0,
            up: message.header.flags.contains(LinkFlags::Up),
            lower: None,
            master: None,
            xdp: Vec::new(),
        };
        if message.header.link_layer_type == LinkLayerType::Loopback {
            (link.kind, link.layer) = (Kind::Loopback, Layer::Loopback);
        }
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::Link(lower) => link.lower = Some(lower).filter(|lower| *lower != 0),
                LinkAttribute::Controller(master) => link.master = Some(master),
                LinkAttribute::Address(mac) if message.header.link_layer_type == LinkLayerType::Ether => {
                    link.layer = Layer::Ethernet(mac.try_into().ok()?);
                }
                LinkAttribute::LinkInfo(infos) => {
                    let kind = infos.into_iter().find_map(|info| match info {
                        LinkInfo::Kind(kind) => Some(Kind::from(kind)),
                        _ => None,
                    });
                    link.kind = kind.unwrap_or(link.kind);
                }
                LinkAttribute::Xdp(attributes) => {
                    link.xdp = attributes.iter().filter_map(Xdp::from_nla).collect();
                }
                _ => {}
            }
        }
        Some(link)
    }
}

impl From<InfoKind> for Kind {
    fn from(kind: InfoKind) -> Self {
        match kind {
            InfoKind::Veth => Self::Veth,
            InfoKind::Vlan => Self::Vlan,
            InfoKind::Bond => Self::Bond,
            InfoKind::Bridge => Self::Bridge,
            InfoKind::Dummy => Self::Dummy,
            other => Self::Other(other.to_string()),
        }
    }
}

impl Xdp {
    /// The kernel tells the program of each mode by itself; `IFLA_XDP_PROG_ID` repeats the only one.
    fn from_nla(attribute: &LinkXdp) -> Option<Self> {
        let (mode, program) = match *attribute {
            LinkXdp::DrvProgId(program) => (XdpMode::Native, program),
            LinkXdp::SkbProgId(program) => (XdpMode::Generic, program),
            LinkXdp::HwProgId(program) => (XdpMode::Offload, program),
            _ => return None,
        };
        Some(Self { mode, program })
    }
}

/// Questions to the kernel about the network namespace in which this was opened.
#[derive(Clone, Debug)]
pub struct Netlink(Handle);

impl Netlink {
    /// Opens a socket, and spawns the task that serves it for as long as this lives.
    pub fn open() -> io::Result<Self> {
        let (connection, handle, _) = new_connection()?;
        tokio::spawn(connection);
        Ok(Self(handle))
    }

    /// Every link.
    pub async fn links(&self) -> Result<Vec<Link>, LinkError> {
        let without_counters = vec![LinkExtentMask::SkipStats];
        let request = self.0.link().get().set_filter_mask(AddressFamily::Unspec, without_counters);
        let messages = request.execute().try_collect::<Vec<_>>().await?;
        Ok(messages.into_iter().filter_map(Link::from_message).collect())
    }

    /// The link of that name.
    pub async fn link(&self, name: &str) -> Result<Link, LinkError> {
        let mut links = self.links().await?;
        match links.iter().position(|link| link.name == name) {
            Some(found) => Ok(links.swap_remove(found)),
            None => Err(LinkError::Missing {
                name: name.to_owned(),
                present: links.into_iter().map(|link| link.name).collect(),
            }),
        }
    }

    /// Every address of every link.
    pub async fn addresses(&self) -> Result<Vec<Address>, LinkError> {
        let messages = self.0.address().get().execute().try_collect::<Vec<_>>().await?;
        Ok(messages.iter().filter_map(Address::from_message).collect())
    }
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_route::link::XdpAttached;

    use super::*;

    /// What the kernel tells of a link with these XDP programs (net/core/rtnetlink.c, `rtnl_xdp_fill`).
    fn with_xdp(attributes: Vec<LinkXdp>) -> Vec<Xdp> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::Xdp(attributes));
        Link::from_message(message).unwrap().xdp
    }

    #[test]
    fn each_xdp_program_is_told_once_with_its_mode() {
        assert_eq!(with_xdp(vec![LinkXdp::Attached(XdpAttached::None)]), []);
        let alone = vec![LinkXdp::DrvProgId(7), LinkXdp::Attached(XdpAttached::Driver), LinkXdp::ProgId(7)];
        assert_eq!(with_xdp(alone), [Xdp { mode: XdpMode::Native, program: 7 }]);
        let both =
            vec![LinkXdp::SkbProgId(8), LinkXdp::HwProgId(9), LinkXdp::Attached(XdpAttached::Multiple)];
        let expected =
            [Xdp { mode: XdpMode::Generic, program: 8 }, Xdp { mode: XdpMode::Offload, program: 9 }];
        assert_eq!(with_xdp(both), expected);
    }
}
