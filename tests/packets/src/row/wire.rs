//! Rows on a real interface, to which a program is attached.
//!
//! The same row, state and bytes as in a test run. What is between the sender and the program, and behind it, is not
//! ours: where the kernel does something to a frame there, [`Unsendable`] says so.

use std::fmt::Write as _;

use nsid_common::{
    maps::INTERFACES,
    model::{Model, Segments},
    outcome::Outcome,
};
use nsid_user::datapath::Prog;

use super::{
    super::kernel::{Action, Kernel},
    Row, decide,
};

/// Where on an interface a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At XDP, in the driver.
    Native,
    /// At XDP, behind the driver.
    Generic,
    /// At tc, of what arrives.
    Ingress,
    /// At tc, of what leaves.
    Egress,
}

impl Place {
    const fn is_xdp(self) -> bool {
        matches!(self, Self::Native | Self::Generic)
    }
}

/// An interface, and who sends the row's frame there.
pub trait Wired {
    /// Has the frame come by the program, and tells what came of it: what the program said, and the frame.
    fn send(&mut self, frame: &[u8]) -> Result<(Action, Vec<u8>), String>;
}

/// The index of the interface: of those that share the place of the model's, the second.
pub const INTERFACE: u32 = 1 + INTERFACES;

/// Whether a row was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was, and held.
    Yes,
    /// It was, and left as it came, for want of room.
    WithoutRoom,
    /// It was not.
    No(Unsendable),
}

/// Why a row is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsendable {
    /// How a test run lays out its buffers is what the row is about.
    Buffers,
    /// A socket of packets sends no segments.
    Segments,
    /// Before tc ingress, the stack takes the outermost VLAN tag off, and keeps it beside the packet (`skb_vlan_untag`,
    /// `net/core/skbuff.c`).
    Untagged,
    /// A tag with less than two bytes behind the `EtherType` is dropped there, behind the program.
    Dropped,
}

/// Bytes by which an answer can become longer than its query, at XDP of veth, where the tail may have no room
/// (nsid-ebpf, `MAX_HEAD`).
const HEAD: usize = 216;

/// TPIDs that the stack knows.
const TPIDS: [[u8; 2]; 2] = [[0x81, 0], [0x88, 0xa8]];

impl Row {
    /// Whether a program sees such frames.
    pub fn is_of(&self, prog: Prog) -> bool {
        self.programs.contains(&prog)
    }

    /// Sends the row to an interface whose index is [`INTERFACE`], where the program is; what does not hold is described.
    pub fn check_on(
        &self,
        wire: &mut impl Wired,
        place: Place,
        prog: Prog,
        kernel: &mut Kernel,
    ) -> Result<Sent, String> {
        let mut model = self.state(kernel);
        if let Some(unsendable) = self.unsendable(place, &model) {
            return Ok(Sent::No(unsendable));
        }
        move_interface(&mut model);
        kernel.fill(&model);
        decide(prog, &mut model, &mut self.frame.clone());
        let _counted_before = kernel.newly_counted();
        let sent = wire.send(&self.frame);
        let outcome = kernel.newly_counted();
        let (action, left) =
            sent.map_err(|error| self.described(prog, &format!("\n  {outcome:?}{error}")))?;
        if self.may_lack_room(place) && outcome == Some(self.without_room()) {
            let untouched = action == Action::Passed && left == self.frame;
            return if untouched {
                Ok(Sent::WithoutRoom)
            } else {
                Err(self.described(prog, &format!("\n  no room, and {action:?} {left:02x?}")))
            };
        }
        let mut wrong = String::new();
        if outcome != Some(self.outcome) {
            let _ = write!(wrong, "\n  {outcome:?}, not {:?}", self.outcome);
        }
        if action != self.action {
            let _ = write!(wrong, "\n  {action:?}, not {:?}", self.action);
        }
        if left != self.left {
            let _ = write!(wrong, "\n  left {left:02x?}\n  not  {:02x?}", self.left);
        }
        if let Err(difference) = kernel.same_notes(&model, &model.sets_used()) {
            let _ = write!(wrong, "\n  {difference}");
        }
        if wrong.is_empty() { Ok(Sent::Yes) } else { Err(self.described(prog, &wrong)) }
    }

    fn described(&self, prog: Prog, wrong: &str) -> String {
        format!("{prog:?}: {} ({}){wrong}", self.name, self.rule)
    }

    fn unsendable(&self, place: Place, model: &Model) -> Option<Unsendable> {
        let tagged = TPIDS.iter().any(|tpid| self.frame.get(12..14) == Some(tpid));
        if model.buffer != usize::MAX {
            Some(Unsendable::Buffers)
        } else if model.segments == Segments::Several {
            Some(Unsendable::Segments)
        } else if tagged && place == Place::Ingress {
            Some(Unsendable::Untagged)
        } else if tagged && self.frame.len() < 20 {
            Some(Unsendable::Dropped)
        } else {
            None
        }
    }

    /// Whether there may be no room for what leaves, which is no fault then.
    fn may_lack_room(&self, place: Place) -> bool {
        let head = if self.action == Action::SentBack { HEAD } else { 0 };
        place.is_xdp() && self.left.len() > self.frame.len() + head
    }

    fn without_room(&self) -> Outcome {
        if self.action == Action::SentBack { Outcome::AnswerNoRoom } else { Outcome::ResponseResize }
    }
}

/// The model's interface, and the one of the index that is [`INTERFACE`] here, change places.
fn move_interface(model: &mut Model) {
    let (there, here) = (u64::from(model.interface_index), u64::from(INTERFACE));
    let index = &model.interfaces[(INTERFACE % INTERFACES) as usize].index;
    index.set(match index.get() {
        of if of == there => here,
        of if of == here => there,
        other => other,
    });
    model.interface_index = INTERFACE;
}
