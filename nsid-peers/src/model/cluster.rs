//! A cluster of which every course is followed: three witnesses and two claimants of one slot.
//!
//! Messages arrive in any order, as late as can be, or never. Time passes in steps, by clocks that differ by 2 %. A witness
//! is restarted, a lease is renewed, a slot is given back, each as often as the [`Budget`] has it and at any moment.
//!
//! What nothing relies on, where a claimant stands in the line and that a request has to be sent again, is answered on the
//! spot; so is the exchange of witnesses after a restart.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stateright::{Model, Property};

use super::part::Part;
use super::{Begins, Budget};
use crate::witness::for_tests::Limit;
use crate::{
    Beginning, Claim, Claimant, Epoch, Id, List, Message, Order, Outgoing, Record, Reply, Rules, State, Time,
    Verdict, Who, Wish, Witness,
};

const WITNESSES: usize = 3;
const CLAIMANTS: usize = 2;
const LEASE: Duration = Duration::from_secs(2);

/// How far a second takes the clocks, in milliseconds: the claimants' are slow by 1 %, and the witnesses' fast.
const SLOW: u64 = 990;
const FAST: u64 = 1010;

/// So long the hosts are up when it begins.
const UP: u64 = 1_000_000;

#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub(super) rules: Rules,
    pub(super) budget: Budget,
}

/// The state of everything.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct Course {
    witnesses: Vec<Part<Witness>>,
    claimants: Vec<Part<Claimant>>,
    /// Until when each says the name by what its last process was granted.
    inherited: [Time; CLAIMANTS],
    /// How many processes were started since it began.
    started: u64,
    flying: Vec<Part<Flight>>,
    passed: u8,
    left: Budget,
    /// The greatest token that the slot was held under.
    token: u64,
    /// It was held under one that is not greater than one before.
    disorder: bool,
}

/// A message under way.
#[derive(Clone, Debug, Hash)]
struct Flight {
    claimant: usize,
    witness: usize,
    message: Message,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    Deliver(usize),
    Pass,
    Restart(usize),
    Renew(usize),
    Release(usize),
    Succeed(usize),
}

impl Model for Cluster {
    type State = Course;
    type Action = Step;

    fn init_states(&self) -> Vec<Course> {
        let witnesses = (0..WITNESSES).map(|witness| Part::new(self.witness(witness, 0, 0, None))).collect();
        let claimants = (0..CLAIMANTS).map(|claimant| Part::new(self.claimant(claimant, 0))).collect();
        let mut course = Course {
            witnesses,
            claimants,
            inherited: [Time::default(); CLAIMANTS],
            started: 0,
            flying: Vec::new(),
            passed: 0,
            left: self.budget,
            token: 0,
            disorder: false,
        };
        for witness in 0..WITNESSES {
            course.meet(witness);
        }
        match self.budget.begins {
            Begins::Meeting => course.have_both_try(),
            Begins::Held => course.have_the_first_hold_it(),
        }
        course.seal();
        vec![course]
    }

    fn actions(&self, course: &Course, steps: &mut Vec<Step>) {
        steps.extend((0..course.flying.len()).map(Step::Deliver));
        if course.left.steps > 0 {
            steps.push(Step::Pass);
        }
        if course.left.restarts > 0 {
            steps.extend((0..WITNESSES).map(Step::Restart));
        }
        for (index, claimant) in course.claimants.iter().enumerate() {
            if !matches!(claimant.state(), State::Held(_)) {
                continue;
            }
            if course.left.renewals > 0 {
                steps.push(Step::Renew(index));
            }
            if course.left.releases > 0 {
                steps.push(Step::Release(index));
            }
            if course.left.successions > 0 {
                steps.push(Step::Succeed(index));
            }
        }
    }

