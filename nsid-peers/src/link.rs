//! What a claimant knows of one witness.

use std::time::Duration;

use crate::Time;
use crate::message::{Epoch, Number, Reply, Verdict};

/// Requests that may still be answered: more than are sent while a datagram can be under way.
const OUTSTANDING: usize = 8;

/// Before a request is sent again: first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(150), Duration::from_millis(1200));

/// So many requests in a row that were not answered: a witness that is not there, or as good as.
const DEAF: u32 = 2;

/// One witness, as a claimant sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    /// Its incarnation.
    pub(crate) epoch: Epoch,
    /// Its time, as it told it last.
    pub(crate) stamp: Time,
    /// The number of the last request.
    number: Number,
    /// Numbers of requests, and when they were sent.
    asked: Vec<(Number, Time)>,
    /// How often it was asked since it answered.
    tries: u32,
    /// When to ask next.
    due: Option<Time>,
    /// What it said to what the claimant wants now.
    says: Option<Verdict>,
    /// What it granted last of what is held or being taken.
    pub(crate) counted: Option<Counted>,
}

/// A lease that one witness granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Counted {
    /// From when it counts: nobody else is given the slot by that witness for so long after.
    pub from: Time,
    /// How long it is.
    pub lease: Duration,
}

impl Link {
    /// From that process to a witness that was not asked yet.
    pub(crate) fn new(process: u64) -> Self {
        let number = Number { process, count: 0 };
        let (epoch, stamp) = Default::default();
        Self { epoch, stamp, number, asked: Vec::new(), tries: 0, due: None, says: None, counted: None }
    }

    /// How many requests were sent.
    pub(crate) fn count(&self) -> u32 {
        self.number.count
    }

    /// The claimant wants something else from now on: answers to earlier requests are no matter.
    pub(crate) fn begin(&mut self, now: Time) {
        self.asked.clear();
        self.says = None;
        self.ask(now);
    }

    /// It is asked for more time: what it said before is old, though what it grants yet counts.
    pub(crate) fn begin_round(&mut self, now: Time) {
        self.says = None;
        self.ask(now);
    }

    /// Asks at once.
    pub(crate) fn ask(&mut self, now: Time) {
        self.tries = 0;
        self.due = Some(now);
    }

    /// Asks again then, unless it is asked earlier anyway.
    pub(crate) fn ask_again(&mut self, then: Time) {
        self.due = Some(self.due.map_or(then, |due| due.min(then)));
    }

    pub(crate) fn due(&self) -> Option<Time> {
        self.due
    }

    /// A request is sent now, of that number; without an answer it is sent again.
    pub(crate) fn sent(&mut self, now: Time, spread: u8) -> Number {
        self.number.count = self.number.count.saturating_add(1);
        if self.asked.len() == OUTSTANDING {
            self.asked.remove(0);
        }
        self.asked.push((self.number, now));
        let pause = (PAUSES.0 * 2_u32.saturating_pow(self.tries)).min(PAUSES.1);
        self.tries += 1;
        self.due = Some(now.after(pause + pause / 1024 * spread.into()));
        self.number
    }

    /// When the request was sent that this answers. Nothing: none that matters.
    pub(crate) fn heard(&mut self, reply: &Reply) -> Option<Time> {
        let (_, sent) = self.asked.iter().find(|(number, _)| *number == reply.number)?;
        let sent = *sent;
        // Of two answers that overtook each other, the later time.
        self.stamp = if self.epoch == reply.epoch { self.stamp.max(reply.stamp) } else { reply.stamp };
        self.epoch = reply.epoch;
        self.tries = 0;
        self.due = None;
        Some(sent)
    }

    #[cfg(test)]
    pub(crate) fn awaits(&self, number: Number) -> bool {
        self.asked.iter().any(|(asked, _)| *asked == number)
    }

    pub(crate) fn says(&self) -> Option<&Verdict> {
        self.says.as_ref()
    }

    pub(crate) fn set_says(&mut self, verdict: Verdict) {
        self.says = Some(verdict);
    }

    /// Whether it leaves requests unanswered.
    pub(crate) fn is_deaf(&self) -> bool {
        self.tries > DEAF
    }
}
