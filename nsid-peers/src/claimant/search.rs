//! Looking for a slot: which one to try, and when to leave it to another.

use std::time::Duration;

use super::{Claimant, POLL};
use crate::Time;
use crate::link::Link;
use crate::message::{Order, Place, Verdict};

/// How long a claimant tries to take a slot that it has not been refused for good.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How long it waits for the answers of other witnesses when one has refused a slot for an older claimant's sake.
pub(super) const YIELDS_AFTER: Duration = Duration::from_millis(300);

/// A lease that another still has for no longer than this is waited for.
const NEARLY_OVER: Duration = Duration::from_millis(600);

/// How long who had to yield rests: first, and at most.
const RESTS: (Duration, Duration) = (Duration::from_millis(15), Duration::from_millis(240));

/// Between two tries at a slot that another may yield.
pub(super) const AGAIN: Duration = Duration::from_millis(60);

/// How long the guide is followed that has no slot to offer while a majority has.
const GUIDED: Duration = Duration::from_secs(5);

/// A search for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Search {
    /// When it was begun.
    pub(super) since: Time,
    /// The witness whose offer is taken, if it answers; else the next.
    pub(super) guide: usize,
    /// How often a slot was tried, and not had.
    pub(super) failures: u8,
    /// What was tried is given up.
    pub(super) yields: bool,
    /// No other is tried before.
    pub(super) rests_until: Time,
}

/// A slot to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Attempt {
    pub(super) slot: u32,
    /// A witness says that the claimant has it: by an earlier process, whose name may still be said.
    pub(super) own: bool,
}

impl Search {
    pub(super) fn begin(now: Time, guide: usize) -> Self {
        Self { since: now, guide, failures: 0, yields: false, rests_until: now }
    }
}

impl Claimant {
    /// Goes on looking after an attempt that failed.
    pub(super) fn rest(&mut self, now: Time, attempt: Attempt, search: Search) {
        let guide = self.who_refuses().unwrap_or(search.guide + 1) % self.links.len();
        let rest = (RESTS.0 * 2_u32.saturating_pow(search.failures.into())).min(RESTS.1);
        let rests_until = now.after(rest + rest / 256 * self.spread(search.failures.into()).into());
        // Whose name may be said could not have been refused by a majority.
        let is_refused = |says: &Verdict| matches!(says, Verdict::Refused { .. });
        let may_yield =
            !attempt.own || now >= self.predecessor_said_until || self.saying(is_refused) >= self.majority();
        let (failures, yields) = (search.failures.saturating_add(1), search.yields || may_yield);
        self.seek(now, Search { guide, failures, yields, rests_until, ..search });
    }

    /// The slot to try, and the greatest token that a majority knows of.
    pub(super) fn next_attempt(&self, now: Time, search: Search) -> Option<(Attempt, u64)> {
        let places: Vec<(u64, Place)> = self.links.iter().filter_map(place).collect();
        if places.len() < self.needed() {
            return None;
        }
        let highest = places.iter().map(|(highest, _)| *highest).max()?;
        let own = |(_, place): &(u64, Place)| match place {
            Place::Has { slot, token } if !search.yields => Some((*token, *slot)),
            _ => None,
        };
        if let Some((_, slot)) = places.iter().filter_map(own).max() {
            return Some((Attempt { slot, own: true }, highest));
        }
        let (before, from) = self.links.split_at(search.guide);
        let in_turn = || from.iter().chain(before);
        let guide = in_turn().find(|link| match link.says() {
            Some(Verdict::Place { .. }) | None => !link.is_deaf(),
            Some(_) => false,
        })?;
        let offer = |place| match place {
            Place::Offered { slot } | Place::Has { slot, .. } => Some(Attempt { slot, own: false }),
            Place::Early { .. } | Place::Waits { .. } => None,
        };
        let attempt = offer(place(guide)?.1).or_else(|| {
            // The guide may go on offering the slot to some who reach nobody but it.
            let mut offers = in_turn().filter_map(|link| offer(place(link)?.1));
            let first = offers.next()?;
            let is_enough = now >= search.since.after(GUIDED) && 1 + offers.count() >= self.majority();
            is_enough.then_some(first)
        });
        Some((attempt?, highest))
    }

    /// After what that witness said to who tries to take a slot.
    pub(super) fn ask_for_it_again(&mut self, now: Time, witness: usize) {
        let own = self.who.order;
        let link = &mut self.links[witness];
        let pause = match link.says() {
            Some(Verdict::Refused { left, .. }) if is_nearly_over(*left) => {
                Duration::from_millis((*left).into())
            }
            Some(Verdict::Refused { by, .. }) if *by > own => AGAIN,
            Some(Verdict::Silent { .. }) => POLL,
            _ => return,
        };
        link.ask_again(now.after(pause));
    }

    /// Whether the slot is not to be had now.
    pub(super) fn has_failed(&self, now: Time, since: Time) -> bool {
        let refusals =
            |who: Order| self.saying(|says| matches!(says, Verdict::Refused { by, .. } if *by == who));
        // Of those who try to take one slot, the first in line goes on, and all others yield.
        let may_yield = |by: Order| by > self.who.order && refusals(by) < self.majority();
        let may_grant = |link: &&Link| match link.says() {
            None | Some(Verdict::Granted { .. }) => true,
            Some(Verdict::Refused { by, left }) => is_nearly_over(*left) || may_yield(*by),
            Some(_) => false,
        };
        let has_to_yield = |says: &Verdict| matches!(says, Verdict::Refused { by, left } if !is_nearly_over(*left) && *by < self.who.order);
        self.links.iter().filter(may_grant).count() < self.majority()
            || (now >= since.after(YIELDS_AFTER) && self.saying(has_to_yield) > 0)
            || now >= since.after(PATIENCE)
    }

    /// The witness that knows whose the slot is.
    fn who_refuses(&self) -> Option<usize> {
        let left = |(index, link): (usize, &Link)| match link.says() {
            Some(Verdict::Refused { left, .. }) => Some((*left, index)),
            _ => None,
        };
        self.links.iter().enumerate().filter_map(left).max().map(|(_, index)| index)
    }

    pub(super) fn too_low(&self) -> Option<u64> {
        let highest = |link: &Link| match link.says() {
            Some(Verdict::TooLow { highest }) => Some(*highest),
            _ => None,
        };
        self.links.iter().filter_map(highest).max()
    }
}

pub(super) fn place(link: &Link) -> Option<(u64, Place)> {
    match link.says() {
        Some(Verdict::Place { highest, place }) => Some((*highest, *place)),
        _ => None,
    }
}

fn is_nearly_over(left: u32) -> bool {
    Duration::from_millis(left.into()) <= NEARLY_OVER
}
