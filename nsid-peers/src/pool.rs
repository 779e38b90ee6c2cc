//! One pool at one witness: it grants slots for a time, each to one claimant, and forgets everything with its process.
//!
//! **Invariant:** a slot that was granted is granted to no other claimant for as long as the lease is
//! [kept](Rules::kept), from when the request was there, unless its claimant yields it or gives it back.
//!
//! **Invariant:** of a claimant it knows one lease at most, and what it wanted last: an earlier request that comes later
//! changes nothing.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::line::{At, Heard, Line};
use crate::message::{
    Ask, Entry, Epoch, Id, MAX_ENTRIES, Message, Number, Outgoing, Page, Reply, Request, Verdict, Wish,
};
use crate::slots::{End, Lease, Slots};
use crate::standing::Speech;
use crate::{List, Rules, Time};

/// What a pool is started with.
#[derive(Clone, Debug)]
pub(crate) struct Beginning {
    /// Its list.
    pub(crate) list: List,
    /// Its incarnation.
    pub(crate) epoch: Epoch,
    /// The longest lease that it grants.
    pub(crate) lease: Duration,
    /// What the pool's claimants are given alike.
    pub(crate) terms: Arc<str>,
    /// How many slots the pool has.
    pub(crate) limit: u32,
    /// Below all tokens that it will give out.
    pub(crate) highest: u64,
}

/// One pool at one witness.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pool {
    rules: Rules,
    list: List,
    epoch: Epoch,
    lease: Duration,
    terms: Arc<str>,
    /// The greatest token that it knows of.
    highest: u64,
    slots: Slots,
    line: Line,
    /// Before then there is nothing to forget.
    sweep: Time,
}

impl Pool {
    /// One that knows nothing yet.
    pub(crate) fn new(rules: Rules, beginning: Beginning) -> Self {
        let Beginning { list, epoch, lease, terms, limit, highest } = beginning;
        let (slots, line) = (Slots::new(limit, highest), Line::default());
        Self { rules, list, epoch, lease, terms, highest, slots, line, sweep: Time::default() }
    }

    /// Answers a request that was there at `now`, and tells those whose turn has come by it.
    pub(crate) fn receive(
        &mut self,
        now: Time,
        from: SocketAddr,
        request: &Request,
        speech: Speech,
        out: &mut Vec<Outgoing>,
    ) {
        self.tick(now, speech, out);
        let to = request.who.order.nonce;
        let Some(verdict) = self.judge(now, from, request, speech) else { return };
        let turn = self.whose_turn_it_is(now, speech);
        let verdict = match verdict {
            Verdict::Place { .. } => self.place(to),
            other => other,
        };
        out.push(self.reply(now, to, from, request.number, verdict));
        self.tell(now, turn.into_iter().filter(|nonce| *nonce != to), out);
    }

    /// Lets what is over be over, and tells those whose turn has come by it.
    pub(crate) fn tick(&mut self, now: Time, speech: Speech, out: &mut Vec<Outgoing>) {
        if now < self.sweep {
            return;
        }
        for (slot, nonce) in self.slots.expired(now) {
            self.slots.end(slot, End::Expired);
            self.line.put(nonce, At::Nowhere, &mut self.slots);
        }
        // As long as a request counts, so that none counts twice.
        let memory = self.valid();
        self.line.forget(now, memory, &mut self.slots);
        let expiry = self.slots.leases(0).map(|(_, lease)| lease.until).min();
        self.sweep = [expiry, self.line.forgets(memory)].into_iter().flatten().min().unwrap_or(END);
        let turn = self.whose_turn_it_is(now, speech);
        self.tell(now, turn, out);
    }

    /// Whether it knows of nobody, and what it might have to remember is over.
    pub(crate) fn is_idle(&self) -> bool {
        self.line.is_empty() && self.slots.leases(0).next().is_none()
    }

    /// The greatest token that it knows of.
    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    /// What the pool's claimants are given alike.
    pub(crate) fn terms(&self) -> &Arc<str> {
        &self.terms
    }

    /// When it has something to do without being asked.
    pub(crate) fn wake(&self) -> Time {
        self.sweep
    }

