//! Who is asked. Each server has one thread that answers, since it has one CPU, and is otherwise as by default; each says
//! the same name as `id.server.` and as its NSID, by settings of its own, so that all answers are alike.

use nsid_tests::{
    servers::{Intake, Options, Software},
    wire::INTERFACE,
};
use rustix::system::uname;
use serde::{Deserialize, Serialize};

/// The name that all say.
pub(crate) const NAME: &str = "worker17";

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Subject {
    /// The kernel programs of nsid, before NSD, which knows no NSID.
    Nsid,
    /// NSD, from a socket.
    Nsd,
    /// Knot DNS, from a socket.
    Knot,
    /// gdnsd, from a socket.
    Gdnsd,
    /// `CoreDNS`, from a socket, with its plugins `chaos`, whose `id.server.` is the host's name, and `nsid`.
    Coredns,
    /// Knot DNS, by `AF_XDP`.
    KnotAfXdp,
}

impl Subject {
    /// Each of them, ours first.
    pub(crate) const ALL: [Self; 6] =
        [Self::Nsid, Self::Nsd, Self::Knot, Self::Gdnsd, Self::Coredns, Self::KnotAfXdp];

    /// The server.
    pub(super) const fn software(self) -> Software {
        match self {
            Self::Nsid | Self::Nsd => Software::Nsd,
            Self::Knot | Self::KnotAfXdp => Software::Knot,
            Self::Gdnsd => Software::Gdnsd,
            Self::Coredns => Software::Coredns,
        }
    }

    /// As people call it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Nsid => "nsid",
            Self::KnotAfXdp => "Knot DNS, AF_XDP",
            Self::Nsd | Self::Knot | Self::Gdnsd | Self::Coredns => self.software().title(),
        }
    }

    /// Whether it has its queries from a socket.
    pub(crate) const fn has_a_socket(self) -> bool {
        matches!(self, Self::Nsd | Self::Knot | Self::Gdnsd | Self::Coredns)
    }

    /// What the server is told.
    pub(super) fn options(self) -> Options<'static> {
        let own_nsid = (self != Self::Nsid).then_some(NAME);
        let intake = if self == Self::KnotAfXdp { Intake::AfXdp(INTERFACE) } else { Intake::OneThread };
        Options { own_nsid, intake, ..Options::default() }
    }

    /// What it answers to `id.server.`.
    pub(super) fn text(self) -> String {
        match self {
            Self::Coredns => uname().nodename().to_string_lossy().into_owned(),
            _ => NAME.to_owned(),
        }
    }
}
