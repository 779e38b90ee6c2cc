//! One simulated host: an agent that claims a name, and is a witness if it is one of the list.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::clock::Clock;
use super::names::Names;
use crate::witness::for_tests::Limit;
use crate::{
    Beginning, Claim, Claimant, Epoch, Id, List, Message, Order, Outgoing, RENEWALS, Record, Rules, State,
    Time, Who, Witness,
};

/// What all hosts are given alike.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) rules: Rules,
    pub(super) list: List,
    pub(super) lease: Duration,
    pub(super) limit: u32,
    pub(super) expected: u32,
}

/// How long who waits for others waits for them.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long before a name that was silenced is off the wire for certain.
const SILENCE: Duration = Duration::from_millis(24);

/// How long who stops waits for its witnesses.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

pub(super) struct Host {
    pub(super) index: usize,
    pub(super) address: SocketAddr,
    pub(super) clock: Clock,
    /// Which node it is, over reboots.
    pub(super) node: Id,
    /// Which claimant it is, until the next reboot.
    nonce: Id,
    /// What an earlier witness left, until the next reboot.
    record: Option<Record>,
    pub(super) agent: Option<Agent>,
    /// The process does nothing until then.
    pub(super) frozen_until: u64,
    /// It will do nothing for so long once it has asked for something.
    pub(super) freezes_when_asking: u64,
}

/// A process.
pub(super) struct Agent {
    claimant: Claimant,
    /// What an earlier process left to it, which is lost then if it is not granted more time.
    inherited: Option<((u32, u64), Time)>,
    renew_at: Time,
    /// When what was said is off the wire and is given back.
    release_at: Option<Time>,
    witness: Option<Witness>,
}

impl Host {
    pub(super) fn new(index: usize, address: SocketAddr, clock: Clock, node: Id, nonce: Id) -> Self {
        Self {
            index,
            address,
            clock,
            node,
            nonce,
            record: None,
            agent: None,
            frozen_until: 0,
            freezes_when_asking: 0,
        }
    }

    /// Starts the agent, which goes on with what is inherited, if anything is: a slot, its token, and until when its name
    /// is said.
    pub(super) fn start(
        &mut self,
        at: u64,
        settings: &Settings,
        epoch: u64,
        inherited: Option<((u32, u64), u64)>,
    ) {
        let now = self.clock.read(at);
        let Settings { rules, list, lease, limit, expected } = settings.clone();
        let terms: Arc<str> = limit.to_string().into();
        let wall = self.clock.wall(at);
        let who = Who {
            order: Order { start: wall / 1000, node: self.node, nonce: self.nonce },
            host: format!("host{}", self.index).into(),
        };
        let claim = Claim {
            list: list.clone(),
            who,
            terms,
            lease,
            expected,
            patience: PATIENCE,
            predecessor_said_until: now.after(lease),
            process: now.as_nanos(),
        };
        let mut claimant = Claimant::new(rules, claim);
        let inherited = inherited.map(|(held, until)| (held, self.clock.read(until)));
        match inherited {
            Some((held, until)) => claimant.resume(now, held, until),
            None => claimant.claim(now),
        }
        let renew_at = if inherited.is_some() { now.after(lease / RENEWALS) } else { now };
        let witness = list.place(self.address).map(|_| {
            let (list, record) = (list.clone(), self.record.as_ref());
            let beginning =
                Beginning { list, address: self.address, epoch: Epoch(epoch), lease, highest: wall, record };
            Witness::new(rules, now, beginning).expect("the list does not change")
        });
        self.agent = Some(Agent { claimant, inherited, renew_at, release_at: None, witness });
    }

    /// Whether its agent runs, and is not being stopped.
    pub(super) fn can_be_upgraded(&self) -> bool {
        self.agent.as_ref().is_some_and(|agent| agent.release_at.is_none())
    }

    /// Starts the host anew: nothing is left but what it was installed with.
    pub(super) fn reboot(&mut self, at: u64, nonce: Id, names: &mut Names) {
        self.agent = None;
        self.clock = self.clock.rebooted(at);
        self.nonce = nonce;
        self.record = None;
        names.silence(self.index);
    }