    /// Tells who has which slot.
    pub(crate) fn page(&self, now: Time, ask: &Ask) -> Page {
        let entry = |(slot, lease): (u32, &Lease)| Entry {
            slot,
            token: lease.token,
            who: lease.who.clone(),
            lease: millis(lease.length),
            age: now.since(lease.since).as_millis().try_into().unwrap_or(u64::MAX),
        };
        let mut leases = self.slots.leases(ask.from).map(entry);
        let entries: Vec<_> = leases.by_ref().take(MAX_ENTRIES).collect();
        Page {
            number: ask.number,
            list: self.list.clone(),
            terms: Arc::clone(&self.terms),
            entries,
            next: leases.next().map(|entry| entry.slot),
            waiting: self.line.without_a_slot().try_into().unwrap_or(u32::MAX),
        }
    }

    /// Whether a request of that number would change nothing.
    #[cfg(test)]
    pub(crate) fn heard_later(&self, nonce: Id, number: Number) -> bool {
        self.line.known(nonce).is_some_and(|known| known.number >= number)
    }

    /// Nothing: that request of the claimant was there before, or a later one.
    fn judge(&mut self, now: Time, from: SocketAddr, request: &Request, speech: Speech) -> Option<Verdict> {
        if request.list != self.list {
            return Some(Verdict::OtherList(self.list.clone()));
        }
        if request.epoch != self.epoch || request.stamp > now || now.since(request.stamp) >= self.valid() {
            return Some(Verdict::Again);
        }
        if request.terms != self.terms {
            return Some(Verdict::OtherTerms(Arc::clone(&self.terms)));
        }
        match self.line.hear(&request.who, from, request.number, now) {
            Heard::InTime => {}
            Heard::Late => return None,
            Heard::OfEarlierProcess if matches!(request.wish, Wish::Release { .. }) => {
                return Some(Verdict::Released);
            }
            Heard::OfEarlierProcess => return Some(Verdict::Gone),
            Heard::TooMany => return Some(Verdict::Full),
        }
        self.sweep = self.sweep.min(now.after(FIRST_SWEEP));
        Some(match request.wish {
            Wish::Seek { expected, yields, had } => {
                if let Some(slot) = had {
                    self.slots.recall(request.who.order.node, slot);
                }
                self.seek(now, request, expected, yields, speech)
            }
            Wish::Take { slot, token } => self.take(now, request, slot, token, speech),
            Wish::Keep { slot, token, unbroken } => self.keep(now, request, (slot, token), unbroken, speech),
            Wish::Release { token } => self.release(request.who.order.nonce, token),
        })
    }

    fn seek(&mut self, now: Time, request: &Request, expected: u32, yields: bool, speech: Speech) -> Verdict {
        let nonce = request.who.order.nonce;
        match self.line.at(nonce) {
            At::Holds(slot) if yields => {
                self.slots.end(slot, End::Yielded);
                self.line.wait(nonce, expected, &mut self.slots);
            }
            At::Holds(_) => {}
            At::Offered(slot, _) if self.slots.lease(slot).is_none() => self.line.stand_by(nonce, now),
            At::Offered(..) | At::InLine | At::Nowhere => self.line.wait(nonce, expected, &mut self.slots),
        }
        match speech {
            Speech::Speaks => self.place(nonce),
            Speech::Silent { left } => Verdict::Silent { left: millis(left) },
        }
    }

    fn take(&mut self, now: Time, request: &Request, slot: u32, token: u64, speech: Speech) -> Verdict {
        let nonce = request.who.order.nonce;
        if let Speech::Silent { left } = speech {
            return Verdict::Silent { left: millis(left) };
        }
        if slot >= self.slots.limit() {
            return Verdict::OtherTerms(Arc::clone(&self.terms));
        }
        match self.slots.lease(slot) {
            Some(lease) if lease.who.order.nonce != nonce => {
                let refused = refused(lease, now);
                self.leave(nonce);
                return refused;
            }
            // By a later process of this claimant.
            Some(lease) if lease.token > token => return Verdict::Gone,
            Some(lease) if lease.token == token => {}
            Some(_) | None if self.slots.may_have_had(slot, token) => {
                return Verdict::TooLow { highest: self.highest };
            }
            Some(_) | None => self.leave(nonce),
        }
        self.grant(now, request, slot, token)
    }

