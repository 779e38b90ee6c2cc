//! The XDP link of an interface: new, or that of the instance's last run.

use std::fs;

use aya::programs::{
    Xdp,
    links::FdLink,
    xdp::{XdpLink, XdpMode},
};
use rustix::io::Errno;

use super::{
    AttachError,
    error::{Reason, is_one_of, refused},
    keep, pin,
};
use crate::{
    datapath::{
        load::{Datapath, Prog},
        pins::Place,
    },
    host::{
        links::{self, Link},
        namespaces::NetNs,
    },
};

/// Why native XDP is refused where generic XDP is too: the slot is taken, we may not, there is no such interface.
const IN_EVERY_MODE: [Errno; 4] = [Errno::BUSY, Errno::EXIST, Errno::PERM, Errno::NODEV];

/// Where in the receive path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver.
    Native,
    /// Behind the driver.
    Generic,
}

impl Datapath {
    /// Attaches a program in a mode; the last run's link goes on with it.
    pub(super) fn attach_xdp(
        &mut self,
        link: &Link,
        netns: NetNs,
        mode: Mode,
        prog: Prog,
    ) -> Result<(), AttachError> {
        self.prepare(prog)?;
        let path = self.pins.link(netns, link.index, Place::Xdp);
        let left = self.left(link, netns, Place::Xdp);
        let before = left.as_ref().and_then(|left| mode_of(left, link));
        let xdp = self.xdp(prog);
        if let Some(left) = left.and_then(|left| XdpLink::try_from(left).ok())
            && before == Some(mode)
            && let Ok(id) = xdp.attach_to_link(left)
        {
            let link = xdp.take_link(id).map_err(|error| refused(error, "XDP", link))?;
            self.taken_over = true;
            keep(link);
            return Ok(());
        }
        // An interface has one XDP program, in one mode.
        let _ = fs::remove_file(&path);
        let attached = attach_as(xdp, mode, link).and_then(|attached| pin(attached, &path, link));
        self.taken_over |= before.is_some();
        match (attached, before) {
            (Err(error), Some(before)) => {
                // It was to run in another mode, and cannot: as it was, then.
                let xdp = self.xdp(prog);
                let back = attach_as(xdp, before, link).and_then(|attached| pin(attached, &path, link));
                if let Err(error) = back {
                    log::warn!("{error}");
                }
                Err(error)
            }
            (Err(error), None) => Err(error),
            // In another mode than before, it goes on in that one.
            (Ok(()), Some(_)) => Ok(()),
            (Ok(()), None) => {
                self.made.push(path);
                Ok(())
            }
        }
    }

    /// Whether the XDP program on a link is one of these.
    pub fn runs_on(&mut self, link: &Link) -> bool {
        let ids: Vec<_> = [Prog::Xdp, Prog::XdpBoth]
            .into_iter()
            .filter_map(|prog| self.xdp(prog).info().ok())
            .map(|info| info.id())
            .collect();
        // A kernel that does not tell is believed to run it.
        ids.is_empty() || link.xdp.iter().any(|xdp| ids.contains(&xdp.program))
    }
}

/// The mode in which a link of the last run runs on an interface; `None` if it does not any more.
fn mode_of(left: &FdLink, link: &Link) -> Option<Mode> {
    let program = left.info().ok()?.program_id();
    let mode = link.xdp.iter().find(|xdp| xdp.program == program)?.mode;
    match mode {
        links::XdpMode::Native => Some(Mode::Native),
        links::XdpMode::Generic => Some(Mode::Generic),
        links::XdpMode::Offload => None,
    }
}

fn attach_as(xdp: &mut Xdp, mode: Mode, link: &Link) -> Result<XdpLink, AttachError> {
    let interface = || link.name.clone();
    let flag = match mode {
        Mode::Native => XdpMode::Driver,
        Mode::Generic => XdpMode::Skb,
    };
    let id = xdp.attach_to_if_index(link.index, flag).map_err(|error| {
        if is_one_of(&error, &[Errno::BUSY, Errno::EXIST]) {
            AttachError::Busy { interface: interface() }
        } else if mode == Mode::Native && !is_one_of(&error, &IN_EVERY_MODE) {
            AttachError::NotNative { interface: interface(), source: Reason(error) }
        } else {
            refused(error, "XDP", link)
        }
    })?;
    xdp.take_link(id).map_err(|error| refused(error, "XDP", link))
}
