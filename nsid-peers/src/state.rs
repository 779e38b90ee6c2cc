//! What a claimant is at, for whoever drives it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::List;
use crate::link::Counted;

/// Where a claimant is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It wants nothing.
    Idle,
    /// It has no slot, for that reason.
    Seeking(Waits),
    /// It has a slot.
    Held(Hold),
    /// It has asked for more time for what an earlier process had.
    Resuming,
    /// It has none any more.
    Ended(End),
    /// It gives back what it had.
    Releasing,
    /// A majority knows that it has nothing.
    Released,
}

/// What is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hold {
    /// The place in the pool.
    pub slot: u32,
    /// The fencing token.
    pub token: u64,
    /// The lease.
    pub counted: Counted,
}

/// How a hold ended that was not given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// A majority says that it is not this claimant's.
    Lost,
    /// Its time was over before a majority had granted more.
    Lapsed,
}

/// What a claimant waits for that has no slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Waits {
    /// The answers of more witnesses: these do not answer.
    Answers(Vec<SocketAddr>),
    /// Witnesses that were started and have to be silent for so long.
    Silence(Duration),
    /// More claimants: so many are there.
    Claimants(u32),
    /// A slot that is free: so many have their turn before.
    Slot(u32),
    /// The grants of a majority for a slot.
    Grants,
    /// That somebody mends it.
    Problem(Problem),
}

/// What no waiting mends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Problem {
    /// A witness has another list.
    OtherList {
        /// Which.
        witness: SocketAddr,
        /// Its list.
        list: List,
    },
    /// Others were given other terms for the pool.
    OtherTerms {
        /// By which witness.
        witness: SocketAddr,
        /// Their terms.
        terms: Arc<str>,
        /// A majority says that the terms are others.
        by_majority: bool,
    },
    /// A later process claims under this one's nonce.
    OtherProcess {
        /// By which witness.
        witness: SocketAddr,
    },
    /// There are too many claimants.
    Full {
        /// For that witness.
        witness: SocketAddr,
    },
}
