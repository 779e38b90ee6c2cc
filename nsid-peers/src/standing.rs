//! When a witness may grant anything: it has no memory of what it granted before it was started.
//!
//! It is silent for as long as that may last, and then speaks; or it speaks at once, where no earlier incarnation can have
//! granted anything: its host keeps no record of one and is up for longer than a lease, and every other witness of the
//! list answers that neither itself nor this address has had an earlier incarnation.
//!
//! **Invariant:** it grants nothing before a majority of the list, itself included, has heard of its incarnation; so
//! whoever comes after it at its address is told of it by one of them, or by one that has no memory of it either.
//!
//! The list may be changed, a minority at a time. A witness that was one of another list, or hears that another one still
//! is, grants nothing before all others have answered with its list for one lease, in one incarnation each: whatever was
//! granted by the old list needed one of them, and is over. What it hears is no matter to one that spoke by this very list
//! within the last lease: its earlier incarnation has waited for that.
//!
//! Others may have granted, or be granting, longer leases than it does. They say so, and what is said here of a lease is
//! said of the longest.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use crate::list::TooMany;
use crate::message::{Call, Echo, Epoch, Message, Outgoing};
use crate::{List, Rules, Time};

/// Between two calls of a witness that is not heard.
const CALLS: Duration = Duration::from_millis(250);

/// Between two calls of one that is.
const CALLS_AT_EASE: Duration = Duration::from_secs(2);

/// What a witness leaves on its host before it grants anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Its list.
    pub list: List,
    /// The longest lease that it granted.
    pub lease: Duration,
    /// All that it granted is over.
    pub is_over: bool,
}

/// Whether a witness grants anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Speech {
    /// It does.
    Speaks,
    /// Not yet.
    Silent {
        /// For at least so long.
        left: Duration,
    },
}

/// One witness among those of its list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Standing {
    rules: Rules,
    list: List,
    epoch: Epoch,
    /// The longest lease that it grants.
    lease: Duration,
    /// The longest that it, an earlier incarnation or another witness has granted, as far as it knows.
    longest: Duration,
    since: Time,
    first: bool,
    needs: Needs,
    speaks: bool,
    others: Vec<Other>,
    due: Time,
}

/// Whose answers it needs before it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Needs {
    /// Those of a majority, unless it hears of another list.
    Majority,
    /// Those of a majority: it spoke by this list within the last lease.
    MajorityInAnyCase,
    /// Those of all others, with its list for one lease.
    All,
}

/// Another witness of the list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Other {
    address: SocketAddr,
    /// The first incarnation that was heard from there.
    met: Option<Epoch>,
    /// Another one was, too.
    met_another: bool,
    /// The incarnation that answers, and since when it has done so with this list.
    answers: Option<(Epoch, Time)>,
    /// It has done so for one lease.
    has_settled: bool,
    /// It says that no earlier incarnation was anywhere.
    vouches: bool,
}

impl Standing {
    /// That of the witness at `address`, which is one of the list. `record` is what an earlier incarnation left on this
    /// host; [`record`](Standing::record) says what is to be left before the first answer is sent.
    pub(crate) fn new(
        rules: Rules,
        now: Time,
        (list, address): (List, SocketAddr),
        epoch: Epoch,
        lease: Duration,
        record: Option<&Record>,
    ) -> Result<Self, TooMany> {
        if let Some(record) = record {
            list.may_follow(&record.list)?;
        }
        let counting = record.filter(|record| !record.is_over);
        let needs = match record {
            Some(record) if record.list != list => Needs::All,
            Some(record) if !record.is_over => Needs::MajorityInAnyCase,
            Some(_) | None => Needs::Majority,
        };
        let longest = counting.map_or(lease, |record| record.lease.max(lease));
        let other = |address: &SocketAddr| Other {
            address: *address,
            met: None,
            met_another: false,
            answers: None,
            has_settled: false,
            vouches: false,
        };
        let others: Vec<_> = list.witnesses().iter().filter(|other| **other != address).map(other).collect();
        let first = needs == Needs::Majority && now >= Time::default().after(rules.silence(lease));
        let mut standing = Self {
            rules,
            list,
            epoch,
            lease,
            longest,
            since: now,
            first,
            needs,
            speaks: false,
            others,
            due: now,
        };
        standing.look(now);
        Ok(standing)
    }

