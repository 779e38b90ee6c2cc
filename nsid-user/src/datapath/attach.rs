//! Attaches the programs to an interface, and takes over the links of the instance's last run.

use std::{fs, io, path::Path};

use aya::{
    programs::{
        LinkOrder, ProgramError, SchedClassifier, TcAttachType, Xdp,
        links::{FdLink, LinkError},
        loaded_programs,
        tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact},
        xdp::{XdpLink, XdpMode},
    },
    sys::SyscallError,
    util::KernelVersion,
};
use nsid_common::maps::INTERFACES;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    load::{Datapath, EGRESS, INGRESS, program},
    pins::{Side, owner_of_program},
};
use crate::host::{
    links::{self, Link},
    namespaces::NetNs,
};

/// How the ingress side is asked to be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// Native, or generic where the driver has no XDP.
    Auto,
    /// In the driver.
    Native,
    /// Behind the driver.
    Generic,
}

/// How the ingress side is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IngressMode {
    /// In the driver.
    Native,
    /// Behind the driver.
    Generic,
}

impl IngressMode {
    /// The mode of the XDP program on a link.
    pub fn of(link: &Link) -> Option<Self> {
        link.xdp.iter().find_map(|xdp| match xdp.mode {
            links::XdpMode::Native => Some(Self::Native),
            links::XdpMode::Generic => Some(Self::Generic),
            links::XdpMode::Offload => None,
        })
    }
}

/// Who answers questions for the server's own name that come to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// The XDP program.
    ByXdp,
    /// The server: where the device takes VLAN tags off the frames, XDP does not see them, and an answer would leave
    /// without one.
    ByServer,
}