    fn next_state(&self, course: &Course, step: Step) -> Option<Course> {
        let mut next = course.clone();
        match step {
            Step::Deliver(index) => {
                let flight = next.flying.remove(index);
                next.deliver(&flight);
            }
            Step::Pass => {
                next.left.steps -= 1;
                next.passed += 1;
                for claimant in 0..CLAIMANTS {
                    next.act(claimant);
                }
                for witness in 0..WITNESSES {
                    next.tick(witness);
                }
            }
            Step::Restart(witness) => {
                next.left.restarts -= 1;
                let record = course.witnesses[witness].record();
                next.started += 1;
                let restarted = self.witness(witness, course.passed, next.started, record.as_ref());
                next.witnesses[witness] = Part::new(restarted);
                next.meet(witness);
            }
            Step::Renew(claimant) => {
                next.left.renewals -= 1;
                let now = next.claimants_clock();
                next.claimants[claimant].change(|claimant| claimant.renew(now));
                next.act(claimant);
            }
            Step::Release(claimant) => {
                next.left.releases -= 1;
                let now = next.claimants_clock();
                next.inherited[claimant] = Time::default();
                next.claimants[claimant].change(|claimant| claimant.release(now));
                next.act(claimant);
            }
            Step::Succeed(claimant) => {
                let State::Held(hold) = next.claimants[claimant].state() else { return None };
                let until = hold.counted.from.after(self.rules.relied_on(hold.counted.lease));
                next.left.successions -= 1;
                next.started += 1;
                next.inherited[claimant] = until;
                let mut successor = self.claimant(claimant, next.started);
                successor.resume(next.claimants_clock(), (hold.slot, hold.token), until);
                next.claimants[claimant] = Part::new(successor);
                next.act(claimant);
            }
        }
        next.tidy();
        next.look();
        next.seal();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("at most one holder", |model: &Self, course: &Course| {
                course.holders(model.rules).count() <= 1
            }),
            Property::always("tokens grow", |_, course: &Course| !course.disorder),
            Property::sometimes("the first holds it", |model: &Self, course: &Course| {
                course.holders(model.rules).any(|claimant| claimant == 0)
            }),
            Property::sometimes("the second holds it", |model: &Self, course: &Course| {
                course.holders(model.rules).any(|claimant| claimant == 1)
            }),
        ]
    }

    fn within_boundary(&self, course: &Course) -> bool {
        course.flying.len() <= self.budget.flying
    }
}

impl Cluster {
    fn witness(&self, witness: usize, passed: u8, started: u64, record: Option<&Record>) -> Witness {
        let now = clock(u64::from(passed) * self.budget.step, FAST);
        let (list, address) = (list(), address(witness));
        let (epoch, highest) = (Epoch(1 + started), (1 + started) * 1000);
        let beginning = Beginning { list, address, epoch, lease: LEASE, highest, record };
        Witness::new(self.rules, now, beginning).expect("the same list")
    }

    fn claimant(&self, claimant: usize, process: u64) -> Claimant {
        let id = |byte| Id([byte; 16]);
        let byte = u8::try_from(claimant).expect("two");
        let order = Order { start: 0, node: id(byte), nonce: id(byte) };
        Claimant::new(
            self.rules,
            Claim {
                list: list(),
                who: Who { order, host: "".into() },
                terms: terms(),
                lease: LEASE,
                expected: 0,
                patience: Duration::ZERO,
                predecessor_said_until: Time::default(),
                process,
            },
        )
    }
}

impl Course {
    /// Each follows another witness, and is the first there: they meet at the slot.
    fn have_both_try(&mut self) {
        let now = self.claimants_clock();
        for claimant in 0..CLAIMANTS {
            self.claimants[claimant].change(|it| it.claim_by(now, claimant));
        }
        for (claimant, witness) in [(0, 0), (1, 1), (0, 1), (1, 0)] {
            self.seek_at(claimant, witness);
        }
        for claimant in 0..CLAIMANTS {
            self.act(claimant);
        }
    }

