//! Who has the XDP slot of an interface.

use aya::programs::loaded_programs;

use super::{attach::AttachError, load::Prog, pins::owner_of_program};
use crate::host::links::{Link, Xdp};

/// The XDP program on an interface, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotTaken {
    /// An instance's.
    ByInstance(String),
    /// A program of ours that no instance has pinned: its agent may be just starting.
    ByNoInstanceYet(u32, String),
    /// Somebody else's, with its name.
    ByProgram(u32, String),
}

/// Who has the slot, as a link tells that was just read; `None` if it is free.
pub fn slot_taken(link: &Link) -> Option<SlotTaken> {
    let Xdp { program: id, .. } = *link.xdp.first()?;
    if let Ok(Some(owner)) = owner_of_program(id) {
        return Some(SlotTaken::ByInstance(owner));
    }
    let program = loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.id() == id)
        .and_then(|program| program.name_as_str().map(ToOwned::to_owned))
        .unwrap_or_else(|| "?".to_owned());
    let ours = [Prog::Xdp, Prog::XdpBoth].map(Prog::name).contains(&program.as_str());
    Some(if ours { SlotTaken::ByNoInstanceYet(id, program) } else { SlotTaken::ByProgram(id, program) })
}

impl SlotTaken {
    /// What to tell of it.
    pub fn error(self, interface: &str) -> AttachError {
        let interface = interface.to_owned();
        match self {
            Self::ByInstance(owner) => AttachError::Served { interface, owner },
            Self::ByNoInstanceYet(id, program) | Self::ByProgram(id, program) => {
                AttachError::Taken { interface, program, id }
            }
        }
    }
}