    /// Begins to stop the agent: the name is silenced, and then given back.
    pub(super) fn stop(&mut self, at: u64, names: &mut Names) {
        if let Some(agent) = &mut self.agent {
            names.silence(self.index);
            agent.release_at = Some(self.clock.read(at).after(SILENCE));
        }
    }

    pub(super) fn receive(
        &mut self,
        at: u64,
        (from, message): (SocketAddr, &Message),
        settings: &Settings,
        out: &mut Vec<Outgoing>,
    ) {
        let now = self.clock.read(at);
        let Some(agent) = &mut self.agent else { return };
        if let Message::Reply(reply) = message {
            if let Some(witness) = settings.list.place(from) {
                agent.claimant.receive(now, witness, reply);
            }
        } else if let Some(witness) = &mut agent.witness {
            leave(&mut self.record, witness, now);
            witness.receive::<Limit>(now, from, message, out);
        }
    }

    /// Does what is due, as the driver of claims does.
    pub(super) fn act(&mut self, at: u64, settings: &Settings, names: &mut Names, out: &mut Vec<Outgoing>) {
        let now = self.clock.read(at);
        let Some(agent) = &mut self.agent else { return };
        let claimant = &mut agent.claimant;
        claimant.tick(now, out);
        match claimant.state() {
            State::Held(hold) if agent.release_at.is_none() => {
                let until = hold.counted.from.after(settings.rules.relied_on(hold.counted.lease));
                names.say(at, self.index, (hold.slot, hold.token), self.clock.at(until));
                if now >= agent.renew_at {
                    claimant.renew(now);
                    agent.renew_at = now.after(settings.lease / RENEWALS);
                }
            }
            State::Resuming
                if agent.release_at.is_none() && agent.inherited.is_some_and(|(_, until)| now < until) =>
            {
                if let Some((held, until)) = agent.inherited.filter(|_| now >= agent.renew_at) {
                    claimant.resume(now, held, until);
                    agent.renew_at = now.after(settings.lease / RENEWALS);
                }
            }
            State::Ended(_) | State::Resuming if agent.release_at.is_none() => {
                names.silence(self.index);
                claimant.claim(now);
            }
            _ => {}
        }
        match agent.release_at {
            Some(then)
                if now >= then.after(RELEASE_LIMIT)
                    || (now >= then && claimant.state() == State::Released) =>
            {
                self.agent = None;
                return;
            }
            Some(then) if now >= then && claimant.state() != State::Releasing => claimant.release(now),
            _ => {}
        }
        claimant.tick(now, out);
        if let Some(witness) = &mut agent.witness {
            leave(&mut self.record, witness, now);
            witness.tick(now, out);
        }
    }

    /// When it has something to do next.
    pub(super) fn wake(&self, at: u64) -> Option<u64> {
        let now = self.clock.read(at);
        let agent = self.agent.as_ref()?;
        let witness = agent.witness.as_ref().map(Witness::wake);
        let renew =
            matches!(agent.claimant.state(), State::Held(_) | State::Resuming).then_some(agent.renew_at);
        let gives_up = agent.release_at.map(|then| then.after(RELEASE_LIMIT));
        let own = [
            agent.claimant.wake(now),
            renew,
            agent.release_at,
            gives_up,
            agent.inherited.map(|(_, until)| until),
        ];
        let next = own.into_iter().flatten().chain(witness).filter(|wake| *wake > now).min()?;
        Some(self.clock.at(next))
    }

    pub(super) fn state(&self) -> Option<State> {
        self.agent.as_ref().map(|agent| agent.claimant.state())
    }
}

/// Keeps on the host what its witness has to leave there.
fn leave(kept: &mut Option<Record>, witness: &mut Witness, now: Time) {
    if let Some(record) = witness.leaves(now) {
        *kept = Some(record);
        witness.has_left();
    }
}
