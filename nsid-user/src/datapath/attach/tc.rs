//! The tc programs of an interface: by tcx links where the kernel has them, else as filters of its clsact qdisc.

use std::{fs, io, thread};

use aya::{
    programs::{
        LinkOrder, ProgramInfo, SchedClassifier, TcAttachType,
        tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact},
    },
    util::KernelVersion,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{AttachError, error::refused, keep, pin};
use crate::{
    datapath::{
        load::{Datapath, Prog},
        pins::Place,
    },
    host::{
        links::Link,
        namespaces::{self, NetNs},
    },
};

/// How a tc program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tc {
    /// A tcx link (Linux 6.6).
    Tcx,
    /// A filter of the clsact qdisc, with a fixed priority and handle.
    Clsact,
}

/// The first kernel with tcx.
const TCX_KERNEL: KernelVersion = KernelVersion::new(6, 6, 0);
/// Ours among the filters of a clsact qdisc: the programs' port, so that it can be found by hand.
const CLSACT_PRIORITY: u16 = 53;

/// A place at tc: its direction, its program, and the handle of its filter.
const fn at_tc(place: Place) -> Option<(TcAttachType, Prog, TcHandle)> {
    let (responses, queries) = (TcHandle::new(0, 53), TcHandle::new(0, 54));
    match place {
        Place::Xdp => None,
        Place::QueriesIn => Some((TcAttachType::Ingress, Prog::Queries, queries)),
        Place::ResponsesIn => Some((TcAttachType::Ingress, Prog::Responses, responses)),
        Place::QueriesOut => Some((TcAttachType::Egress, Prog::Queries, queries)),
        Place::ResponsesOut => Some((TcAttachType::Egress, Prog::Responses, responses)),
    }
}

impl Datapath {
    /// Attaches the program of a place at tc, of tcx before those of others that are there; the last run's link goes on with
    /// it, where it is.
    pub(super) fn attach_tc(&mut self, link: &Link, netns: NetNs, place: Place) -> Result<Tc, AttachError> {
        let Some((direction, prog, handle)) = at_tc(place) else { return Ok(Tc::Tcx) };
        self.prepare(prog)?;
        let path = self.pins.link(netns, link.index, place);
        let left = self.left(link, netns, place);
        let refused = |source| refused(source, "tc", link);
        let tc = self.tc(prog);
        if let Some(left) = left.and_then(|left| SchedClassifierLink::try_from(left).ok())
            && let Ok(id) = tc.attach_to_link(left)
        {
            let link = tc.take_link(id).map_err(refused)?;
            self.taken_over = true;
            keep(link);
            return Ok(Tc::Tcx);
        }
        let _ = fs::remove_file(&path);
        if KernelVersion::current().is_ok_and(|kernel| kernel >= TCX_KERNEL) {
            // Whoever ends the chain would keep the programs behind from seeing the packet.
            let order = TcAttachOptions::TcxOrder(LinkOrder::first());
            let id = tc.attach_with_options(&link.name, direction, order).map_err(refused)?;
            let attached = tc.take_link(id).map_err(refused)?;
            pin(attached, &path, link)?;
            self.made.push(path);
            return Ok(Tc::Tcx);
        }
        match qdisc_add_clsact(&link.name) {
            Ok(()) => {}
            // Of the last run, or somebody else's.
            Err(TcError::NetlinkError(error))
                if error.raw_os_error() == Some(Errno::EXIST.raw_os_error()) => {}
            Err(error) => return Err(refused(error.into())),
        }
        drop(self.filters.remove(&(link.index, place)));
        remove_filter(&link.name, direction, handle);
        let options = NlOptions { priority: CLSACT_PRIORITY, handle, classid: None };
        let tc: &mut SchedClassifier = self.tc(prog);
        let id = tc
            .attach_with_options(&link.name, direction, TcAttachOptions::Netlink(options))
            .map_err(refused)?;
        // It stays when this process is killed; `remove_filter` finds it then by its priority and handle.
        let filter = tc.take_link(id).map_err(refused)?;
        self.filters.insert((link.index, place), filter);
        Ok(Tc::Clsact)
    }

    /// Takes the program of a place at tc off an interface, if it is there.
    pub(super) fn detach_tc(&mut self, link: &Link, place: Place) {
        drop(self.filters.remove(&(link.index, place)));
        if KernelVersion::current().is_ok_and(|kernel| kernel < TCX_KERNEL)
            && let Some((direction, _, handle)) = at_tc(place)
        {
            remove_filter(&link.name, direction, handle);
        }
    }
}

/// The programs of an interface's tcx chains by name, those that run first before the others. Nothing of what is not by
/// tcx is told: it runs behind them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chains {
    /// Where packets arrive.
    pub ingress: Vec<String>,
    /// Where packets leave.
    pub egress: Vec<String>,
}

impl Chains {
    /// Of an interface of this network namespace.
    pub fn of(interface: &str) -> Self {
        let names = |direction| {
            // A kernel without tcx has none.
            let (_revision, programs) = SchedClassifier::query_tcx(interface, direction).unwrap_or_default();
            let name = |program: ProgramInfo| program.name_as_str().unwrap_or("?").to_owned();
            programs.into_iter().map(name).collect()
        };
        Self { ingress: names(TcAttachType::Ingress), egress: names(TcAttachType::Egress) }
    }
}

/// Takes our filters off the clsact qdiscs of these interfaces of a network namespace, those that are there.
pub fn remove_filters(netns: NetNs, interfaces: Vec<String>) -> io::Result<()> {
    if interfaces.is_empty() {
        return Ok(());
    }
    // In a thread, for the caller to stay where it is.
    let remove = thread::spawn(move || -> io::Result<()> {
        // A namespace that is gone has taken its interfaces with it.
        if NetNs::current()? == netns || namespaces::enter(netns)? {
            for interface in &interfaces {
                for (direction, _, handle) in Place::ALL.into_iter().filter_map(at_tc) {
                    remove_filter(interface, direction, handle);
                }
            }
        }
        Ok(())
    });
    remove.join().unwrap_or_else(|_| Err(io::Error::other("the thread that removes them has ended")))
}

fn remove_filter(interface: &str, direction: TcAttachType, handle: TcHandle) {
    if let Ok(filter) = SchedClassifierLink::attached(interface, direction, CLSACT_PRIORITY, handle, None) {
        // Dropped, a link detaches itself; that none was there is no matter.
        drop(filter);
    }
}
