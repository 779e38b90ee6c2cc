//! A claimant: it asks all witnesses for its place, tries to take the slot that one of them offers, has it once a majority
//! grants it, and asks for more time until it gives it back.
//!
//! Whoever drives it tells it what to do ([`claim`](Claimant::claim), [`renew`](Claimant::renew),
//! [`resume`](Claimant::resume), [`release`](Claimant::release)), hands in messages and the time, sends what is in the
//! outbox, and looks at its [`state`](Claimant::state).
//!
//! **Invariant:** what is held is counted by no later time than when those requests were sent that a majority granted.

use std::sync::Arc;
use std::time::Duration;

use crate::link::{Counted, Link};
use crate::message::{Message, Order, Outgoing, Place, Reply, Request, Verdict, Who, Wish};
use crate::state::{End, Hold, Problem, State, Waits};
use crate::{List, Rules, Time};

/// Between two requests of who is in line.
const POLL: Duration = Duration::from_secs(1);

/// How long a claimant tries to take a slot that it has not been refused for good.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it waits for the answers of other witnesses when one has refused a slot for an older claimant's sake.
const YIELDS_AFTER: Duration = Duration::from_millis(300);

/// A lease that another still has for no longer than this is waited for.
const NEARLY_OVER: Duration = Duration::from_millis(600);

/// How long who had to yield rests: first, and at most.
const RESTS: (Duration, Duration) = (Duration::from_millis(15), Duration::from_millis(240));

/// Between two tries at a slot that another may yield.
const AGAIN: Duration = Duration::from_millis(60);

/// What a claimant is started with.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The witnesses.
    pub list: List,
    /// Who claims.
    pub who: Who,
    /// What the pool's claimants are given alike.
    pub terms: Arc<str>,
    /// For how long it asks at a time.
    pub lease: Duration,
    /// How many claimants it expects to be there before slots are given out.
    pub expected: u32,
    /// How long it expects them.
    pub patience: Duration,
    /// Until when a name may be said that an earlier process of the claimant had: until then, what that one has may not be
    /// given up.
    pub said_until: Time,
    /// Its requests' numbers are greater. To be greater than those of all earlier processes of the claimant: nanoseconds
    /// since its host was started.
    pub number: u64,
}

/// One claimant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claimant {
    rules: Rules,
    list: List,
    who: Who,
    terms: Arc<str>,
    lease: Duration,
    expected: u32,
    patience: Duration,
    said_until: Time,
    /// The greatest token that it had or tried to have.
    token: u64,
    links: Vec<Link>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Idle,
    Seeking(Search),
    Taking { attempt: Attempt, token: u64, since: Time, search: Search },
    Holding { slot: u32, token: u64, round: Time },
    Ended(End),
    Releasing,
}

/// A search for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Search {
    /// When it was begun.
    since: Time,
    /// The witness whose offer is taken, if it answers; else the next.
    guide: usize,
    /// How often a slot was tried, and not had.
    failures: u8,
    /// What was tried is given up.
    yields: bool,
    /// No other is tried before.
    rests_until: Time,
}

/// A slot to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Attempt {
    slot: u32,
    /// A witness says that the claimant has it: by an earlier process, whose name may still be said.
    own: bool,
}

impl Search {
    fn begin(now: Time, guide: usize) -> Self {
        Self { since: now, guide, failures: 0, yields: false, rests_until: now }
    }
}

impl Claimant {
    /// One that wants nothing yet.
    pub fn new(rules: Rules, claim: Claim) -> Self {
        let Claim { list, who, terms, lease, expected, patience, said_until, number } = claim;
        let links = vec![Link::new(number); list.witnesses().len()];
        Self {
            rules,
            list,
            who,
            terms,
            lease,
            expected,
            patience,
            said_until,
            token: 0,
            links,
            phase: Phase::Idle,
        }
    }

    /// Begins to look for a slot, whatever was before.
    pub fn claim(&mut self, now: Time) {
        self.seek(now, Search::begin(now, 0));
    }

    /// Asks for more time for what is held.
    pub fn renew(&mut self, now: Time) {
        if let Phase::Holding { round, .. } = &mut self.phase {
            *round = now;
            for link in &mut self.links {
                link.begin_round(now);
            }
        }
    }

