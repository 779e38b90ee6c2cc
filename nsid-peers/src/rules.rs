//! The numbers that the proof stands on, each in one place.
//!
//! The model and the simulator run the same machines under rules of which one is broken, and have to find it out.

use std::time::Duration;

use crate::Time;

/// How far two hosts' clocks may be apart in rate: one part in 50, 2 %, each of them being off by 1 % at most.
const DRIFT: u32 = 50;

/// For how much longer than the lease a witness keeps a slot, beside the drift.
const SPARE: Duration = Duration::from_millis(250);

/// How often a lease is renewed in its length: each time in a datagram that may be lost.
pub const RENEWALS: u32 = 5;

/// What claimants and witnesses go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    needed: Needed,
    counted_from: CountedFrom,
    kept: Kept,
    silence: Silence,
}

/// Whose grants make a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Needed {
    /// Those of more than half of the witnesses.
    Majority,
    /// That of one.
    #[cfg(test)]
    One,
    /// None: an offer is taken for a grant.
    #[cfg(test)]
    Nobody,
}

/// From when a claimant counts a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CountedFrom {
    /// From when it asked.
    Request,
    /// From when it was answered.
    #[cfg(test)]
    Reply,
}

/// For how long a witness keeps a slot for its claimant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kept {
    /// For longer than any clock's count of the lease.
    PastTheLease,
    /// For half of the lease.
    #[cfg(test)]
    HalfOfIt,
    /// For exactly as long as the lease is by its own clock.
    #[cfg(test)]
    NoLonger,
}

/// What a witness does after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Silence {
    /// It grants nothing for as long as its earlier incarnation may have kept a slot.
    ForOneLease,
    /// It goes on as if nothing had been.
    #[cfg(test)]
    None,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            needed: Needed::Majority,
            counted_from: CountedFrom::Request,
            kept: Kept::PastTheLease,
            silence: Silence::ForOneLease,
        }
    }
}

impl Rules {
    /// How many of so many witnesses have to grant a slot.
    pub(crate) fn needed(self, witnesses: usize) -> usize {
        match self.needed {
            Needed::Majority => witnesses / 2 + 1,
            #[cfg(test)]
            Needed::One => 1,
            #[cfg(test)]
            Needed::Nobody => 0,
        }
    }

    /// From when a lease counts that was asked for and granted then.
    pub(crate) fn counted_from(self, asked: Time, answered: Time) -> Time {
        match self.counted_from {
            CountedFrom::Request => asked,
            #[cfg(test)]
            CountedFrom::Reply => answered,
        }
        .min(answered)
    }

    /// How long a witness keeps a slot for a lease of that length, by its own clock.
    pub fn kept(self, lease: Duration) -> Duration {
        match self.kept {
            Kept::PastTheLease => lease + lease / DRIFT + SPARE,
            #[cfg(test)]
            Kept::HalfOfIt => lease / 2,
            #[cfg(test)]
            Kept::NoLonger => lease,
        }
    }

    /// How long a claimant relies on a lease of that length, by its own clock.
    pub fn relied_on(self, lease: Duration) -> Duration {
        match self.kept {
            Kept::PastTheLease => lease.saturating_sub(lease / DRIFT),
            #[cfg(test)]
            Kept::HalfOfIt => lease.saturating_sub(lease / DRIFT),
            #[cfg(test)]
            Kept::NoLonger => lease,
        }
    }

    /// How long a witness is silent that may have granted leases of that length before it was started.
    pub(crate) fn silence(self, lease: Duration) -> Duration {
        match self.silence {
            Silence::ForOneLease => Self::default().kept(lease),
            #[cfg(test)]
            Silence::None => Duration::ZERO,
        }
    }
}

/// One rule broken, and only one.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    NoSilenceAfterRestart,
    DeadlineFromTheReply,
    WitnessLeaseTooShort,
    NoMargin,
    NoMajority,
    GossipOnly,
}

#[cfg(test)]
impl Mutant {
    pub(crate) const ALL: [Self; 6] = [
        Self::NoSilenceAfterRestart,
        Self::DeadlineFromTheReply,
        Self::WitnessLeaseTooShort,
        Self::NoMargin,
        Self::NoMajority,
        Self::GossipOnly,
    ];

    pub(crate) fn rules(self) -> Rules {
        let rules = Rules::default();
        match self {
            Self::NoSilenceAfterRestart => Rules { silence: Silence::None, ..rules },
            Self::DeadlineFromTheReply => Rules { counted_from: CountedFrom::Reply, ..rules },
            Self::WitnessLeaseTooShort => Rules { kept: Kept::HalfOfIt, ..rules },
            Self::NoMargin => Rules { kept: Kept::NoLonger, ..rules },
            Self::NoMajority => Rules { needed: Needed::One, ..rules },
            Self::GossipOnly => Rules { needed: Needed::Nobody, ..rules },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clocks of both are off by 1 %, against each other.
    #[test]
    fn a_slow_claimant_is_silent_before_a_fast_witness_gives_its_slot_away() {
        let rules = Rules::default();
        for lease in [1, 5, 60, 3600].map(Duration::from_secs) {
            let relied_on = rules.relied_on(lease).as_nanos() * 101;
            let kept = rules.kept(lease).as_nanos() * 99;
            assert!(relied_on < kept, "{lease:?}");
            assert!(rules.silence(lease) >= rules.kept(lease));
        }
    }

    #[test]
    fn two_majorities_have_a_witness_in_common() {
        for witnesses in [1, 3, 5] {
            assert!(2 * Rules::default().needed(witnesses) > witnesses);
        }
    }
}
