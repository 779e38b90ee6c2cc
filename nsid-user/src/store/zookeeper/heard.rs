//! What the leader has certainly heard of a session: the time from which leases are counted.
//!
//! The leader counts a session's time anew whenever it hears of it, and ends the session a whole timeout later, not
//! sooner (`SessionTrackerImpl`, `ExpiryQueue`: the end is rounded up to a tick). What it hears, and when:
//!
//! - the session's beginning, and that it goes on on another connection: before who connects is answered
//!   (`PrepRequestProcessor`, `Learner.validateSession`);
//! - whatever a client sends to the leader itself, when it comes;
//! - whatever a client sends to a follower, with the follower's answer to the leader's next ping, one each half tick
//!   (`Leader.lead`, `Learner.ping`). A write that is handed on counts for nothing (`LeaderZooKeeperServer`,
//!   `submitLearnerRequest`), though the leader does look whether the session is over.
//!
//! So a write that is answered is not heard of yet, in this sense. But what was answered *before* it, by the ping of half
//! a tick, is: between a follower and the leader nothing overtakes anything.
//!
//! **Invariant:** [`Heard::since`] is a time after which the leader that commits a write, sent then or later on this
//! connection, has counted the session anew. It takes for granted that a tick is at most a fifth of the timeout.
//!
//! A leader that commits nothing any more, being cut off, may hear what it likes: only a write's answer makes a lease.
//! And its successor counts all sessions anew when it takes over, which is after the last write that the other one
//! committed. A server that changes leaders closes its connections (`Learner.shutdown`, `Leader.shutdown`), so all of one
//! connection is with one leader.

use std::time::Duration;

use crate::clock::BootTime;

/// How many of the leader's pings a timeout is long, at least: two a tick.
pub(super) const PINGS: u32 = 10;

/// On one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    ping: Duration,
    since: BootTime,
    /// When something was sent and when answered that the leader may not have heard of by then.
    next: Option<(BootTime, BootTime)>,
}

impl Heard {
    /// By a connection that was asked for then, for a session with that timeout.
    pub(super) fn by_connecting(sent: BootTime, timeout: Duration) -> Self {
        Self { ping: timeout / PINGS, since: sent, next: None }
    }

    /// Something that was sent then was answered.
    pub(super) fn answered(&mut self, sent: BootTime) {
        self.answered_at(sent, BootTime::now());
    }

    /// The time that the leader counts from, or an earlier one.
    pub(super) fn since(&self) -> BootTime {
        self.since
    }

    fn answered_at(&mut self, sent: BootTime, answered: BootTime) {
        if let Some((before, answered)) = self.next
            && sent >= answered.saturating_add(self.ping)
        {
            (self.since, self.next) = (before, None);
        }
        self.next = self.next.or(Some((sent, answered)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const TIMEOUT: u64 = 10_000;

    fn at(millis: u64) -> BootTime {
        BootTime::from_nanos(millis * 1_000_000)
    }

    fn heard() -> Heard {
        Heard::by_connecting(at(0), Duration::from_millis(TIMEOUT))
    }

    proptest! {
        /// A follower that is pinged as seldom as may be, and answers at once.
        #[test]
        fn the_leader_has_heard_of_all_that_is_relied_on(
            requests in vec((1..TIMEOUT / 2, 0..TIMEOUT / 4), 1..40),
            phase in 0..TIMEOUT / 10,
        ) {
            let mut heard = heard();
            let (mut now, mut received) = (0, Vec::new());
            for (pause, took) in requests {
                let sent = now + pause;
                now = sent + took;
                heard.answered_at(at(sent), at(now));
                let pinged = sent.checked_sub(phase).map(|since| sent - since % (TIMEOUT / 10));
                // Handed on as soon as it was received, and received as late as when the answer was there.
                let told = received.iter().filter(|(_, at)| pinged.is_some_and(|ping| *at <= ping));
                let counted = told.map(|(sent, _)| *sent).max().unwrap_or(0);
                prop_assert!(heard.since() <= at(counted), "{:?} {counted}", heard.since());
                received.push((sent, now));
            }
        }

        #[test]
        fn who_sends_every_eighth_of_the_timeout_is_an_eighth_behind(renewals in 2..20_u64) {
            let mut heard = heard();
            for renewal in 1..=renewals {
                heard.answered_at(at(renewal * TIMEOUT / 8), at(renewal * TIMEOUT / 8 + 20));
            }
            prop_assert_eq!(heard.since(), at((renewals - 1) * TIMEOUT / 8));
        }
    }

    #[test]
    fn what_was_answered_a_moment_ago_does_not_count_yet() {
        let mut heard = heard();
        heard.answered_at(at(2000), at(2010));
        heard.answered_at(at(2020), at(2030));
        assert_eq!(heard.since(), at(0));
        heard.answered_at(at(3009), at(3020));
        assert_eq!(heard.since(), at(0));
        heard.answered_at(at(3010), at(3020));
        assert_eq!(heard.since(), at(2000));
    }
}
