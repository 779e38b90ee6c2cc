//! A claimant: it asks all witnesses for its place, tries to take the slot that one of them offers, has it once a majority
//! grants it, and asks for more time until it gives it back.
//!
//! Whoever drives it tells it what to do ([`claim`](Claimant::claim), [`renew`](Claimant::renew),
//! [`resume`](Claimant::resume), [`release`](Claimant::release)), hands in messages and the time, sends what is in the
//! outbox, and looks at its [`state`](Claimant::state). After anything that it was told or given, it is to
//! [`tick`](Claimant::tick).
//!
//! **Invariant:** what is held is counted by no later time than when those requests were sent that a majority granted.

#[cfg(test)]
mod for_tests;
mod search;
#[cfg(test)]
mod tests;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use self::search::{AGAIN, Attempt, PATIENCE, Search, YIELDS_AFTER};
use crate::link::{Counted, Link};
use crate::message::{Message, Outgoing, Reply, Request, Verdict, Who, Wish};
use crate::state::{End, Hold, State, Waits};
use crate::{List, Rules, Time};

/// Between two requests of who is in line.
const POLL: Duration = Duration::from_secs(1);

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
    pub predecessor_said_until: Time,
    /// Greater than those of all earlier processes of the claimant: nanoseconds since its host was started.
    pub process: u64,
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
    predecessor_said_until: Time,
    /// The greatest token that it had or tried to have.
    token: u64,
    /// The slot that it had last.
    had: Option<u32>,
    links: Vec<Link>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Idle,
    Seeking(Search),
    Taking {
        attempt: Attempt,
        token: u64,
        since: Time,
        search: Search,
    },
    Holding {
        slot: u32,
        token: u64,
        round: Time,
        /// Until then it is held by what an earlier process was granted.
        inherited_until: Time,
    },
    Ended(End),
    Releasing,
}

impl Claimant {
    /// One that wants nothing yet.
    pub fn new(rules: Rules, claim: Claim) -> Self {
        let Claim { list, who, terms, lease, expected, patience, predecessor_said_until, process } = claim;
        let links = vec![Link::new(process); list.witnesses().len()];
        Self {
            rules,
            list,
            who,
            terms,
            lease,
            expected,
            patience,
            predecessor_said_until,
            token: 0,
            had: None,
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

    /// Goes on with what an earlier process of this claimant had, and held until that time by what it was granted. Told so
    /// again, it asks again: what was granted counts.
    pub fn resume(&mut self, now: Time, (slot, token): (u32, u64), inherited_until: Time) {
        if matches!(self.phase, Phase::Holding { slot: own, token: under, .. } if (own, under) == (slot, token))
        {
            return self.renew(now);
        }
        self.token = self.token.max(token);
        self.had = Some(slot);
        for link in &mut self.links {
            link.counted = None;
        }
        self.begin(now, Phase::Holding { slot, token, round: now, inherited_until });
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
        let rests = self.is_renewed();
        for index in 0..self.links.len() {
            let link = &self.links[index];
            // Who has what it asked for does not go on asking one that is dead, until it wants more.
            if link.due().is_some_and(|due| due <= now) && !(rests && link.is_deaf()) {
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
            Phase::Holding { .. } => [self.relied_until(), None],
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
                let spread = self.spread(reply.number.count);
                self.links[witness].ask_again(now.after(pause + pause / 1024 * spread.into()));
            }
            Phase::Taking { .. } => self.ask_for_it_again(now, witness),
            // The answer to this round is still to come.
            Phase::Holding { round, .. } if sent < round => self.links[witness].ask_again(now),
            // Another one tried to take it there, and yields.
            Phase::Holding { .. } if matches!(reply.verdict, Verdict::Refused { .. }) => {
                self.links[witness].ask_again(now.after(POLL));
            }
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

    /// Whether a majority has granted what was asked for last.
    fn is_renewed(&self) -> bool {
        match self.phase {
            Phase::Holding { round, .. } => self.held().is_some_and(|held| held.from >= round),
            _ => false,
        }
    }

    fn relied_until(&self) -> Option<Time> {
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
                if let Some((attempt, highest)) = self.next_attempt(now, search) {
                    self.take(now, attempt, highest, search);
                }
            }
            Phase::Taking { attempt, token, since, search } => {
                let counted = self.links.iter().filter(|link| link.counted.is_some()).count();
                if counted >= self.needed() {
                    self.had = Some(attempt.slot);
                    let inherited_until = Time::default();
                    self.phase = Phase::Holding { slot: attempt.slot, token, round: since, inherited_until };
                    self.look(now);
                } else if let Some(highest) = self.too_low() {
                    self.take(now, attempt, highest, search);
                } else if self.has_failed(now, since) {
                    self.rest(now, attempt, search);
                }
            }
            Phase::Holding { .. } => {
                let is_gone = |says: &Verdict| matches!(says, Verdict::Gone | Verdict::Refused { .. });
                if self.relied_until().is_some_and(|until| until <= now) {
                    self.phase = Phase::Ended(End::Lapsed);
                } else if self.saying(is_gone) >= self.majority() {
                    self.phase = Phase::Ended(End::Lost);
                }
            }
            Phase::Idle | Phase::Ended(_) | Phase::Releasing => {}
        }
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

    fn request(&mut self, now: Time, index: usize) -> Request {
        let wish = match self.phase {
            Phase::Taking { attempt, token, .. } => Wish::Take { slot: attempt.slot, token },
            Phase::Holding { slot, token, inherited_until, .. } => {
                Wish::Keep { slot, token, unbroken: self.held().is_some() || now < inherited_until }
            }
            Phase::Seeking(Search { since, yields, .. }) => {
                let expected = if now.since(since) < self.patience { self.expected } else { 0 };
                Wish::Seek { expected, yields, had: self.had }
            }
            Phase::Releasing | Phase::Idle | Phase::Ended(_) => Wish::Release { token: self.token },
        };
        let spread = self.spread(self.links[index].count());
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
    fn spread(&self, time: u32) -> u8 {
        let own = u64::from_le_bytes(self.who.order.nonce.0[..8].try_into().unwrap_or_default());
        // The constant is that of Fibonacci hashing.
        ((own ^ u64::from(time)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
    }
}

fn has_nothing(says: &Verdict) -> bool {
    matches!(says, Verdict::Released | Verdict::OtherList(_) | Verdict::OtherTerms(_) | Verdict::Full)
}
