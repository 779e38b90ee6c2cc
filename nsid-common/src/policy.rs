//! What a person decides about names: two sets of words, of which one is in use.
//!
//! A change fills the set that is not in use, and its table of [`clients`](crate::clients); then
//! [`Control::policy`](crate::maps::Control::policy) is switched to it. So a packet meets all of a change, or nothing
//! of it.

use crate::{
    dns::{MIN_UDP_SIZE, OPTION_FIXED},
    hook::Edit,
    insert::MAX_OWN,
    maps::{Control, Maps},
    memory::Word,
};

/// One of the two sets.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Policy {
    /// Intervals of its table of clients: a power of two, up to [`INTERVALS`](crate::clients::INTERVALS); 0: the table
    /// says nothing of anybody.
    pub intervals: Word,
    /// Bytes of a message that a name is put into, at most; 0: as many as the requestor takes.
    pub max_udp_size: Word,
    /// Not 0: an NSID of the server's own stays.
    pub keep_own: Word,
    /// Between two answers to one network, in units of the [`rate`](crate::rate); 0: no limit.
    pub answer_interval: Word,
    /// How far answers to a network may run ahead of that.
    pub answer_ahead: Word,
}

const _: () = assert!(size_of::<Policy>() == 40);

/// Which of the two sets is in use, and whether there is any reason to ask it: the value of `Control::policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InUse(u64);

impl InUse {
    const SECOND: u64 = 1;
    const SOME_MAY_NOT_SEE: u64 = 2;
    const LIMITED: u64 = 4;

    /// The first set, or the second.
    #[must_use]
    pub const fn new(second: u64) -> Self {
        Self(second & Self::SECOND)
    }

    /// Where some clients may not see the name.
    #[must_use]
    pub const fn some_may_not_see(self, some: bool) -> Self {
        Self(self.0 | if some { Self::SOME_MAY_NOT_SEE } else { 0 })
    }

    /// Where answers of the kernel have a [`rate`](crate::rate).
    #[must_use]
    pub const fn limited(self, limited: bool) -> Self {
        Self(self.0 | if limited { Self::LIMITED } else { 0 })
    }

    /// Of the control's word.
    #[inline(always)]
    pub fn of(control: &Control) -> Self {
        Self(control.policy.get())
    }

    /// The control's word.
    pub const fn word(self) -> u64 {
        self.0
    }

    /// The set that is not in use, to be used.
    #[must_use]
    pub const fn other(self) -> Self {
        Self::new(!self.0)
    }

    /// Index of the set: 0 or 1.
    #[inline(always)]
    pub const fn index(self) -> u32 {
        (self.0 & Self::SECOND) as u32
    }

    /// Whether the clients' table has to be asked before a query is noted.
    #[inline(always)]
    pub(crate) const fn hides(self) -> bool {
        self.0 & Self::SOME_MAY_NOT_SEE != 0
    }

    /// Whether the rate has to be asked before a query is answered.
    #[inline(always)]
    pub(crate) const fn limits(self) -> bool {
        self.0 & Self::LIMITED != 0
    }
}

/// The set that is in use.
#[inline(always)]
pub(crate) fn in_use<M: Maps>(maps: &M) -> Option<&Policy> {
    maps.policy(InUse::of(maps.control()?).index())
}

/// Bytes that a message with a name may have, for a requestor that takes so many (RFC 6891 6.2.3).
#[inline(always)]
pub(crate) fn message_limit(policy: &Policy, udp_size: u16) -> usize {
    let taken = MIN_UDP_SIZE.max(udp_size as usize);
    match policy.max_udp_size.get() as usize {
        0 => taken,
        most => taken.min(most),
    }
}

/// Whether one of the NSID options from the first one, at `first`, to `end` has data, and stays.
#[inline(always)]
pub(crate) fn keeps_own<H: Edit>(frame: &H, policy: &Policy, first: usize, end: usize) -> bool {
    if policy.keep_own.get() == 0 {
        return false;
    }
    let (mut at, mut seen) = (first, 0);
    while seen < MAX_OWN {
        let Some([high, low]) = frame.load(at + 2) else { return false };
        if high | low != 0 {
            return true;
        }
        match frame.find_nsid(at + OPTION_FIXED, end) {
            Some(next) if next != end => at = next,
            _ => return false,
        }
        seen += 1;
    }
    false
}
