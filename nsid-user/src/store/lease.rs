//! A lease, and the one place where its deadline is computed.

use std::time::Duration;

use crate::clock::{self, BootTime};

/// How much slower than the store's this host's clock may run: one part in 50, 2 %.
const DRIFT: u32 = 50;

/// Time for which a store gives a slot to nobody else, counted from before it was asked.
///
/// **Invariant:** the count begins when the request is sent. From the reply's arrival it would end later than the
/// store's own count, by as long as the reply took (for a process that was stopped, any length), and two
/// nodes would say one name. So [`Lease::ask`] reads the clock before the request exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    sent: BootTime,
    ttl: Duration,
}

impl Lease {
    /// Asks for `ttl` by sending `request`, which is told when it was sent and returns the time granted and what
    /// else the reply says.
    ///
    /// The lease lasts for the smaller of the time asked for and the time granted.
    pub async fn ask<T, E, R>(ttl: Duration, request: impl FnOnce(BootTime) -> R) -> Result<(Self, T), E>
    where
        R: Future<Output = Result<(Duration, T), E>>,
    {
        let sent = BootTime::now();
        let (granted, reply) = request(sent).await?;
        Ok((Self { sent, ttl: ttl.min(granted) }, reply))
    }

    /// That of a store which keeps by itself when it sent the requests that count: [`nsid_peers`] does.
    pub(super) fn counted(sent: BootTime, ttl: Duration) -> Self {
        Self { sent, ttl }
    }

    /// What that time, which is by this host's clock, may be by a store's.
    pub(super) fn by_the_stores_clock(time: Duration) -> Duration {
        time + time / (DRIFT - 1)
    }

    /// When the request for it was sent.
    pub fn sent(self) -> BootTime {
        self.sent
    }

    /// How long it lasts, from [`sent`](Lease::sent).
    pub fn ttl(self) -> Duration {
        self.ttl
    }

    /// Until when the name may be said. The margin is for clocks that run at different rates, and for the kernel,
    /// which may take [`clock::silence`] to notice.
    pub fn deadline(self) -> BootTime {
        let margin = self.ttl / DRIFT + clock::silence();
        self.sent.saturating_add(self.ttl.saturating_sub(margin))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::ready;

    use proptest::prelude::*;

    use super::*;

    fn lease(sent: u64, ttl: u64) -> Lease {
        Lease { sent: BootTime::from_nanos(sent), ttl: Duration::from_nanos(ttl) }
    }

    proptest! {
        #[test]
        fn a_clock_that_runs_2_percent_slow_is_silent_before_the_store_gives_the_slot_away(
            sent in 0..u64::MAX / 4,
            ttl in 1_000_000_000..1_000_000_000_000_u64,
        ) {
            let said = lease(sent, ttl).deadline().as_nanos() - sent;
            let silent = said + u64::try_from(clock::silence().as_nanos()).unwrap();
            // What this host counts as 0.98 s is a second to the store.
            prop_assert!(u128::from(silent) * 100 <= u128::from(ttl) * 98 + 100);
            // And not much is given away for it.
            prop_assert!(u128::from(silent) * 100 >= u128::from(ttl) * 98 - 100);
        }

        #[test]
        fn a_deadline_is_never_before_the_request_nor_wraps(sent: u64, ttl: u64) {
            let lease = lease(sent, ttl);
            prop_assert!(lease.deadline() >= lease.sent());
            prop_assert!(lease.deadline() <= lease.sent().saturating_add(lease.ttl()));
        }

        #[test]
        fn a_later_request_never_has_an_earlier_deadline(sent: u64, later: u64, ttl: u64) {
            let (first, second) = (sent.min(later), sent.max(later));
            prop_assert!(lease(first, ttl).deadline() <= lease(second, ttl).deadline());
        }

        #[test]
        fn a_lease_lasts_for_the_smaller_of_asked_and_granted(asked: u64, granted: u64) {
            let (asked, granted) = (Duration::from_nanos(asked), Duration::from_nanos(granted));
            let lease = block_on(Lease::ask(asked, |_| ready(Ok((granted, ())))));
            prop_assert_eq!(lease.ttl(), asked.min(granted));
        }
    }

    #[test]
    fn a_lease_counts_from_before_the_request_however_late_the_reply() {
        let before = BootTime::now();
        let mut told = None;
        let lease = block_on(Lease::ask(Duration::from_secs(1), |sent| {
            told = Some(sent);
            async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok((Duration::from_secs(1), ()))
            }
        }));
        assert_eq!(told, Some(lease.sent()));
        assert!(lease.sent() >= before);
        assert!(BootTime::now().saturating_sub(Duration::from_millis(50)) >= lease.sent());
    }

    fn block_on(ask: impl Future<Output = Result<(Lease, ()), Infallible>>) -> Lease {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let Ok((lease, ())) = runtime.block_on(ask);
        lease
    }
}
