//! How many answers of the kernel a network gets.
//!
//! Each network has a cell, the one that its keyed hash gives; two that share one share its answers. The cell is one
//! word: the time up to which answers are spent, each for one interval, as in the generic cell rate algorithm (ITU-T
//! I.371, annex A.2). It may run ahead of the clock by a second, and what comes then is not answered here.
//!
//! Two CPUs that find the same network idle at once may answer it one time more; once it is busy, nothing is lost.

use core::num::NonZeroU32;

use crate::{
    clients::OVER,
    maps::{Address, Maps},
    pending::mix,
    policy::{self, Policy},
};

/// Cells of the table.
pub const CELLS: u32 = 16_384;
/// Time is counted in jiffies, of which this many bits are parts: at 1000 jiffies a second, ten million answers are
/// told apart from more to a part in a thousand, and the word lasts for 34 years.
const PARTS: u32 = 24;

/// Intervals of `rate` answers a second, and how far they may run ahead, where a second has so many jiffies.
///
/// A network that was idle gets a second's answers at once.
pub fn set(policy: &Policy, rate: NonZeroU32, jiffies: u64) {
    let second = jiffies << PARTS;
    let interval = (second / u64::from(rate.get())).max(1);
    policy.answer_interval.set(interval);
    policy.answer_ahead.set(second.saturating_sub(interval));
}

/// Spends one more answer to a client, or tells that its network has had them: [`OVER`].
#[inline(always)]
pub fn spend<M: Maps>(maps: &M, client: Address) -> u64 {
    let over = || {
        let policy = policy::in_use(maps)?;
        let [first, second] = &maps.control()?.pending_key;
        let hash = mix(mix(first.get() ^ network(client)) ^ second.get());
        let cell = maps.rate(hash as u32 & (CELLS - 1))?;
        let (interval, ahead) = (policy.answer_interval.get(), policy.answer_ahead.get());
        let (now, spent) = (maps.jiffies() << PARTS, cell.get());
        if spent <= now {
            cell.set(now + interval);
        } else if spent - now <= ahead {
            cell.add(interval);
        } else {
            return Some(OVER);
        }
        None
    };
    over().unwrap_or(0)
}

/// The client's network, as BIND's response rate limiting has it by default: 24 bits of IPv4, 56 of IPv6.
#[inline(always)]
const fn network(client: Address) -> u64 {
    const ALL_BUT_THE_LAST_BYTE: u64 = 0x00ff_ffff_ffff_ffff;
    let bytes = if client.is_v4() { client.low } else { client.high };
    bytes & ALL_BUT_THE_LAST_BYTE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use proptest::{collection::vec, prelude::*};
    use std::vec;

    const HZ: u64 = 250;

    fn limited(rate: u32) -> Model {
        let model = Model::new();
        set(model.policy(), rate.try_into().unwrap(), HZ);
        model
    }

    fn spent(model: &Model, client: Address) -> bool {
        spend(&model.frame(&mut vec![]), client) == 0
    }

    const CLIENT: Address = Address::v4([192, 0, 2, 1]);

    #[test]
    fn an_idle_network_gets_a_seconds_answers_at_once_and_then_its_rate() {
        for rate in [1, 2, 7, 100, 1000] {
            let mut model = limited(rate);
            let answered = |model: &Model| (0..5000).filter(|_| spent(model, CLIENT)).count() as u32;
            assert_eq!(answered(&model), rate, "at once");
            let mut later = 0;
            for _ in 0..10 * HZ {
                model.jiffies += 1;
                later += answered(&model);
            }
            assert!((10 * rate..=10 * rate + 1).contains(&later), "{later} of {rate} in ten seconds");
        }
    }

    #[test]
    fn a_rate_of_millions_is_kept_to_a_part_in_400() {
        let rate = 10_000_000;
        let model = limited(rate);
        let second = HZ << PARTS;
        let kept = second / model.policy().answer_interval.get();
        assert!(kept.abs_diff(rate.into()) * 400 < rate.into(), "{kept}");
    }

    #[test]
    fn clients_of_a_network_share_its_answers_and_another_network_has_its_own() {
        let v6 = |seventh, eighth| {
            Address::v6([0x20, 1, 0xd, 0xb8, 0, 0, seventh, eighth, 1, 2, 3, 4, 5, 6, 7, 8])
        };
        for (one, same, other) in [
            (CLIENT, Address::v4([192, 0, 2, 255]), Address::v4([192, 0, 3, 1])),
            (v6(1, 2), v6(1, 255), v6(2, 2)),
        ] {
            let model = limited(1);
            assert!(spent(&model, one));
            assert!(!spent(&model, same));
            assert!(spent(&model, other));
        }
    }

    proptest! {
        /// Of any times: never more than a second's answers above the rate, and none refused to who keeps it.
        #[test]
        fn what_is_answered_is_the_rate_and_a_seconds_answers_at_most(
            rate in 1..500_u32, pauses in vec((0..300_u64, 1..200_u32), 1..50),
        ) {
            let mut model = limited(rate);
            let start = model.jiffies;
            let mut answered = 0_u64;
            for (pause, queries) in pauses {
                model.jiffies += pause;
                answered += (0..queries).filter(|_| spent(&model, CLIENT)).count() as u64;
                let most = u64::from(rate) * (model.jiffies - start + HZ) / HZ + 1;
                prop_assert!(answered <= most, "{} of {}", answered, most);
            }
        }

        #[test]
        fn who_keeps_the_rate_is_always_answered(rate in 1..=HZ as u32, idle in 0..1000_u64) {
            let mut model = limited(rate);
            model.jiffies += idle;
            for _ in 0..1000 {
                prop_assert!(spent(&model, CLIENT));
                model.jiffies += HZ.div_ceil(rate.into());
            }
        }
    }
}
