//! Numbers that are drawn from a seed: the same ones from the same seed, on every machine.

use std::time::Duration;

/// `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): good enough to choose
/// faults by.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below that one.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("it is below a usize")
    }

    /// A time between two. Times from one to two seconds come as often as those from ten to twenty.
    pub(super) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let most = most.max(least);
        // Of 53 bits: as many as the fraction of an f64 has.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let times = most.as_secs_f64() / least.as_secs_f64();
        least.mul_f64(times.powf(share)).min(most)
    }

    /// Puts them in another order (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_seed_are_those_of_the_reference() {
        // Of Vigna's splitmix64.c with the state 1234567.
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_time_lies_between_its_bounds_and_is_short_as_often_as_long() {
        let mut random = Random::new(7);
        let (least, middle, most) = (Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(25));
        let times: Vec<Duration> = (0..1000).map(|_| random.between(least, most)).collect();
        assert!(times.iter().all(|time| (least..=most).contains(time)), "{times:?}");
        let short = times.iter().filter(|time| **time < middle).count();
        assert!((400..600).contains(&short), "{short}");
    }

    #[test]
    fn shuffling_loses_nothing() {
        let mut items: Vec<u32> = (0..100).collect();
        Random::new(3).shuffle(&mut items);
        assert!(!items.is_sorted());
        items.sort_unstable();
        assert!(items.into_iter().eq(0..100));
    }
}
