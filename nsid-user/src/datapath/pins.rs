//! Where the pins of an instance are: by them maps and links outlive the agent, and are found again.
//!
//! ```text
//! /sys/fs/bpf/nsid/INSTANCE/maps-ABI/NAME         ABI: what they are, so that a version of others has maps of its own
//! /sys/fs/bpf/nsid/INSTANCE/NETNS-IFINDEX-PLACE   a link: PLACE is of `Place`
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aya::{
    maps::MapInfo,
    programs::{
        links::{FdLink, PinnedLink},
        loaded_programs,
    },
};

use crate::host::{instance::Instance, namespaces::NetNs};

/// An instance's pins.
#[derive(Clone, Debug)]
pub struct Pins {
    root: PathBuf,
}

/// Where on an interface a program of ours may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Xdp,
    /// Queries that arrive, at tc.
    QueriesIn,
    /// Responses that leave, at tc.
    ResponsesOut,
    /// Queries that leave, at tc.
    QueriesOut,
    /// Responses that arrive, at tc.
    ResponsesIn,
}

impl Place {
    pub(super) const ALL: [Self; 5] =
        [Self::Xdp, Self::QueriesIn, Self::ResponsesOut, Self::QueriesOut, Self::ResponsesIn];

    const fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::QueriesIn => "queries-in",
            Self::ResponsesOut => "responses-out",
            Self::QueriesOut => "queries-out",
            Self::ResponsesIn => "responses-in",
        }
    }
}

/// A pinned link, as its name tells.
#[derive(Debug)]
pub(super) struct LinkPin {
    pub(super) path: PathBuf,
    pub(super) netns: u64,
    pub(super) index: u32,
}

impl Pins {
    /// Those of an instance, whether there are any or not.
    pub fn of(instance: &Instance) -> Self {
        Self { root: instance.pin_dir().to_owned() }
    }

    /// Whether there are any.
    pub fn exist(&self) -> bool {
        self.root.exists()
    }

    /// The directory of the maps of that [ABI](super::abi).
    pub(super) fn maps_of(&self, abi: u64) -> PathBuf {
        self.root.join(format!("maps-{abi:016x}"))
    }

    /// The directories of the maps that are there: one, or several while another version takes over, and after a run
    /// that was killed in the midst of that.
    pub(super) fn all_maps(&self) -> io::Result<Vec<PathBuf>> {
        Ok(self.entries()?.into_iter().filter(|path| name(path).starts_with("maps-")).collect())
    }

    /// The directory of the maps that an attached program uses; any, if none does.
    pub(super) fn maps_in_use(&self) -> io::Result<Option<PathBuf>> {
        let mut directories = self.all_maps()?;
        if directories.len() > 1 {
            let used: Vec<u32> = self.links()?.iter().filter_map(maps_of_link).flatten().collect();
            let in_use = |directory: &PathBuf| {
                MapInfo::from_pin(directory.join("CONTROL")).is_ok_and(|map| used.contains(&map.id()))
            };
            if let Some(found) = directories.iter().position(in_use) {
                directories.swap(0, found);
            }
        }
        Ok(directories.into_iter().next())
    }

    pub(super) fn remove_maps_but(&self, ours: &Path) -> io::Result<()> {
        for path in self.all_maps()?.iter().filter(|path| *path != ours) {
            fs::remove_dir_all(path)?;
        }
        Ok(())
    }

    pub(super) fn link(&self, netns: NetNs, index: u32, place: Place) -> PathBuf {
        self.root.join(format!("{}-{index}-{}", netns.inode(), place.name()))
    }

    pub(super) fn links(&self) -> io::Result<Vec<LinkPin>> {
        Ok(self.entries()?.into_iter().filter_map(LinkPin::parse).collect())
    }

    /// Takes everything of the instance off the host. A link without its pin is detached by the kernel.
    pub fn remove(&self) -> io::Result<()> {
        for LinkPin { path, .. } in self.links()? {
            fs::remove_file(path)?;
        }
        match fs::remove_dir_all(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn entries(&self) -> io::Result<Vec<PathBuf>> {
        match fs::read_dir(&self.root) {
            Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

impl LinkPin {
    fn parse(path: PathBuf) -> Option<Self> {
        let (netns, rest) = name(&path).split_once('-')?;
        let (index, _place) = rest.split_once('-')?;
        Some(Self { netns: netns.parse().ok()?, index: index.parse().ok()?, path })
    }

    /// The link. Its interface may be gone: the kernel refuses to update it then.
    pub(super) fn open(&self) -> Option<FdLink> {
        PinnedLink::from_pin(&self.path).ok().map(FdLink::from)
    }
}

/// The ids of the maps that a link's program uses.
fn maps_of_link(pin: &LinkPin) -> Option<Vec<u32>> {
    let id = pin.open()?.info().ok()?.program_id();
    let program = loaded_programs().filter_map(Result::ok).find(|program| program.id() == id)?;
    program.map_ids().ok()?
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The instance, of those on this host but the one whose pins these are, that has a link on an interface.
pub(super) fn owner_of_interface(but: &Pins, netns: NetNs, index: u32) -> io::Result<Option<String>> {
    for instance in Instance::all()? {
        let pins = Pins::of(&instance);
        let there = |pin: &LinkPin| pin.netns == netns.inode() && pin.index == index && pin.open().is_some();
        if pins.root != but.root && pins.links()?.iter().any(there) {
            return Ok(Some(instance.name().to_owned()));
        }
    }
    Ok(None)
}

/// The instance, of those on this host, whose link runs the program of that id.
pub fn owner_of_program(program: u32) -> io::Result<Option<String>> {
    for instance in Instance::all()? {
        for pin in Pins::of(&instance).links()? {
            if let Some(link) = pin.open()
                && link.info().is_ok_and(|info| info.program_id() == program)
            {
                return Ok(Some(instance.name().to_owned()));
            }
        }
    }
    Ok(None)
}