    /// All have granted it, and the other one is in line.
    fn have_the_first_hold_it(&mut self) {
        let now = self.claimants_clock();
        self.claimants[0].change(|it| it.claim(now));
        (0..WITNESSES).for_each(|witness| self.seek_at(0, witness));
        self.act(0);
        while let Some(flight) = self.flying.pop() {
            self.deliver(&flight);
        }
        self.claimants[1].change(|it| it.claim(now));
        (0..WITNESSES).for_each(|witness| self.seek_at(1, witness));
    }

    fn milliseconds(&self) -> u64 {
        u64::from(self.passed) * self.left.step
    }

    fn claimants_clock(&self) -> Time {
        clock(self.milliseconds(), SLOW)
    }

    fn witnesses_clock(&self) -> Time {
        clock(self.milliseconds(), FAST)
    }

    /// Who may say the name now, by its own clock.
    fn holders(&self, rules: Rules) -> impl Iterator<Item = usize> {
        let now = self.claimants_clock();
        let claimants = self.claimants.iter().zip(self.inherited).enumerate();
        claimants.filter_map(move |(index, (claimant, inherited))| {
            let held = match claimant.state() {
                State::Held(hold) => hold.counted.from.after(rules.relied_on(hold.counted.lease)),
                _ => Time::default(),
            };
            (held.max(inherited) > now).then_some(index)
        })
    }

    /// Notes under which token the slot is held.
    fn look(&mut self) {
        for claimant in &self.claimants {
            if let State::Held(hold) = claimant.state()
                && hold.token != self.token
            {
                // Who held it before may not have noticed that its time is over.
                let is_later = hold.token > self.token;
                let is_over = self
                    .claimants
                    .iter()
                    .any(|other| matches!(other.state(), State::Held(other) if other.token == self.token));
                self.disorder |= !is_later && !is_over;
                self.token = self.token.max(hold.token);
            }
        }
    }

    /// The witness and the others call each other.
    fn meet(&mut self, witness: usize) {
        let now = self.witnesses_clock();
        for other in (0..WITNESSES).filter(|other| *other != witness) {
            for (caller, called) in [(witness, other), (other, witness)] {
                let mut out = Vec::new();
                self.witnesses[caller].change(|witness| witness.call_all(now, &mut out));
                let calls = out.into_iter().filter(|call| call.to == address(called));
                for call in calls {
                    let mut echoes = Vec::new();
                    self.witnesses[called].change(|witness| {
                        witness.receive::<Limit>(now, address(caller), &call.message, &mut echoes);
                    });
                    for echo in echoes {
                        self.witnesses[caller].change(|witness| {
                            witness.receive::<Limit>(now, address(called), &echo.message, &mut Vec::new());
                            leave(witness, now);
                        });
                    }
                }
            }
        }
    }

    /// The claimant asks that witness for its place, and is answered.
    fn seek_at(&mut self, claimant: usize, witness: usize) {
        let now = self.claimants_clock();
        for _ in 0..2 {
            let mut out = Vec::new();
            self.claimants[claimant].change(|claimant| claimant.tick_only(now, witness, &mut out));
            self.send(claimant, out);
        }
    }

    /// The claimant does what is due.
    fn act(&mut self, claimant: usize) {
        let now = self.claimants_clock();
        let mut out = Vec::new();
        let inherited = &mut self.inherited[claimant];
        self.claimants[claimant].change(|claimant| {
            claimant.tick(now, &mut out);
            // Who goes on with a name gives up when that is silent.
            let is_over = claimant.state() == State::Resuming && *inherited <= now;
            if is_over || matches!(claimant.state(), State::Ended(_)) {
                *inherited = Time::default();
                claimant.claim(now);
                claimant.tick(now, &mut out);
            }
        });
        self.send(claimant, out);
    }

    fn tick(&mut self, witness: usize) {
        let now = self.witnesses_clock();
        let mut out = Vec::new();
        self.witnesses[witness].change(|witness| {
            leave(witness, now);
            witness.tick(now, &mut out);
        });
        self.answer(witness, out);
    }

