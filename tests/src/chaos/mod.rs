//! Faults from outside: a store of three members, agents that have their names from it, and clients that ask each of
//! them throughout, while members and agents die, stand still, and do not hear of each other.
//!
//! # What can be seen
//!
//! An answer tells that its name was said at some instant between question and answer, less than a millisecond apart. A
//! name is one claim's from the first answer that says it to the last one, as long as it is the same claim: that is
//! told by the agent's standard output, on which it writes each name that it gains or loses. So two nodes that say a
//! name are found if the one said it between two answers of one claim of the other: always, if they do so for longer than
//! two questions to each are apart, 40 ms; for a shorter time, if they are asked in it. So much holds while questions go
//! out in time, and the report tells the longest time in which a node gave no answer. Nobody's clock matters: all that is
//! compared was read from one.
//!
//! What cannot be tried here: a step of `CLOCK_BOOTTIME`, which no system call sets; nor one of `CLOCK_REALTIME`,
//! which is the host's and no namespace's: the simulator of nsid-peers sets that (`Fault::SetClock`).
//!
//! **Invariant:** a fault never lies between the clients and the nodes. What is cut is what the hub forwards, and the
//! clients are in the hub.

mod agents;
mod conduct;
mod cuts;
mod fault;
mod members;
mod outcome;
mod plan;
mod random;
mod report;
mod site;
mod stretch;
mod watch;

pub use self::{
    conduct::chaos,
    fault::{Harm, Kind},
    members::Software,
    outcome::Outcome,
    plan::Plan,
    report::report,
    stretch::Collision,
};
