//! Waiting, told in `CLOCK_BOOTTIME`.

use std::time::Duration;

use crate::clock::BootTime;

/// tokio's timers stand still while the host is suspended, deadlines do not: so a wait looks at the clock this
/// often.
const LOOK: Duration = Duration::from_secs(1);

/// The first pause after a failure, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Waits until then.
pub(crate) async fn until(then: BootTime) {
    while !then.passed() {
        tokio::time::sleep(then.left().min(LOOK)).await;
    }
}

/// What `work` yields, if it does so by then.
pub(crate) async fn within<T>(then: BootTime, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = until(then) => None,
    }
}

/// Up to a tenth more or less, so that nodes that started together do not ask together for ever.
pub(crate) fn jittered(pause: Duration) -> Duration {
    // Without random numbers there is no jitter; nothing depends on it.
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    let share = f64::from(random) / f64::from(u32::MAX);
    pause.saturating_sub(pause / 10).saturating_add((pause / 5).mul_f64(share))
}

/// Pauses that double from one failure to the next.
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self::up_to(PAUSES.1)
    }

    /// Pauses that are no longer than that, but for the first one.
    pub(crate) fn up_to(longest: Duration) -> Self {
        Self { next: PAUSES.0, longest: longest.clamp(PAUSES.0, PAUSES.1) }
    }

    /// When to try again.
    pub(crate) fn next(&mut self) -> BootTime {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        BootTime::now().saturating_add(jittered(pause))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn jitter_is_a_tenth_at_most(nanos in 0..u64::MAX / 4) {
            let pause = Duration::from_nanos(nanos);
            let jittered = jittered(pause);
            prop_assert!(jittered >= pause.mul_f64(0.8999) && jittered <= pause.mul_f64(1.1001), "{jittered:?}");
        }
    }

    #[test]
    fn jitter_differs_from_time_to_time() {
        let pause = Duration::from_secs(1);
        assert!((0..10).any(|_| jittered(pause) != jittered(pause)));
    }

    #[test]
    fn pauses_grow_to_what_was_asked_for_and_no_further() {
        let mut backoff = Backoff::up_to(Duration::from_millis(300));
        let pauses: Vec<_> = (0..5).map(|_| backoff.next().left()).collect();
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(330)), "{pauses:?}");
        assert!(pauses[4] >= Duration::from_millis(260), "{pauses:?}");
    }

    #[test]
    fn pauses_grow_to_a_second_and_no_further() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..8).map(|_| backoff.next().left()).collect();
        assert!(pauses[0] <= Duration::from_millis(110), "{pauses:?}");
        assert!(pauses[1] > pauses[0], "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(1100)), "{pauses:?}");
        assert!(pauses[7] >= Duration::from_millis(880), "{pauses:?}");
    }
}