    /// Goes on with what an earlier process of this claimant had.
    pub fn resume(&mut self, now: Time, slot: u32, token: u64) {
        self.token = self.token.max(token);
        for link in &mut self.links {
            link.counted = None;
        }
        self.begin(now, Phase::Holding { slot, token, round: now });
    }

    /// Gives back whatever it has, or may have. Who never wanted anything stays idle.
    pub fn release(&mut self, now: Time) {
        if self.phase != Phase::Idle {
            self.begin(now, Phase::Releasing);
        }
    }

    /// Sends what is due.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Outgoing>) {
        self.look(now);
        if matches!(self.phase, Phase::Idle | Phase::Ended(_)) {
            return;
        }
        for index in 0..self.links.len() {
            if self.links[index].due().is_some_and(|due| due <= now) {
                let request = self.request(now, index);
                out.push(Outgoing { to: self.list.witnesses()[index], message: Message::Request(request) });
            }
        }
    }

    /// When it has something to do without being told, after `now`.
    pub fn wake(&self, now: Time) -> Option<Time> {
        if matches!(self.phase, Phase::Idle | Phase::Ended(_)) {
            return None;
        }
        let due = self.links.iter().filter_map(Link::due);
        let own = match self.phase {
            Phase::Taking { since, .. } => [Some(since.after(YIELDS_AFTER)), Some(since.after(PATIENCE))],
            Phase::Holding { .. } => [self.said_until(), None],
            Phase::Seeking(search) => [Some(search.rests_until), None],
            _ => [None, None],
        };
        due.chain(own.into_iter().flatten()).filter(|wake| *wake > now).min()
    }

    /// Takes in what the witness of that place in the list says.
    pub fn receive(&mut self, now: Time, witness: usize, reply: &Reply) {
        if reply.to != self.who.order.nonce {
            return;
        }
        let Some(link) = self.links.get_mut(witness) else { return };
        let Some(sent) = link.heard(reply) else { return };
        match &reply.verdict {
            Verdict::Again => {
                link.ask(now);
                return;
            }
            Verdict::Granted { lease } => {
                let lease = self.lease.min(Duration::from_millis((*lease).into()));
                let counted = Counted { from: self.rules.counted_from(sent, now), lease };
                let is_later = |before: &Counted| before.from < counted.from;
                if link.counted.as_ref().is_none_or(is_later) {
                    link.counted = Some(counted);
                }
            }
            _ => {}
        }
        link.set_says(reply.verdict.clone());
        match self.phase {
            Phase::Seeking(_) => {
                let pause = match reply.verdict {
                    Verdict::Silent { left } => POLL.min(Duration::from_millis(left.into()) + AGAIN),
                    _ => POLL,
                };
                let spread = self.spread(reply.number);
                self.links[witness].ask_again(now.after(pause + pause / 1024 * spread.into()));
            }
            Phase::Taking { .. } => self.ask_for_it_again(now, witness),
            // The answer to this round is still to come.
            Phase::Holding { round, .. } if sent < round => self.links[witness].ask_again(now),
            Phase::Holding { .. } | Phase::Idle | Phase::Ended(_) | Phase::Releasing => {}
        }
        self.look(now);
    }

    /// Where it is.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Idle => State::Idle,
            Phase::Seeking(_) => State::Seeking(self.waits_for()),
            Phase::Taking { .. } => State::Seeking(Waits::Grants),
            Phase::Holding { slot, token, .. } => match self.held() {
                Some(counted) => State::Held(Hold { slot, token, counted }),
                None => State::Resuming,
            },
            Phase::Ended(end) => State::Ended(end),
            Phase::Releasing if self.saying(has_nothing) >= self.majority() => State::Released,
            Phase::Releasing => State::Releasing,
        }
    }

    /// The lease that a majority has granted.
    fn held(&self) -> Option<Counted> {
        let mut counted: Vec<Counted> = self.links.iter().filter_map(|link| link.counted).collect();
        counted.sort_by_key(|counted| self.end_of(*counted));
        let at = counted.len().checked_sub(self.needed())?;
        counted.get(at).copied().or(match self.phase {
            // Where no grant is needed: in a broken rule.
            Phase::Holding { round, .. } => Some(Counted { from: round, lease: self.lease }),
            _ => None,
        })
    }

    fn said_until(&self) -> Option<Time> {
        self.held().map(|counted| self.end_of(counted))
    }

    fn end_of(&self, counted: Counted) -> Time {
        counted.from.after(self.rules.relied_on(counted.lease))
    }

    fn needed(&self) -> usize {
        self.rules.needed(self.links.len())
    }

    fn begin(&mut self, now: Time, phase: Phase) {
        self.phase = phase;
        for link in &mut self.links {
            link.begin(now);
        }
    }

    fn seek(&mut self, now: Time, search: Search) {
        for link in &mut self.links {
            link.counted = None;
        }
        self.begin(now, Phase::Seeking(search));
    }

    /// Goes on, if there is enough to go on.
    fn look(&mut self, now: Time) {
        match self.phase {
            Phase::Seeking(search) if now < search.rests_until => {}
            Phase::Seeking(search) => {
                if let Some((attempt, highest)) = self.next_attempt(search) {
                    self.take(now, attempt, highest, search);
                }
            }
            Phase::Taking { attempt, token, since, search } => {
                let counted = self.links.iter().filter(|link| link.counted.is_some()).count();
                if counted >= self.needed() {
                    self.phase = Phase::Holding { slot: attempt.slot, token, round: since };
                    self.look(now);
                } else if let Some(highest) = self.too_low() {
                    self.take(now, attempt, highest, search);
                } else if self.has_failed(now, since) {
                    self.rest(now, attempt, search);
                }
            }
            Phase::Holding { .. } => {
                let is_gone = |says: &Verdict| matches!(says, Verdict::Gone | Verdict::Refused { .. });
                if self.said_until().is_some_and(|until| until <= now) {
                    self.phase = Phase::Ended(End::Lapsed);
                } else if self.saying(is_gone) >= self.majority() {
                    self.phase = Phase::Ended(End::Lost);
                }
            }
            Phase::Idle | Phase::Ended(_) | Phase::Releasing => {}
        }
    }

    /// Goes on looking after an attempt that failed.
    fn rest(&mut self, now: Time, attempt: Attempt, search: Search) {
        let guide = self.who_refuses().unwrap_or(search.guide + 1) % self.links.len();
        let rest = (RESTS.0 * 2_u32.saturating_pow(search.failures.into())).min(RESTS.1);
        let rests_until = now.after(rest + rest / 256 * self.spread(search.failures.into()).into());
        // Whose name may be said could not have been refused by a majority.
        let is_refused = |says: &Verdict| matches!(says, Verdict::Refused { .. });
        let may_yield = !attempt.own || now >= self.said_until || self.saying(is_refused) >= self.majority();
        let (failures, yields) = (search.failures.saturating_add(1), search.yields || may_yield);
        self.seek(now, Search { guide, failures, yields, rests_until, ..search });
    }

    /// Tries to take the slot, under a token that is greater than the greatest that was heard of.
    fn take(&mut self, now: Time, attempt: Attempt, highest: u64, search: Search) {
        self.token = self.token.max(highest).saturating_add(1);
        for link in &mut self.links {
            link.counted = None;
        }
        self.begin(now, Phase::Taking { attempt, token: self.token, since: now, search });
        self.look(now);
    }

    /// The slot to try, and the greatest token that a majority knows of.
    fn next_attempt(&self, search: Search) -> Option<(Attempt, u64)> {
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
        let guide = from.iter().chain(before).find(|link| match link.says() {
            Some(Verdict::Place { .. }) | None => !link.is_deaf(),
            Some(_) => false,
        })?;
        match place(guide)?.1 {
            Place::Offered { slot } | Place::Has { slot, .. } => {
                Some((Attempt { slot, own: false }, highest))
            }
            Place::Early { .. } | Place::Waits { .. } => None,
        }
    }

    /// After what that witness said to who tries to take a slot.
    fn ask_for_it_again(&mut self, now: Time, witness: usize) {
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
    fn has_failed(&self, now: Time, since: Time) -> bool {
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

    fn too_low(&self) -> Option<u64> {
        let highest = |link: &Link| match link.says() {
            Some(Verdict::TooLow { highest }) => Some(*highest),
            _ => None,
        };
        self.links.iter().filter_map(highest).max()
    }

    fn waits_for(&self) -> Waits {
        let witness = |index: usize| self.list.witnesses()[index];
        let problem = |(index, link): (usize, &Link)| match link.says()? {
            Verdict::OtherList(list) => {
                Some(Problem::OtherList { witness: witness(index), list: list.clone() })
            }
            Verdict::OtherTerms(terms) => {
                Some(Problem::OtherTerms { witness: witness(index), terms: Arc::clone(terms) })
            }
            Verdict::Full => Some(Problem::Full { witness: witness(index) }),
            _ => None,
        };
        let places: Vec<Place> = self.links.iter().filter_map(place).map(|(_, place)| place).collect();
        if places.len() >= self.majority() {
            return match places.into_iter().min_by_key(|place| matches!(place, Place::Early { .. })) {
                Some(Place::Early { seen }) => Waits::Claimants(seen),
                Some(Place::Waits { before }) => Waits::Slot(before),
                Some(Place::Has { .. } | Place::Offered { .. }) | None => Waits::Grants,
            };
        }
        if let Some(problem) = self.links.iter().enumerate().find_map(problem) {
            return Waits::Problem(problem);
        }
        let silent = |link: &Link| match link.says() {
            Some(Verdict::Silent { left }) => Some(Duration::from_millis((*left).into())),
            _ => None,
        };
        match self.links.iter().filter_map(silent).max() {
            Some(left) if self.saying(|_| true) >= self.majority() => Waits::Silence(left),
            _ => {
                let deaf = |(index, link): (usize, &Link)| {
                    (link.says().is_none() || link.is_deaf()).then(|| witness(index))
                };
                Waits::Answers(self.links.iter().enumerate().filter_map(deaf).collect())
            }
        }
    }

    fn request(&mut self, now: Time, index: usize) -> Request {
        let wish = match self.phase {
            Phase::Taking { attempt, token, .. } => Wish::Take { slot: attempt.slot, token },
            Phase::Holding { slot, token, .. } => Wish::Keep { slot, token, unbroken: self.held().is_some() },
            Phase::Seeking(Search { since, yields, .. }) => {
                let expected = if now.since(since) < self.patience { self.expected } else { 0 };
                Wish::Seek { expected, yields }
            }
            Phase::Releasing | Phase::Idle | Phase::Ended(_) => Wish::Release { token: self.token },
        };
        let spread = self.spread(self.links[index].number());
        let link = &mut self.links[index];
        let number = link.sent(now, spread);
        Request {
            list: self.list.clone(),
            epoch: link.epoch,
            stamp: link.stamp,
            number,
            who: self.who.clone(),
            terms: Arc::clone(&self.terms),
            lease: self.lease.as_millis().try_into().unwrap_or(u32::MAX),
            wish,
        }
    }

    fn saying(&self, what: impl Fn(&Verdict) -> bool) -> usize {
        self.links.iter().filter(|link| link.says().is_some_and(&what)).count()
    }

    fn majority(&self) -> usize {
        self.links.len() / 2 + 1
    }

    /// As good as drawn by chance, so that those who were refused together do not try again together.
    fn spread(&self, time: u64) -> u8 {
        let own = u64::from_le_bytes(self.who.order.nonce.0[..8].try_into().unwrap_or_default());
        // The constant is that of Fibonacci hashing.
        ((own ^ time).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
    }
}

#[cfg(test)]
impl Claimant {
    /// As [`claim`](Claimant::claim), and follows that witness.
    pub(crate) fn claim_by(&mut self, now: Time, guide: usize) {
        self.seek(now, Search::begin(now, guide));
    }

    /// Sends what is due to that witness.
    pub(crate) fn tick_only(&mut self, now: Time, witness: usize, out: &mut Vec<Outgoing>) {
        let first = out.len();
        let before = self.links.clone();
        self.tick(now, out);
        let to = self.list.witnesses()[witness];
        let kept: Vec<_> = out.drain(first..).filter(|outgoing| outgoing.to == to).collect();
        out.extend(kept);
        for (index, link) in before.into_iter().enumerate().filter(|(index, _)| *index != witness) {
            self.links[index] = link;
        }
    }

    /// Whether an answer to that request would matter.
    pub(crate) fn awaits(&self, witness: usize, number: u64) -> bool {
        self.links[witness].awaits(number)
    }
}

fn place(link: &Link) -> Option<(u64, Place)> {
    match link.says() {
        Some(Verdict::Place { highest, place }) => Some((*highest, *place)),
        _ => None,
    }
}

fn is_nearly_over(left: u32) -> bool {
    Duration::from_millis(left.into()) <= NEARLY_OVER
}

fn has_nothing(says: &Verdict) -> bool {
    matches!(says, Verdict::Released | Verdict::OtherList(_) | Verdict::OtherTerms(_) | Verdict::Full)
}