    fn send(&mut self, claimant: usize, out: Vec<Outgoing>) {
        for Outgoing { to, message } in out {
            let Message::Request(request) = &message else { continue };
            let witness = (0..WITNESSES).find(|witness| address(*witness) == to).expect("one of them");
            if let Wish::Seek { yields, .. } = request.wish
                && (!yields || self.left.prompt)
            {
                self.ask(claimant, witness, &message);
            } else {
                // What is sent again takes the place of what was sent.
                self.flying.retain(|flight| match &flight.message {
                    Message::Request(other) => {
                        (flight.claimant, flight.witness, other.wish, other.number.process)
                            != (claimant, witness, request.wish, request.number.process)
                    }
                    _ => true,
                });
                self.fly(Flight { claimant, witness, message });
            }
        }
    }

    fn deliver(&mut self, flight: &Flight) {
        match &flight.message {
            Message::Request(_) => self.ask(flight.claimant, flight.witness, &flight.message),
            Message::Reply(reply) => self.tell(flight.claimant, flight.witness, reply),
            _ => {}
        }
    }

    fn ask(&mut self, claimant: usize, witness: usize, message: &Message) {
        let now = self.witnesses_clock();
        let mut out = Vec::new();
        self.witnesses[witness].change(|witness| {
            leave(witness, now);
            witness.receive::<Limit>(now, home(claimant), message, &mut out);
        });
        self.answer(witness, out);
    }

    fn answer(&mut self, witness: usize, out: Vec<Outgoing>) {
        for Outgoing { to, message } in out {
            let Message::Reply(reply) = &message else { continue };
            let claimant = (0..CLAIMANTS).find(|claimant| home(*claimant) == to).expect("one of them");
            match reply.verdict {
                Verdict::Granted { .. } => self.fly(Flight { claimant, witness, message }),
                Verdict::Again | Verdict::Place { .. } | Verdict::Silent { .. } | Verdict::Released => {
                    self.tell(claimant, witness, reply);
                }
                _ if self.left.prompt => self.tell(claimant, witness, reply),
                _ => self.fly(Flight { claimant, witness, message }),
            }
        }
    }

    fn tell(&mut self, claimant: usize, witness: usize, reply: &Reply) {
        let now = self.claimants_clock();
        self.claimants[claimant].change(|claimant| claimant.receive(now, witness, reply));
        if self.passed > 0 || self.is_begun() {
            self.act(claimant);
        }
    }

    /// Not while the claimants are brought to where it begins.
    fn is_begun(&self) -> bool {
        self.claimants.iter().all(|claimant| claimant.is_taking()) || !self.flying.is_empty()
    }

    fn fly(&mut self, flight: Flight) {
        let flight = Part::new(flight);
        let at = self.flying.partition_point(|other| other.fingerprint() < flight.fingerprint());
        if self.flying.get(at) != Some(&flight) {
            self.flying.insert(at, flight);
        }
    }

    fn seal(&mut self) {
        self.witnesses.iter_mut().for_each(Part::seal);
        self.claimants.iter_mut().for_each(Part::seal);
    }

    /// Forgets messages that can do nothing any more.
    fn tidy(&mut self) {
        let (witnesses, claimants) = (&self.witnesses, &self.claimants);
        self.flying.retain(|flight| match &flight.message {
            Message::Request(request) => {
                !witnesses[flight.witness].heard_later(request.who.order.nonce, request.number)
            }
            Message::Reply(reply) => claimants[flight.claimant].awaits(flight.witness, reply.number),
            _ => false,
        });
    }
}

/// Has the witness's host keep what has to be left there.
fn leave(witness: &mut Witness, now: Time) {
    if witness.leaves(now).is_some() {
        witness.has_left();
    }
}

fn clock(passed: u64, rate: u64) -> Time {
    Time::from_nanos(UP * 1_000_000 + passed * rate * 1000)
}

fn list() -> List {
    List::new((0..WITNESSES).map(address).collect()).expect("three")
}

fn address(witness: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(witness).expect("three")], 7400))
}

fn home(claimant: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, u8::try_from(claimant).expect("two")], 7400))
}

fn terms() -> Arc<str> {
    "1".into()
}
