//! A witness: where it stands among those of its list, and the pools that are claimed from at it.
//!
//! **Invariant:** it grants nothing before the next one at its address could know that it was there: what says so has been
//! [left](Witness::leaves) on its host.

#[cfg(test)]
pub(crate) mod for_tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::list::TooMany;
use crate::message::{Ask, Epoch, Message, Outgoing, Page, Reply, Request, Verdict};
use crate::pool::{self, Pool};
use crate::standing::{Record, Speech, Standing};
use crate::{List, Rules, Time};

/// How many pools a witness keeps at a time.
const POOLS: usize = 64;

/// How long a claimant is told to wait while what has to be left on the host is not.
const UNRECORDED: Duration = Duration::from_secs(1);

/// What a pool's claimants are given alike, which is only compared here.
pub trait Terms {
    /// What tells the pool from all others, and how many slots it has. Nothing: they are none, or of another format.
    fn read(terms: &str) -> Option<(String, u32)>;

    /// Whether the pools of these could give one name twice.
    fn collide(terms: &str, others: &str) -> bool;
}

/// What a witness is started with.
#[derive(Clone, Debug)]
pub struct Beginning<'a> {
    /// Its list.
    pub list: List,
    /// Which of the list it is.
    pub address: SocketAddr,
    /// Its incarnation.
    pub epoch: Epoch,
    /// The longest lease that it grants.
    pub lease: Duration,
    /// Below all tokens that it will give out: microseconds since 1970 by the wall clock. No earlier incarnation can have
    /// given out as many tokens since then, unless the clock was set back; then tokens may come again, names may not.
    pub highest: u64,
    /// What an earlier one left on this host.
    pub record: Option<&'a Record>,
}

/// One witness.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Witness {
    rules: Rules,
    list: List,
    epoch: Epoch,
    /// The longest lease that it grants.
    lease: Duration,
    /// No less than the greatest token of any pool that was forgotten.
    highest: u64,
    standing: Standing,
    has_left_record: bool,
    /// By what tells each from the others.
    pools: BTreeMap<String, Pool>,
}

impl Witness {
    /// One that grants nothing yet.
    pub fn new(rules: Rules, now: Time, beginning: Beginning<'_>) -> Result<Self, TooMany> {
        let Beginning { list, address, epoch, lease, highest, record } = beginning;
        let standing = Standing::new(rules, now, (list.clone(), address), epoch, lease, record)?;
        let (has_left_record, pools) = (false, BTreeMap::new());
        Ok(Self { rules, list, epoch, lease, highest, standing, has_left_record, pools })
    }

    /// What has to be left on the host now, for the next one at this address. It is silent until that
    /// [is done](Witness::has_left).
    pub fn leaves(&mut self, now: Time) -> Option<Record> {
        let is_due = !self.has_left_record && self.standing.speech(now) == Speech::Speaks;
        is_due.then(|| self.standing.record())
    }

    /// What was to be left has been.
    pub fn has_left(&mut self) {
        self.has_left_record = true;
    }

    /// What it has left. It may have granted something, then.
    pub fn record(&self) -> Option<Record> {
        self.has_left_record.then(|| self.standing.record())
    }

    /// Whether it grants anything now.
    pub fn speech(&mut self, now: Time) -> Speech {
        match self.standing.speech(now) {
            Speech::Speaks if !self.has_left_record => Speech::Silent { left: UNRECORDED },
            speech => speech,
        }
    }

    /// Without whose answers it grants nothing, for people.
    pub fn missing(&self) -> Vec<SocketAddr> {
        self.standing.missing()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Outgoing>) {
        self.standing.tick(now, out);
        let speech = self.speech(now);
        let highest = &mut self.highest;
        self.pools.retain(|_, pool| {
            pool.tick(now, speech, out);
            if pool.is_idle() {
                *highest = pool.highest().max(*highest);
            }
            !pool.is_idle()
        });
    }

    /// When there is something to do without being asked.
    pub fn wake(&self) -> Time {
        self.pools.values().map(Pool::wake).fold(self.standing.wake(), Time::min)
    }

    /// Takes in a message that was there at `now`.
    pub fn receive<T: Terms>(
        &mut self,
        now: Time,
        from: SocketAddr,
        message: &Message,
        out: &mut Vec<Outgoing>,
    ) {
        match message {
            Message::Request(request) => self.judge::<T>(now, from, request, out),
            Message::Call(call) => {
                let echo = self.standing.called(from, call);
                out.push(Outgoing { to: from, message: Message::Echo(echo) });
            }
            Message::Echo(echo) => self.standing.echoed(now, from, echo),
            Message::Ask(ask) => {
                out.push(Outgoing { to: from, message: Message::Page(self.page(now, ask)) });
            }
            // For claimants, and for who asks.
            Message::Reply(_) | Message::Page(_) => {}
        }
    }

    fn judge<T: Terms>(&mut self, now: Time, from: SocketAddr, request: &Request, out: &mut Vec<Outgoing>) {
        let speech = self.speech(now);
        // Who sent what cannot be read could not read an answer either.
        let Some((name, limit)) = T::read(&request.terms) else { return };
        if let Some(pool) = self.pools.get_mut(&name) {
            return pool.receive(now, from, request, speech, out);
        }
        let collides = |pool: &&Pool| T::collide(&request.terms, pool.terms());
        let verdict = match self.pools.values().find(collides) {
            Some(other) => Verdict::OtherTerms(Arc::clone(other.terms())),
            None if self.pools.len() >= POOLS => Verdict::Full,
            None => {
                let beginning = pool::Beginning {
                    list: self.list.clone(),
                    epoch: self.epoch,
                    lease: self.lease,
                    terms: Arc::clone(&request.terms),
                    limit,
                    highest: self.highest,
                };
                let mut pool = Pool::new(self.rules, beginning);
                pool.receive(now, from, request, speech, out);
                // None is made by a request that did not count.
                if !pool.is_idle() {
                    self.pools.insert(name, pool);
                }
                return;
            }
        };
        let to = request.who.order.nonce;
        let reply = Reply { to, epoch: self.epoch, stamp: now, number: request.number, verdict };
        out.push(Outgoing { to: from, message: Message::Reply(reply) });
    }

    fn page(&self, now: Time, ask: &Ask) -> Page {
        match self.pools.get(&*ask.pool) {
            Some(pool) => pool.page(now, ask),
            None => Page {
                number: ask.number,
                list: self.list.clone(),
                terms: "".into(),
                entries: Vec::new(),
                next: None,
                waiting: 0,
            },
        }
    }
}