    /// Whether it grants anything now.
    pub(crate) fn speech(&mut self, now: Time) -> Speech {
        self.look(now);
        if self.speaks { Speech::Speaks } else { Speech::Silent { left: self.silent_until().since(now) } }
    }

    /// What has to be on the host for the next incarnation while this one [speaks](Speech::Speaks).
    pub(crate) fn record(&self) -> Record {
        Record { list: self.list.clone(), lease: self.lease, is_over: false }
    }

    /// Why it is silent, for people. Nothing: it speaks, or will when its time is up.
    pub(crate) fn missing(&self) -> Vec<SocketAddr> {
        let missing = |other: &&Other| {
            if self.needs == Needs::All { !other.has_settled } else { other.answers.is_none() }
        };
        if self.speaks || (self.needs != Needs::All && self.is_heard_of()) {
            return Vec::new();
        }
        self.others.iter().filter(missing).map(|other| other.address).collect()
    }

    /// When it has something to do without being asked.
    pub(crate) fn wake(&self) -> Time {
        self.due
    }

    /// Calls the others, if it is time to.
    pub(crate) fn tick(&mut self, now: Time, out: &mut Vec<Outgoing>) {
        self.look(now);
        if now < self.due {
            return;
        }
        self.due = now.after(if self.speaks { CALLS_AT_EASE } else { CALLS });
        self.call_all(now, out);
    }

    pub(crate) fn call_all(&self, now: Time, out: &mut Vec<Outgoing>) {
        for other in &self.others {
            let call = Call { list: self.list.clone(), epoch: self.epoch, sent: now };
            out.push(Outgoing { to: other.address, message: Message::Call(call) });
        }
    }

    /// Answers the call of another witness, which need not be one of this list.
    pub(crate) fn called(&mut self, from: SocketAddr, call: &Call) -> Echo {
        let other = self.others.iter_mut().find(|other| other.address == from);
        let (is_of_ours, knows_another) = match other {
            Some(other) => {
                other.meet(call.epoch);
                (true, other.met_another)
            }
            None => (false, false),
        };
        if is_of_ours && call.list != self.list {
            self.hear_of_another_list();
        }
        Echo {
            list: self.list.clone(),
            epoch: self.epoch,
            caller: call.epoch,
            sent: call.sent,
            lease: self.longest.as_millis().try_into().unwrap_or(u32::MAX),
            first: self.first,
            knows_another,
        }
    }

    /// Learns from the answer to a call.
    pub(crate) fn echoed(&mut self, now: Time, from: SocketAddr, echo: &Echo) {
        if echo.caller != self.epoch {
            return;
        }
        let Some(other) = self.others.iter_mut().find(|other| other.address == from) else { return };
        self.longest = self.longest.max(Duration::from_millis(echo.lease.into()));
        let lease = self.rules.silence(self.longest);
        other.meet(echo.epoch);
        if echo.list != self.list {
            (other.answers, other.has_settled, other.vouches) = (None, false, false);
            self.hear_of_another_list();
            return;
        }
        match other.answers {
            Some((epoch, since)) if epoch == echo.epoch => {
                other.has_settled |= echo.sent >= since.after(lease);
            }
            Some(_) | None => {
                other.answers = Some((echo.epoch, now));
                other.has_settled = false;
            }
        }
        other.vouches = echo.first && !echo.knows_another;
        self.look(now);
    }

    fn look(&mut self, now: Time) {
        if self.speaks {
            return;
        }
        let knows_better = self.first && self.others.iter().all(|other| other.vouches);
        let is_past = now >= self.silent_until() && self.is_heard_of();
        let all_settled = self.others.iter().all(|other| other.has_settled);
        self.speaks = if self.needs == Needs::All { is_past && all_settled } else { is_past || knows_better };
    }

    /// Both lists are in use.
    fn hear_of_another_list(&mut self) {
        if !self.speaks && self.needs == Needs::Majority {
            self.needs = Needs::All;
        }
    }

    fn silent_until(&self) -> Time {
        self.since.after(self.rules.silence(self.longest))
    }

    fn is_heard_of(&self) -> bool {
        let heard = self.others.iter().filter(|other| other.answers.is_some()).count();
        let with_itself = heard + 1;
        with_itself > self.list.witnesses().len() / 2
    }
}

impl Other {
    /// It is, or was, of that incarnation.
    fn meet(&mut self, epoch: Epoch) {
        let met = *self.met.get_or_insert(epoch);
        self.met_another |= met != epoch;
    }
}
