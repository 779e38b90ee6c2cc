//! The programs in the kernel and their maps: loaded, attached, filled, and found again by their pins.
//!
//! Maps and links are pinned below [`Instance::pin_dir`](crate::host::instance::Instance::pin_dir), so that a name is
//! said until its deadline whatever becomes of the agent. The next run of the instance takes them over: it opens the
//! same maps, and swaps the programs of the same links, without a packet in between.
//!
//! **Invariant:** the only module that knows aya.
//!
//! **Invariant:** no store is known here; a name and a deadline are all that comes in.

mod attach;
mod load;
mod maps;
mod packets;
mod pins;
mod policy;
mod served;
mod shared;
mod slot;
mod test_run;
mod voice;

pub use attach::{Answering, AttachError, Chains, Ingress, IngressMode, Mode, Tc, Wanted, remove_filters};
pub use load::{Datapath, LoadError, OBJECT, Options, Prog};
pub use maps::{Maps, OpenError, Said};
pub use packets::PacketLog;
pub use pins::{Pins, owner_of_program};
pub use policy::{PolicyError, Rules};
pub use served::{ServeError, fits};
pub use slot::{SlotTaken, slot_taken};
pub use test_run::{Bench, FLOOD, TestRun, TestRunError};
pub use voice::ServiceVoice;
