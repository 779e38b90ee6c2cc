//! Which faults, how long each, and in which order: all of it drawn from a seed before anything starts.

use std::{collections::VecDeque, time::Duration};

use super::{fault::Kind, random::Random};

/// What is to happen.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the rest is drawn from.
    pub seed: u64,
    /// How many faults.
    pub faults: usize,
    /// Each of these comes once before one comes again.
    pub kinds: Vec<Kind>,
    /// How long a fault lasts, at least and at most.
    pub lasts: (Duration, Duration),
    /// The lease that agents ask for.
    pub ttl: Duration,
}

/// A fault to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// Of those that it may befall, this one, counted round.
    pub(super) pick: usize,
    pub(super) lasts: Duration,
    /// How many packets of a hundred are lost, where some are.
    pub(super) loss: usize,
    /// How long to wait for it, once all is well after the last one.
    pub(super) pause: Duration,
}

impl Plan {
    /// Those of the members, and those of the agents: each in its own order, and the two beside each other.
    pub(super) fn lanes(&self) -> [VecDeque<Fault>; 2] {
        let mut random = Random::new(self.seed);
        let mut kinds = Vec::new();
        while kinds.len() < self.faults {
            let mut round = self.kinds.clone();
            random.shuffle(&mut round);
            kinds.extend(round);
        }
        kinds.truncate(self.faults);
        let mut lanes = [VecDeque::new(), VecDeque::new()];
        for kind in kinds {
            let lane = usize::from(!Kind::OF_MEMBERS.contains(&kind));
            lanes[lane].push_back(self.draw(kind, &mut random));
        }
        lanes
    }

    fn draw(&self, kind: Kind, random: &mut Random) -> Fault {
        let (least, most) = kind.lasts(self.lasts, self.ttl);
        Fault {
            kind,
            pick: random.below(1 << 16),
            lasts: random.between(least, most),
            loss: 10 + random.below(51),
            pause: random.between(Duration::from_millis(50), Duration::from_secs(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64, faults: usize) -> Plan {
        Plan {
            seed,
            faults,
            kinds: Kind::all().collect(),
            lasts: (Duration::from_secs(1), Duration::from_secs(30)),
            ttl: Duration::from_secs(5),
        }
    }

    #[test]
    fn a_seed_has_one_plan_and_another_seed_another_one() {
        assert_eq!(plan(1, 200).lanes(), plan(1, 200).lanes());
        assert_ne!(plan(1, 200).lanes(), plan(2, 200).lanes());
    }

    #[test]
    fn each_kind_comes_once_before_one_comes_again() {
        let [members, agents] = plan(5, 2 * Kind::COUNT).lanes();
        assert_eq!(members.len() + agents.len(), 2 * Kind::COUNT);
        for kind in Kind::all() {
            let count = |lane: &VecDeque<Fault>| lane.iter().filter(|fault| fault.kind == kind).count();
            assert_eq!(count(&members) + count(&agents), 2, "{kind}");
        }
    }

    #[test]
    fn every_kind_is_of_members_or_of_agents_and_told_in_other_words() {
        let told: std::collections::BTreeSet<String> = Kind::all().map(|kind| kind.to_string()).collect();
        assert_eq!(told.len(), Kind::COUNT);
    }

    #[test]
    fn a_crashed_holder_is_back_well_within_its_lease() {
        let plan = plan(9, 10 * Kind::COUNT);
        for fault in plan.lanes().into_iter().flatten() {
            assert!(fault.lasts <= plan.lasts.1, "{fault:?}");
            assert!(fault.kind != Kind::HolderCrashed || fault.lasts < plan.ttl / 2, "{fault:?}");
        }
    }
}