    fn keep(
        &mut self,
        now: Time,
        request: &Request,
        (slot, token): (u32, u64),
        unbroken: bool,
        speech: Speech,
    ) -> Verdict {
        let nonce = request.who.order.nonce;
        match self.slots.lease(slot) {
            Some(lease) if lease.who.order.nonce != nonce => return refused(lease, now),
            Some(lease) if lease.token != token => return Verdict::Gone,
            Some(_) => {}
            None if !unbroken && matches!(speech, Speech::Silent { .. }) => {}
            None if !unbroken || slot >= self.slots.limit() => return Verdict::Gone,
            None if self.slots.was_given_back(slot, nonce, token) => return Verdict::Gone,
            None => match self.line.at(nonce) {
                // Of a later process of this claimant.
                At::Holds(other) if self.slots.lease(other).is_some_and(|lease| lease.token > token) => {
                    return Verdict::Gone;
                }
                At::Holds(_) | At::Offered(..) | At::InLine | At::Nowhere => self.leave(nonce),
            },
        }
        let is_known = unbroken || self.slots.lease(slot).is_some();
        // What is kept from others while the witness is silent is kept from them afterwards.
        let granted = if is_known { Some(self.grant(now, request, slot, token)) } else { None };
        match (speech, granted) {
            (Speech::Speaks, Some(granted)) => granted,
            (Speech::Speaks, None) => Verdict::Gone,
            (Speech::Silent { left }, _) => Verdict::Silent { left: millis(left) },
        }
    }

    fn release(&mut self, nonce: Id, token: u64) -> Verdict {
        if let At::Holds(slot) = self.line.at(nonce) {
            if self.slots.lease(slot).is_some_and(|lease| lease.token > token) {
                // By a later process of this claimant.
                return Verdict::Released;
            }
            self.slots.end(slot, End::Released);
        }
        self.line.put(nonce, At::Nowhere, &mut self.slots);
        Verdict::Released
    }

    /// Makes the slot the claimant's, or gives it more time.
    fn grant(&mut self, now: Time, request: &Request, slot: u32, token: u64) -> Verdict {
        let length = Duration::from_millis(request.lease.into()).min(self.lease);
        self.highest = self.highest.max(token);
        match self.slots.lease(slot) {
            Some(lease) if lease.token == token => {
                self.slots.extend(slot, length, now.after(self.rules.kept(length)));
            }
            Some(_) | None => {
                let lease = Lease::new(self.rules, request.who.clone(), token, length, now);
                self.sweep = self.sweep.min(lease.until);
                self.slots.grant(slot, lease);
                self.line.put(request.who.order.nonce, At::Holds(slot), &mut self.slots);
            }
        }
        Verdict::Granted { lease: millis(length) }
    }

    /// Has the claimant want nothing for now: whatever it had or was offered is another's to take.
    fn leave(&mut self, nonce: Id) {
        if let At::Holds(slot) = self.line.at(nonce) {
            self.slots.end(slot, End::Yielded);
        }
        self.line.put(nonce, At::Nowhere, &mut self.slots);
    }

    fn place(&self, nonce: Id) -> Verdict {
        Verdict::Place { highest: self.highest, place: self.line.place(nonce, &self.slots) }
    }

    fn whose_turn_it_is(&mut self, now: Time, speech: Speech) -> Vec<Id> {
        match speech {
            Speech::Speaks => self.line.offer(&mut self.slots, now),
            Speech::Silent { .. } => Vec::new(),
        }
    }

    /// Answers the last request of each of them again.
    fn tell(&self, now: Time, turn: impl IntoIterator<Item = Id>, out: &mut Vec<Outgoing>) {
        for nonce in turn {
            if let Some(known) = self.line.known(nonce) {
                out.push(self.reply(now, nonce, known.address, known.number, self.place(nonce)));
            }
        }
    }

    fn reply(&self, now: Time, nonce: Id, to: SocketAddr, number: Number, verdict: Verdict) -> Outgoing {
        let reply = Reply { to: nonce, epoch: self.epoch, stamp: now, number, verdict };
        Outgoing { to, message: Message::Reply(reply) }
    }

    /// How old a witness's time may be in a request that counts. A holder's is a fraction of a lease old.
    fn valid(&self) -> Duration {
        self.rules.kept(self.lease)
    }
}

/// The end of time.
const END: Time = Time::from_nanos(u64::MAX);

/// Offers, the first to be over, are not over before.
const FIRST_SWEEP: Duration = Duration::from_secs(1);

fn refused(lease: &Lease, now: Time) -> Verdict {
    Verdict::Refused { by: lease.who.order, left: millis(lease.until.since(now)).saturating_add(1) }
}

fn millis(time: Duration) -> u32 {
    time.as_millis().try_into().unwrap_or(u32::MAX)
}
