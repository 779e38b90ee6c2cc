//! What can go wrong, and with whom.

use std::{fmt, time::Duration};

/// What befalls a member of the store, or an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// `SIGKILL`. A member is started again with the data it had; in place of an agent another one is, as if its host
    /// had been made anew.
    Killed,
    /// `SIGSTOP`, then `SIGCONT`: connections stay, and nobody answers.
    Frozen,
    /// No packet reaches it, nor leaves it.
    CutOff,
    /// No packet reaches it. What it says arrives.
    Deaf,
    /// No packet of its leaves.
    Mute,
    /// Of its packets a part is lost, either way.
    Lossy,
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Of the store's leader.
    Leader(Harm),
    /// Of another member.
    Follower(Harm),
    /// The leader is cut off from the other members, and every agent still reaches it.
    LeaderApart,
    /// The leader is told to let another member lead.
    LeaderMoved,
    /// All members are killed at once, and started again.
    AllKilled,
    /// All members are stopped.
    AllFrozen,
    /// Of an agent that has a name.
    Holder(Harm),
    /// Such an agent is killed, and started again within its lease.
    HolderCrashed,
    /// Such an agent is told to end, by `SIGTERM`, and later another one is started in its place.
    HolderTerminated,
    /// Such an agent is told to go on as another version of itself (`nsid upgrade`).
    HolderUpgraded,
    /// What an agent's name is held by in the store is taken away: the lease in etcd, in `ZooKeeper` all its nodes.
    LeaseRevoked,
    /// The slot alone is deleted, as by a careless hand.
    SlotDeleted,
    /// Of an agent that waits in line.
    Spare(Harm),
}

impl Kind {
    /// Those of the store's members.
    pub const OF_MEMBERS: [Self; 13] = [
        Self::Leader(Harm::Killed),
        Self::Leader(Harm::Frozen),
        Self::Leader(Harm::CutOff),
        Self::Leader(Harm::Deaf),
        Self::Leader(Harm::Mute),
        Self::Leader(Harm::Lossy),
        Self::LeaderApart,
        Self::LeaderMoved,
        Self::Follower(Harm::Killed),
        Self::Follower(Harm::Frozen),
        Self::Follower(Harm::CutOff),
        Self::AllKilled,
        Self::AllFrozen,
    ];

    /// Those of the agents, and of what they have in the store.
    pub const OF_AGENTS: [Self; 14] = [
        Self::Holder(Harm::Killed),
        Self::Holder(Harm::Frozen),
        Self::Holder(Harm::CutOff),
        Self::Holder(Harm::Deaf),
        Self::Holder(Harm::Mute),
        Self::Holder(Harm::Lossy),
        Self::HolderCrashed,
        Self::HolderTerminated,
        Self::HolderUpgraded,
        Self::LeaseRevoked,
        Self::SlotDeleted,
        Self::Spare(Harm::Killed),
        Self::Spare(Harm::Frozen),
        Self::Spare(Harm::CutOff),
    ];

    /// How many there are.
    pub const COUNT: usize = Self::OF_MEMBERS.len() + Self::OF_AGENTS.len();

    /// Each of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::OF_MEMBERS.into_iter().chain(Self::OF_AGENTS)
    }

    /// Whether it can befall witnesses and their claimants: no witness is told to lead, and nobody has a hand in what is in
    /// their memory.
    pub fn is_of_peers(self) -> bool {
        !matches!(self, Self::LeaderMoved | Self::LeaseRevoked | Self::SlotDeleted)
    }

    /// Between which times it lasts, of these two if it can last for any time, and with leases of that length. What is
    /// done in an instant is watched for a while.
    pub(super) fn lasts(
        self,
        (shortest, longest): (Duration, Duration),
        ttl: Duration,
    ) -> (Duration, Duration) {
        const SECOND: Duration = Duration::from_secs(1);
        match self {
            Self::Leader(_) | Self::Follower(_) | Self::LeaderApart | Self::Holder(_) | Self::Spare(_) => {
                (shortest, longest)
            }
            // Longer only adds to the time in which nobody has a name.
            Self::AllFrozen => (shortest, longest.min(2 * ttl)),
            Self::AllKilled | Self::HolderTerminated => (SECOND / 5, 2 * SECOND),
            Self::HolderCrashed => (ttl / 20, ttl / 3),
            // Told at once, or found out at the next renewal.
            Self::LeaseRevoked | Self::SlotDeleted => (ttl / 2, ttl),
            Self::LeaderMoved | Self::HolderUpgraded => (SECOND / 2, SECOND),
        }
    }

    /// Whether it is a person's doing, who takes a name from its holder in the store. The holder is told at once, and its
    /// successor waits for that; one that is frozen or cut off besides says the name until its deadline.
    pub(super) fn is_by_hand(self) -> bool {
        matches!(self, Self::LeaseRevoked | Self::SlotDeleted)
    }

    /// Whether the store has no majority meanwhile.
    pub(super) fn takes_the_majority(self) -> bool {
        matches!(self, Self::AllKilled | Self::AllFrozen)
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "killed",
            Self::Frozen => "frozen",
            Self::CutOff => "cut off",
            Self::Deaf => "deaf",
            Self::Mute => "mute",
            Self::Lossy => "losing packets",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader(harm) => write!(f, "leader {harm}"),
            Self::Follower(harm) => write!(f, "follower {harm}"),
            Self::LeaderApart => f.write_str("leader cut off from the members alone"),
            Self::LeaderMoved => f.write_str("leader moved"),
            Self::AllKilled => f.write_str("all members killed"),
            Self::AllFrozen => f.write_str("all members frozen"),
            Self::Holder(harm) => write!(f, "holder {harm}"),
            Self::HolderCrashed => f.write_str("holder killed, and back within its lease"),
            Self::HolderTerminated => f.write_str("holder ended by SIGTERM"),
            Self::HolderUpgraded => f.write_str("holder upgraded"),
            Self::LeaseRevoked => f.write_str("lease revoked behind the holder's back"),
            Self::SlotDeleted => f.write_str("slot deleted by hand"),
            Self::Spare(harm) => write!(f, "spare {harm}"),
        }
    }
}
