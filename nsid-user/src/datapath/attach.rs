//! Attaches the programs to an interface, and takes over the links of the instance's last run.

use std::{error::Error, fmt, fs, io, mem, path::Path};

use aya::{
    programs::{
        LinkOrder, ProgramError, SchedClassifier, TcAttachType, Xdp,
        links::{FdLink, LinkError},
        tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact},
        xdp::{XdpError, XdpLink, XdpMode},
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
    pins::Side,
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
    /// Somebody has the XDP slot: [`slot_taken`](super::slot_taken) tells who.
    #[error("the XDP slot of interface '{interface}' is taken; try again")]
    Busy {
        /// The interface.
        interface: String,
    },
    /// The driver has no XDP, or none as the interface is set up.
    #[error("interface '{interface}' takes no native XDP program: {source}; use --ingress generic or auto")]
    NotNative {
        /// The interface.
        interface: String,
        /// The reason.
        source: Reason,
    },
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
pub struct Reason(ProgramError);

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

/// How a link came to run our program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    New,
    TakenOver,
}

/// Why native XDP is refused where generic XDP is too: the slot is taken, we may not, there is no such interface.
const IN_EVERY_MODE: [Errno; 4] = [Errno::BUSY, Errno::EXIST, Errno::PERM, Errno::NODEV];

/// The first kernel with tcx.
const TCX_KERNEL: KernelVersion = KernelVersion::new(6, 6, 0);
/// Ours among the filters of a clsact qdisc: the programs' port, so that it can be found by hand.
const CLSACT_PRIORITY: u16 = 53;
const CLSACT_HANDLE: TcHandle = TcHandle::new(0, 53);

impl Datapath {
    /// Attaches to an interface; a link that the instance's last run left there goes on with the new program. If it
    /// fails, what was there before is there still.
    ///
    /// No map is touched: until [`set_interface`](Self::set_interface), the programs pass what a new interface brings.
    /// In which mode XDP came to run, a link that is read afterwards tells: [`IngressMode::of`].
    pub fn attach(&mut self, link: &Link, netns: NetNs, ingress: Ingress) -> Result<Egress, AttachError> {
        let same_place =
            |other: &&u32| **other != link.index && **other % INTERFACES == link.index % INTERFACES;
        if let Some(other) = self.interfaces.iter().find(same_place) {
            let (interface, index) = (link.name.clone(), link.index);
            return Err(AttachError::Place { interface, index, other: *other });
        }
        let came = self.attach_ingress(link, netns, ingress)?;
        let egress = self.attach_egress(link, netns);
        if egress.is_ok() {
            self.interfaces.insert(link.index);
        } else if came == Came::New {
            // Without its pin the link is gone.
            let _ = fs::remove_file(self.pins.link(netns, link.index, Side::Ingress));
        }
        egress
    }

    /// Takes off what this process attached by itself, and removes the maps that it made: for a start that failed.
    /// Links of the last run go on.
    pub fn undo(mut self) {
        for path in &self.made {
            let _ = fs::remove_file(path);
        }
        if self.taken_over {
            // A filter of the last run, which was replaced, goes on as well: dropped, it would detach itself.
            mem::take(&mut self.filters).into_values().for_each(mem::forget);
        }
        if let Some(maps) = self.new_maps.filter(|_| !self.taken_over) {
            let _ = fs::remove_dir_all(maps);
        }
    }

    /// Whether the instance's last run left a link on an interface.
    pub fn is_left_on(&self, link: &Link, netns: NetNs) -> bool {
        self.left(link, netns, Side::Ingress).is_some()
    }

    /// Whether the XDP program on a link is this one.
    pub fn runs_on(&mut self, link: &Link) -> bool {
        let id = program::<Xdp>(&mut self.ebpf, INGRESS).info().map(|info| info.id());
        // A kernel that does not tell is believed to run it.
        id.map_or(true, |id| link.xdp.iter().any(|xdp| xdp.program == id))
    }

