//! Who has which slot of a pool, for whoever asks: nobody claims by asking.

use super::{Agreement, Holder, Unreachable};

/// A store that tells who has what.
pub trait Directory {
    /// Looks once: all of it was so at one moment.
    fn names(&mut self) -> impl Future<Output = Result<Roll, Unreachable>> + Send;
}

/// A pool at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roll {
    /// Who has a slot, in the order of the slots.
    pub holders: Vec<Entry>,
    /// How many claimants have none: they are in line, or about to be given one.
    pub waiting: usize,
    /// What the pool's claimants are given alike; nothing if nobody ever claimed, or it cannot be read.
    pub agreement: Option<Agreement>,
}

/// A slot that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The place in the pool.
    pub slot: u32,
    /// The fencing token.
    pub token: u64,
    /// Who has it.
    pub holder: Holder,
}
