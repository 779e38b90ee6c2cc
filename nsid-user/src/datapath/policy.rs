//! Has the programs keep to what a person decides; see [`nsid_common::policy`].

use std::{num::NonZeroU32, thread, time::Duration};

use nsid_common::{
    clients::{self, ANSWERED, INTERVALS, NAMED},
    policy::InUse,
    rate,
};
use thiserror::Error;

use super::maps::{Maps, random};
use crate::{clock::jiffy, host::clients::Rights};

/// What the programs keep to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What holds for clients: from each of these addresses on, as IPv6 has it, to the next one's. The first is at 0.
    pub clients: Vec<(u128, Rights)>,
    /// How many ranges of them would be answered, and are not for want of room.
    pub left_to_server: usize,
    /// Bytes of a message that a name is put into, at most.
    pub max_udp_size: Option<u16>,
    /// An NSID of the server's own stays.
    pub keep_own: bool,
    /// Answers of the kernel to one network in a second, at most.
    pub answer_rate: Option<NonZeroU32>,
}

/// Why the programs cannot keep to it.
#[derive(Debug, Error)]
pub enum PolicyError {
    /// Too many, though nobody is answered.
    #[error(
        "the networks of allow and deny make {found} ranges of addresses, and the kernel programs look through \
         {INTERVALS}; give fewer of them"
    )]
    TooMany {
        /// How many.
        found: usize,
    },
}

impl Rules {
    /// Whether there is room for so many clients.
    pub fn fit(&self) -> Result<(), PolicyError> {
        let found = self.clients.len();
        if found > INTERVALS as usize { Err(PolicyError::TooMany { found }) } else { Ok(()) }
    }
}

impl Maps {
    /// Has the programs keep to these rules, all of them at once.
    pub fn keep_to(&self, rules: &Rules) -> Result<(), PolicyError> {
        rules.fit()?;
        let some_may_not_see = rules.clients.iter().any(|(_, rights)| !rights.named);
        let control = self.control();
        let in_use = InUse::of(control)
            .other()
            .some_may_not_see(some_may_not_see)
            .limited(rules.answer_rate.is_some());
        // A packet that met the other rules before the last change is done with them by now.
        thread::sleep(jiffy());
        let policy = &self.policies[in_use.index() as usize];
        let intervals: Vec<_> = rules.clients.iter().map(|(from, rights)| (*from, says(*rights))).collect();
        let table = |index: u32| &self.clients[(index * INTERVALS) as usize..][..INTERVALS as usize];
        let others_may_see = !clients::holds(table(1 - in_use.index()), &intervals);
        let places = table(in_use.index());
        let filled = clients::fill(places, policy, &intervals);
        assert!(filled, "the intervals fit, and begin at 0");
        policy.max_udp_size.set(rules.max_udp_size.map_or(0, u64::from));
        policy.keep_own.set(u64::from(rules.keep_own));
        if let Some(answers) = rules.answer_rate {
            rate::set(policy, answers, jiffies_a_second());
        }
        control.policy.set(in_use.word());
        if some_may_not_see && others_may_see {
            // A query that was noted under the other rules is not answered with a name that these hide.
            thread::sleep(jiffy());
            control.pending_key[1].set(random() | 1);
        }
        Ok(())
    }
}

fn says(Rights { answered, named }: Rights) -> u64 {
    let bit = |holds: bool, bit| if holds { bit } else { 0 };
    bit(answered, ANSWERED) | bit(named, NAMED)
}

fn jiffies_a_second() -> u64 {
    let jiffies = Duration::from_secs(1).as_nanos() / jiffy().as_nanos().max(1);
    u64::try_from(jiffies).unwrap_or(u64::MAX)
}
