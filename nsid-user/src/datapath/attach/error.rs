//! Why the programs cannot be attached.

use std::{error::Error, fmt, io};

use aya::{
    programs::{ProgramError, xdp::XdpError},
    sys::SyscallError,
};
use rustix::io::Errno;
use thiserror::Error;

use super::super::load::LoadError;
use crate::host::links::{self, Link};

/// Why the programs cannot be attached.
#[derive(Debug, Error)]
pub enum AttachError {
    /// Another agent is there.
    #[error(
        "interface '{interface}' is already served by instance '{owner}'; stop that one, or add the interface to it"
    )]
    Served {
        /// The interface.
        interface: String,
        /// The other instance.
        owner: String,
    },
    /// Somebody else's XDP program is there.
    #[error(
        "the XDP slot of interface '{interface}' is taken by the program '{program}' (id {id}); use --ingress tc or auto, \
         or detach that one, with `ip link set dev {interface} xdp off` if it is not held by a link"
    )]
    Taken {
        /// The interface.
        interface: String,
        /// The other program.
        program: String,
        /// Its id.
        id: u32,
    },
    /// Somebody has the XDP slot: [`slot_taken`](super::slot_taken) tells who.
    #[error("the XDP slot of interface '{interface}' is taken; try again")]
    Busy {
        /// The interface.
        interface: String,
    },
    /// The driver has no XDP, or none as the interface is set up.
    #[error(
        "interface '{interface}' takes no native XDP program: {source}; use --ingress tc, generic or auto"
    )]
    NotNative {
        /// The interface.
        interface: String,
        /// The reason.
        source: Reason,
    },
    /// The kernel refuses the program itself.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The kernel refuses for another reason.
    #[error("cannot attach {side} to interface '{interface}': {source}")]
    Refused {
        /// The interface.
        interface: String,
        /// `XDP` or `tc`.
        side: &'static str,
        /// The reason.
        source: Reason,
    },
    /// Two interfaces of this run have one place in the map.
    #[error(
        "interfaces '{interface}' (index {index}) and index {other} cannot be served by one instance; \
         serve one of them with another --instance"
    )]
    Place {
        /// The second interface.
        interface: String,
        /// Its index.
        index: u32,
        /// The first one's.
        other: u32,
    },
    /// The link could not be pinned, or its pin not removed.
    #[error("cannot pin the links of interface '{interface}': {source}; is bpffs mounted, and writable?")]
    Pin {
        /// The interface.
        interface: String,
        /// The reason.
        source: io::Error,
    },
    /// The interface cannot be served at all.
    #[error(transparent)]
    Link(#[from] links::LinkError),
}

/// An error of aya's with what is behind it: by itself it tells the system call, and not how that failed.
#[derive(Debug)]
pub struct Reason(pub(super) ProgramError);

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(formatter, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl Error for Reason {}

pub(super) fn refused(error: ProgramError, side: &'static str, link: &Link) -> AttachError {
    AttachError::Refused { interface: link.name.clone(), side, source: Reason(error) }
}

pub(super) fn is_one_of(error: &ProgramError, errnos: &[Errno]) -> bool {
    let found = match error {
        ProgramError::SyscallError(SyscallError { io_error, .. }) => io_error.raw_os_error(),
        // aya tries by netlink where the kernel does not know the link's attributes.
        ProgramError::XdpError(XdpError::NetlinkError(error)) => error.raw_os_error(),
        _ => None,
    };
    errnos.iter().any(|errno| found == Some(errno.raw_os_error()))
}