    /// Tells the programs an interface's address and MTU, and whether queries that come there may be answered.
    pub fn set_interface(&self, link: &Link, answering: Answering) -> Result<(), links::LinkError> {
        let place = &self.maps.interfaces[(link.index % INTERFACES) as usize];
        let mut bytes = [0; 8];
        bytes[..6].copy_from_slice(&link.mac()?);
        let mac = match answering {
            Answering::ByXdp => u64::from_le_bytes(bytes),
            // No frame is sent to it.
            Answering::ByServer => u64::MAX,
        };
        // What is known already stays known throughout: no packet is passed for want of it.
        if place.index.get() != u64::from(link.index) {
            place.index.set(0);
        }
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

    fn attach_ingress(&mut self, link: &Link, netns: NetNs, ingress: Ingress) -> Result<Came, AttachError> {
        let path = self.pins.link(netns, link.index, Side::Ingress);
        let left = self.left(link, netns, Side::Ingress);
        let before = left.as_ref().and_then(|left| mode_of(left, link));
        let xdp = program::<Xdp>(&mut self.ebpf, INGRESS);
        if let Some(left) = left.and_then(|left| XdpLink::try_from(left).ok())
            && wanted(ingress, link)
            && let Ok(id) = xdp.attach_to_link(left)
        {
            self.taken_over = true;
            return xdp
                .take_link(id)
                .map(keep)
                .map_err(|error| refused(error, "XDP", link))
                .map(|()| Came::TakenOver);
        }
        // An interface has one XDP program, in one mode.
        let _ = fs::remove_file(&path);
        let attached = attach_as(xdp, ingress, link).and_then(|attached| pin(attached, &path, link));
        self.taken_over |= before.is_some();
        match (attached, before) {
            (Err(error), Some(before)) => {
                // It was to run in another mode, and cannot: as it was, then.
                let back = attach_as(xdp, before, link).and_then(|attached| pin(attached, &path, link));
                if let Err(error) = back {
                    log::warn!("{error}");
                }
                Err(error)
            }
            (Err(error), None) => Err(error),
            // In another mode than before, it goes on in that one.
            (Ok(()), Some(_)) => Ok(Came::TakenOver),
            (Ok(()), None) => {
                self.made.push(path);
                Ok(Came::New)
            }
        }
    }

    fn attach_egress(&mut self, link: &Link, netns: NetNs) -> Result<Egress, AttachError> {
        let path = self.pins.link(netns, link.index, Side::Egress);
        let left = self.left(link, netns, Side::Egress);
        let tc = program::<SchedClassifier>(&mut self.ebpf, EGRESS);
        let refused = |source| refused(source, "tc", link);
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
            self.made.push(path);
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
        drop(self.filters.remove(&link.index));
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

/// The mode in which a link of the last run runs on an interface; `None` if it does not any more.
fn mode_of(left: &FdLink, link: &Link) -> Option<Ingress> {
    let program = left.info().ok()?.program_id();
    let mode = link.xdp.iter().find(|xdp| xdp.program == program)?.mode;
    match mode {
        links::XdpMode::Native => Some(Ingress::Native),
        links::XdpMode::Generic => Some(Ingress::Generic),
        links::XdpMode::Offload => None,
    }
}

fn attach_as(xdp: &mut Xdp, ingress: Ingress, link: &Link) -> Result<XdpLink, AttachError> {
    let interface = || link.name.clone();
    let mut attach = |mode| xdp.attach_to_if_index(link.index, mode);
    let native = match ingress {
        Ingress::Generic => None,
        Ingress::Native | Ingress::Auto => Some(attach(XdpMode::Driver)),
    };
    let attached = match native {
        None => attach(XdpMode::Skb),
        Some(Err(error)) if !is_one_of(&error, &IN_EVERY_MODE) => {
            let source = Reason(error);
            if ingress == Ingress::Native {
                return Err(AttachError::NotNative { interface: interface(), source });
            }
            log::info!("{}: no native XDP ({source}); using generic XDP", link.name);
            attach(XdpMode::Skb)
        }
        Some(attached) => attached,
    };
    let id = attached.map_err(|error| {
        if is_one_of(&error, &[Errno::BUSY, Errno::EXIST]) {
            AttachError::Busy { interface: interface() }
        } else {
            refused(error, "XDP", link)
        }
    })?;
    xdp.take_link(id).map_err(|error| refused(error, "XDP", link))
}

fn refused(error: ProgramError, side: &'static str, link: &Link) -> AttachError {
    AttachError::Refused { interface: link.name.clone(), side, source: Reason(error) }
}

fn is_one_of(error: &ProgramError, errnos: &[Errno]) -> bool {
    let found = match error {
        ProgramError::SyscallError(SyscallError { io_error, .. }) => io_error.raw_os_error(),
        // aya tries by netlink where the kernel does not know the link's attributes.
        ProgramError::XdpError(XdpError::NetlinkError(error)) => error.raw_os_error(),
        _ => None,
    };
    errnos.iter().any(|errno| found == Some(errno.raw_os_error()))
}