/// How the egress side is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Egress {
    /// A tcx link (Linux 6.6).
    Tcx,
    /// A filter of the clsact qdisc, with a fixed priority and handle.
    Clsact,
}

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
        "the XDP slot of interface '{interface}' is taken by the program '{program}' (id {id}); \
         detach that one, with `ip link set dev {interface} xdp off` if it is not held by a link"
    )]
    Taken {
        /// The interface.
        interface: String,
        /// The other program.
        program: String,
        /// Its id.
        id: u32,
    },
    /// The driver has no XDP.
    #[error("the driver of interface '{interface}' has no native XDP; use --ingress generic or auto")]
    NotNative {
        /// The interface.
        interface: String,
    },
    /// The kernel refuses for another reason.
    #[error("cannot attach {side} to interface '{interface}': {source}")]
    Refused {
        /// The interface.
        interface: String,
        /// `XDP` or `tc`.
        side: &'static str,
        /// The reason.
        source: ProgramError,
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
        other: u64,
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

/// The first kernel with tcx.
const TCX_KERNEL: KernelVersion = KernelVersion::new(6, 6, 0);
/// Ours among the filters of a clsact qdisc: the programs' port, so that it can be found by hand.
const CLSACT_PRIORITY: u16 = 53;
const CLSACT_HANDLE: TcHandle = TcHandle::new(0, 53);

impl Datapath {
    /// Attaches to an interface; a link that the instance's last run left there goes on with the new program.
    ///
    /// In which mode XDP came to run, a link that is read afterwards tells: [`IngressMode::of`].
    pub fn attach(&mut self, link: &Link, netns: NetNs, ingress: Ingress) -> Result<Egress, AttachError> {
        self.set_interface(link, Answering::ByXdp)?;
        self.interfaces.insert(link.index);
        let attached =
            self.attach_ingress(link, netns, ingress).and_then(|()| self.attach_egress(link, netns));
        if attached.is_err() {
            self.detach(link.index, netns);
        }
        attached
    }

    /// Tells the programs an interface's address and MTU, and whether queries that come there may be answered.
    pub fn set_interface(&self, link: &Link, answering: Answering) -> Result<(), AttachError> {
        let place = &self.maps.interfaces[(link.index % INTERFACES) as usize];
        let taken = place.index.get();
        if taken != u64::from(link.index) && self.interfaces.iter().any(|index| u64::from(*index) == taken) {
            let (interface, index) = (link.name.clone(), link.index);
            return Err(AttachError::Place { interface, index, other: taken });
        }
        let mut bytes = [0; 8];
        bytes[..6].copy_from_slice(&link.mac()?);
        let mac = match answering {
            Answering::ByXdp => u64::from_le_bytes(bytes),
            // No frame is sent to it.
            Answering::ByServer => u64::MAX,
        };
        place.index.set(0);
        place.mac.set(mac);
        place.mtu.set(u64::from(link.mtu));
        place.index.set(u64::from(link.index));
        Ok(())
    }

    /// Takes the programs off an interface, whatever of them is there.
    pub fn detach(&mut self, index: u32, netns: NetNs) {
        self.interfaces.remove(&index);
        for side in [Side::Ingress, Side::Egress] {
            // Without its pin the link is gone, and with it the attachment.
            let _ = fs::remove_file(self.pins.link(netns, index, side));
        }
        // Dropped, a filter detaches itself.
        drop(self.filters.remove(&index));
        let place = &self.maps.interfaces[(index % INTERFACES) as usize];
        if place.index.get() == u64::from(index) {
            place.index.set(0);
        }
    }

    /// Removes the links of the instance's last run that are not on one of these interfaces.
    pub fn detach_all_but(&self, netns: NetNs, indices: &[u32]) -> io::Result<()> {
        for pin in self.pins.links()? {
            if pin.netns != netns.inode() || !indices.contains(&pin.index) {
                fs::remove_file(&pin.path)?;
            }
        }
        Ok(())
    }

    fn left(&self, link: &Link, netns: NetNs, side: Side) -> Option<FdLink> {
        let path = self.pins.link(netns, link.index, side);
        let pins = self.pins.links().ok()?;
        pins.iter().find(|pin| pin.path == path)?.open()
    }

    fn attach_ingress(&mut self, link: &Link, netns: NetNs, ingress: Ingress) -> Result<(), AttachError> {
        let path = self.pins.link(netns, link.index, Side::Ingress);
        let left = self.left(link, netns, Side::Ingress);
        let xdp = program::<Xdp>(&mut self.ebpf, INGRESS);
        let refused = |source| AttachError::Refused { interface: link.name.clone(), side: "XDP", source };
        if let Some(left) = left.and_then(|left| XdpLink::try_from(left).ok())
            && wanted(ingress, link)
            && let Ok(id) = xdp.attach_to_link(left)
        {
            return xdp.take_link(id).map(keep).map_err(refused);
        }
        let _ = fs::remove_file(&path);
        let id = match ingress {
            Ingress::Generic => xdp.attach_to_if_index(link.index, XdpMode::Skb),
            Ingress::Native => xdp.attach_to_if_index(link.index, XdpMode::Driver),
            Ingress::Auto => match xdp.attach_to_if_index(link.index, XdpMode::Driver) {
                Err(error) if is(&error, Errno::OPNOTSUPP) => {
                    log::info!("{}: its driver has no native XDP; using generic XDP", link.name);
                    xdp.attach_to_if_index(link.index, XdpMode::Skb)
                }
                attached => attached,
            },
        };
        let id = id.map_err(|error| explain(error, link))?;
        let attached = xdp.take_link(id).map_err(refused)?;
        pin(attached, &path, link)
    }

    fn attach_egress(&mut self, link: &Link, netns: NetNs) -> Result<Egress, AttachError> {
        let path = self.pins.link(netns, link.index, Side::Egress);
        let left = self.left(link, netns, Side::Egress);
        let tc = program::<SchedClassifier>(&mut self.ebpf, EGRESS);
        let refused = |source| AttachError::Refused { interface: link.name.clone(), side: "tc", source };
        if let Some(left) = left.and_then(|left| SchedClassifierLink::try_from(left).ok())
            && let Ok(id) = tc.attach_to_link(left)
        {
            tc.take_link(id).map(keep).map_err(refused)?;
            return Ok(Egress::Tcx);
        }
        let _ = fs::remove_file(&path);
        if KernelVersion::current().is_ok_and(|kernel| kernel >= TCX_KERNEL) {
            let order = TcAttachOptions::TcxOrder(LinkOrder::default());
            let id = tc.attach_with_options(&link.name, TcAttachType::Egress, order).map_err(refused)?;
            let attached = tc.take_link(id).map_err(refused)?;
            pin(attached, &path, link)?;
            return Ok(Egress::Tcx);
        }
        match qdisc_add_clsact(&link.name) {
            Ok(()) => {}
            // Of the last run, or somebody else's.
            Err(TcError::NetlinkError(error))
                if error.raw_os_error() == Some(Errno::EXIST.raw_os_error()) => {}
            Err(error) => return Err(refused(error.into())),
        }
        let options = NlOptions { priority: CLSACT_PRIORITY, handle: CLSACT_HANDLE, classid: None };
        remove_filter(&link.name);
        let id = tc
            .attach_with_options(&link.name, TcAttachType::Egress, TcAttachOptions::Netlink(options))
            .map_err(refused)?;
        // It stays when this process is killed; `remove_filter` finds it then by its priority and handle.
        let filter = tc.take_link(id).map_err(refused)?;
        self.filters.insert(link.index, filter);
        Ok(Egress::Clsact)
    }
}

/// Takes our filter off an interface's clsact qdisc, if it is there.
pub fn remove_filter(interface: &str) {
    if let Ok(filter) =
        SchedClassifierLink::attached(interface, TcAttachType::Egress, CLSACT_PRIORITY, CLSACT_HANDLE, None)
    {
        // Dropped, a link detaches itself; that none was there is no matter.
        drop(filter);
    }
}

/// Whether a link that is there runs where it is wanted.
fn wanted(ingress: Ingress, link: &Link) -> bool {
    let generic = link.xdp.iter().any(|xdp| xdp.mode == links::XdpMode::Generic);
    match ingress {
        Ingress::Auto => true,
        Ingress::Native => !generic,
        Ingress::Generic => generic,
    }
}

fn pin<L>(link: L, path: &Path, to: &Link) -> Result<(), AttachError>
where
    L: TryInto<FdLink, Error = LinkError>,
{
    let error = |source| AttachError::Pin { interface: to.name.clone(), source };
    let link = link.try_into().map_err(|not_a_link| error(io::Error::other(not_a_link)))?;
    link.pin(path).map(drop).map_err(|pin| error(io::Error::other(pin)))
}

/// Lets go of a link that is pinned: dropped as what it is, it would detach itself.
fn keep<L: TryInto<FdLink>>(link: L) {
    drop(link.try_into());
}

/// Why XDP could not be attached, in terms of what can be done about it.
fn explain(error: ProgramError, link: &Link) -> AttachError {
    let interface = link.name.clone();
    if is(&error, Errno::OPNOTSUPP) {
        return AttachError::NotNative { interface };
    }
    let busy = is(&error, Errno::BUSY) || is(&error, Errno::EXIST);
    let Some(links::Xdp { program: id, .. }) = link.xdp.first().copied().filter(|_| busy) else {
        return AttachError::Refused { interface, side: "XDP", source: error };
    };
    if let Ok(Some(owner)) = owner_of_program(id) {
        return AttachError::Served { interface, owner };
    }
    let program = loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.id() == id)
        .and_then(|program| program.name_as_str().map(ToOwned::to_owned))
        .unwrap_or_else(|| "?".to_owned());
    AttachError::Taken { interface, program, id }
}

fn is(error: &ProgramError, errno: Errno) -> bool {
    match error {
        ProgramError::SyscallError(SyscallError { io_error, .. }) => {
            io_error.raw_os_error() == Some(errno.raw_os_error())
        }
        _ => false,
    }
}
