//! Attaches the programs to an interface, and takes over the links of the instance's last run.
//!
//! ```text
//! the server is on this host     queries arrive:   XDP, or tc ingress     responses leave:   tc egress
//! the server is behind the link  queries leave:    tc egress              responses arrive:  tc ingress, or XDP on a NIC
//! ```

mod error;
mod tc;
mod xdp;

use std::{collections::BTreeSet, fs, io, mem, path::Path};

use aya::programs::links::{FdLink, LinkError};
use nsid_common::maps::INTERFACES;
use serde::{Deserialize, Serialize};

pub use self::{
    error::AttachError,
    tc::{Chains, Tc, remove_filters},
    xdp::Mode,
};
use super::{
    load::{Datapath, Prog},
    pins::{Place, owner_of_interface},
};
use crate::host::{
    links::{self, Kind, Link},
    namespaces::NetNs,
};

/// How queries that arrive are to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// At XDP.
    Xdp(Mode),
    /// At tc.
    Tc,
}

/// How queries that arrive are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IngressMode {
    /// XDP in the driver.
    Native,
    /// XDP behind the driver.
    Generic,
    /// At tc.
    Tc,
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

/// Which programs an interface is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// A server is on this host: how its queries are seen.
    pub here: Option<Ingress>,
    /// A server is behind the link.
    pub behind: bool,
}

impl Wanted {
    /// Where programs are needed on a link.
    fn places(self, link: &Link) -> BTreeSet<Place> {
        let mut places = BTreeSet::new();
        match self.here {
            Some(Ingress::Xdp(_)) => places.extend([Place::Xdp, Place::ResponsesOut]),
            Some(Ingress::Tc) => places.extend([Place::QueriesIn, Place::ResponsesOut]),
            None => {}
        }
        if self.behind {
            places.insert(Place::QueriesOut);
            if !self.edits_at_xdp(link) {
                places.insert(Place::ResponsesIn);
            }
        }
        places
    }

    /// Whether responses that arrive are edited at XDP, and not at tc.
    pub fn edits_at_xdp(self, link: &Link) -> bool {
        self.xdp(link) == Prog::XdpBoth
    }

    /// The program at XDP: edits what a NIC receives, but not on veth and in generic mode, where a checksum may not be
    /// complete yet.
    fn xdp(self, link: &Link) -> Prog {
        let native = self.here == Some(Ingress::Xdp(Mode::Native));
        if self.behind && native && link.kind == Kind::Physical { Prog::XdpBoth } else { Prog::Xdp }
    }
}

/// Who answers questions for the server's own name that come to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// The program that sees the queries.
    ByUs,
    /// The server: where the device takes VLAN tags off the frames, XDP does not see them, and an answer would leave
    /// without one.
    ByServer,
}

impl Datapath {
    /// Attaches to an interface; a link that the instance's last run left there goes on with the new program, also if
    /// another place of the interface then fails. What was made there is gone, if it fails.
    ///
    /// No map that says what is to be done is touched: until [`set_interface`](Self::set_interface), the programs pass what
    /// a new interface brings. In which mode XDP came to run, a link that is read afterwards tells: [`IngressMode::of`].
    pub fn attach(&mut self, link: &Link, netns: NetNs, wanted: Wanted) -> Result<Tc, AttachError> {
        let same_place =
            |other: &&u32| **other != link.index && **other % INTERFACES == link.index % INTERFACES;
        if let Some(other) = self.interfaces.iter().find(same_place) {
            let (interface, index) = (link.name.clone(), link.index);
            return Err(AttachError::Place { interface, index, other: *other });
        }
        let (made, filters) = (self.made.len(), self.filters.len());
        let attached = self.attach_all(link, netns, wanted);
        if attached.is_ok() {
            self.interfaces.insert(link.index);
        } else {
            // Without its pin a link is gone.
            for path in self.made.drain(made..) {
                let _ = fs::remove_file(path);
            }
            if self.filters.len() > filters {
                self.filters.retain(|(index, _), _| *index != link.index);
            }
        }
        attached
    }

    fn attach_all(&mut self, link: &Link, netns: NetNs, wanted: Wanted) -> Result<Tc, AttachError> {
        if let Some(Ingress::Xdp(mode)) = wanted.here {
            self.attach_xdp(link, netns, mode, wanted.xdp(link))?;
        }
        let mut by = Tc::Tcx;
        for place in wanted.places(link).into_iter().filter(|place| *place != Place::Xdp) {
            by = self.attach_tc(link, netns, place)?;
        }
        Ok(by)
    }

    /// Takes programs off the places of an interface where they are not wanted any more.
    pub fn detach_unwanted(&mut self, link: &Link, netns: NetNs, wanted: Wanted) {
        let places = wanted.places(link);
        for place in Place::ALL.into_iter().filter(|place| !places.contains(place)) {
            let _ = fs::remove_file(self.pins.link(netns, link.index, place));
            self.detach_tc(link, place);
        }
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

    /// The other instance that has a link on an interface, if one has: of tc, there is no slot that one could have alone.
    pub fn served_by_another(&self, link: &Link, netns: NetNs) -> Option<String> {
        owner_of_interface(&self.pins, netns, link.index).unwrap_or_default()
    }

    /// Whether the instance's last run left a link on an interface.
    pub fn is_left_on(&self, link: &Link, netns: NetNs) -> bool {
        Place::ALL.into_iter().any(|place| self.left(link, netns, place).is_some())
    }

    /// Tells the programs an interface's address and MTU, and whether queries that come there may be answered.
    pub fn set_interface(&self, link: &Link, answering: Answering) -> Result<(), links::LinkError> {
        let place = &self.maps.interfaces[(link.index % INTERFACES) as usize];
        let mut bytes = [0; 8];
        bytes[..6].copy_from_slice(&link.mac()?);
        let mac = match answering {
            Answering::ByUs => u64::from_le_bytes(bytes),
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
        for place in Place::ALL {
            // Without its pin the link is gone, and with it the attachment.
            let _ = fs::remove_file(self.pins.link(netns, index, place));
        }
        // Dropped, a filter detaches itself.
        self.filters.retain(|(of, _), _| *of != index);
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

    fn left(&self, link: &Link, netns: NetNs, place: Place) -> Option<FdLink> {
        let path = self.pins.link(netns, link.index, place);
        let pins = self.pins.links().ok()?;
        pins.iter().find(|pin| pin.path == path)?.open()
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
