use std::net::SocketAddr;

use super::*;
use crate::RENEWALS;
use crate::message::Order;
use crate::message::{Ask, Entry, Epoch, Id};
use crate::pool::{Beginning, Pool};
use crate::standing::Speech;
use crate::state::Problem;

const LEASE: Duration = Duration::from_secs(10);
const TERMS: &str = "worker{id}.n5.test, 3";

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 7400))
}

fn list(hosts: [u8; 3]) -> List {
    List::new(hosts.map(address).to_vec()).unwrap()
}

/// Three witnesses, each a moment away.
struct Witnesses {
    three: Vec<Pool>,
    answers: [bool; 3],
    /// Their answers are lost.
    mute: [bool; 3],
    now: Time,
    processes: u64,
}

impl Witnesses {
    fn new() -> Self {
        let witness = |number| {
            let (list, epoch) = (list([1, 2, 3]), Epoch(number));
            let beginning =
                Beginning { list, epoch, lease: LEASE, terms: TERMS.into(), limit: 3, highest: 100 };
            Pool::new(Rules::default(), beginning)
        };
        let three = (1..=3).map(witness).collect();
        Self {
            three,
            answers: [true; 3],
            mute: [false; 3],
            now: Time::from_nanos(1_000_000_000_000),
            processes: 0,
        }
    }

    /// A process of that claimant, later than all before.
    fn process(&mut self, claimant: u8) -> Claimant {
        self.process_of(claimant, list([1, 2, 3]), TERMS)
    }

    fn process_of(&mut self, claimant: u8, list: List, terms: &str) -> Claimant {
        self.processes += 1;
        let id = Id([claimant; 16]);
        let order = Order { start: self.processes, node: id, nonce: id };
        let claim = Claim {
            list,
            who: Who { order, host: "".into() },
            terms: terms.into(),
            lease: LEASE,
            expected: 0,
            patience: Duration::ZERO,
            predecessor_said_until: self.now.after(LEASE),
            process: self.processes,
        };
        Claimant::new(Rules::default(), claim)
    }

    /// Has all be said that there is to say for so long.
    fn talk(&mut self, claimant: &mut Claimant, time: Duration) {
        let end = self.now.after(time);
        loop {
            let mut out = Vec::new();
            claimant.tick(self.now, &mut out);
            if !out.is_empty() {
                self.answer(claimant, out);
                continue;
            }
            match claimant.wake(self.now).filter(|wake| *wake <= end) {
                Some(wake) => self.now = wake,
                None => break,
            }
        }
        self.now = end;
    }

    fn answer(&mut self, claimant: &mut Claimant, out: Vec<Outgoing>) {
        for Outgoing { to, message } in out {
            let Message::Request(request) = message else { panic!("{message:?}") };
            let Some(at) = list([1, 2, 3]).place(to).filter(|at| self.answers[*at]) else { continue };
            let mut replies = Vec::new();
            self.three[at].receive(self.now, address(9), &request, Speech::Speaks, &mut replies);
            for Outgoing { message, .. } in replies.into_iter().filter(|_| !self.mute[at]) {
                let Message::Reply(reply) = message else { panic!("{message:?}") };
                claimant.receive(self.now, at, &reply);
            }
        }
    }

    fn at_once(&mut self, claimant: &mut Claimant) {
        self.talk(claimant, Duration::from_millis(1));
    }

    fn claim(&mut self, claimant: &mut Claimant) -> Hold {
        claimant.claim(self.now);
        self.at_once(claimant);
        held(claimant)
    }
}

fn held(claimant: &Claimant) -> Hold {
    match claimant.state() {
        State::Held(hold) => hold,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_successor_goes_on_under_the_same_token_and_what_it_gives_back_is_gone_for_all() {
    let mut witnesses = Witnesses::new();
    let mut first = witnesses.process(1);
    let hold = witnesses.claim(&mut first);
    let mut second = witnesses.process(1);
    second.resume(witnesses.now, (hold.slot, hold.token), Time::default());
    assert_eq!(second.state(), State::Resuming);
    witnesses.at_once(&mut second);
    let resumed = held(&second);
    assert_eq!((resumed.slot, resumed.token), (hold.slot, hold.token));
    assert!(resumed.counted.from > hold.counted.from);
    // A third one that gives back before it has been answered.
    let mut third = witnesses.process(1);
    third.resume(witnesses.now, (hold.slot, hold.token), Time::default());
    third.release(witnesses.now);
    witnesses.at_once(&mut third);
    assert_eq!(third.state(), State::Released);
    second.renew(witnesses.now);
    witnesses.at_once(&mut second);
    assert_eq!(second.state(), State::Ended(End::Lost));
}

#[test]
fn who_asks_again_while_it_resumes_takes_the_late_answer_to_what_it_asked_first() {
    let mut witnesses = Witnesses::new();
    let mut first = witnesses.process(1);
    let hold = witnesses.claim(&mut first);
    let mut second = witnesses.process(1);
    second.resume(witnesses.now, (hold.slot, hold.token), Time::default());
    // They tell their incarnations; what is asked then is under way.
    let mut out = Vec::new();
    second.tick(witnesses.now, &mut out);
    witnesses.answer(&mut second, out);
    let (asked, mut late) = (witnesses.now, Vec::new());
    second.tick(asked, &mut late);
    witnesses.now = witnesses.now.after(Duration::from_secs(1));
    second.resume(witnesses.now, (hold.slot, hold.token), Time::default());
    witnesses.answer(&mut second, late);
    assert_eq!(held(&second).counted.from, asked);
}

#[test]
fn nothing_is_resumed_that_is_not_held_under_that_token() {
    let mut witnesses = Witnesses::new();
    let hold = {
        let mut first = witnesses.process(1);
        witnesses.claim(&mut first)
    };
    for (claimant, slot, token) in
        [(1, hold.slot, hold.token + 1), (1, hold.slot + 1, hold.token), (2, hold.slot, hold.token)]
    {
        let mut other = witnesses.process(claimant);
        other.resume(witnesses.now, (slot, token), Time::default());
        witnesses.at_once(&mut other);
        assert_eq!(other.state(), State::Ended(End::Lost));
    }
}

#[test]
fn a_process_that_comes_back_has_its_slot_under_a_greater_token_and_the_one_before_none() {
    let mut witnesses = Witnesses::new();
    let [mut other, mut first] = [2, 1].map(|claimant| witnesses.process(claimant));
    witnesses.claim(&mut other);
    let before = witnesses.claim(&mut first);
    other.release(witnesses.now);
    witnesses.at_once(&mut other);
    // Slot 0 is lower, and free.
    let mut second = witnesses.process(1);
    let after = witnesses.claim(&mut second);
    assert!(after.slot == before.slot && after.token > before.token, "{before:?} {after:?}");
    first.renew(witnesses.now);
    witnesses.at_once(&mut first);
    assert_eq!(first.state(), State::Ended(End::Lost));
    second.renew(witnesses.now);
    witnesses.at_once(&mut second);
    held(&second);
}

/// What the one before had may still be said.
#[test]
fn a_process_that_comes_back_gives_nothing_up_that_it_cannot_be_granted_yet() {
    let mut witnesses = Witnesses::new();
    let hold = {
        let mut first = witnesses.process(1);
        witnesses.claim(&mut first)
    };
    let mut second = witnesses.process(1);
    second.claim(witnesses.now);
    // Two tell it where it is; all three grant it, and one is heard.
    for witness in [0, 1, 0, 1] {
        let mut out = Vec::new();
        second.tick_only(witnesses.now, witness, &mut out);
        witnesses.answer(&mut second, out);
    }
    assert_eq!(second.state(), State::Seeking(Waits::Grants));
    witnesses.mute = [false, true, true];
    for _ in 0..60 {
        witnesses.talk(&mut second, LEASE / 100);
        for witness in &witnesses.three {
            let page = witness.page(witnesses.now, &Ask { pool: "".into(), number: 1, from: 0 });
            let has = |entry: &Entry| entry.slot == hold.slot && entry.who.order.nonce == Id([1; 16]);
            assert!(page.entries.iter().any(has), "{page:?}");
        }
    }
}

#[test]
fn a_lease_counts_from_the_request_that_was_granted() {
    let mut witnesses = Witnesses::new();
    let mut claimant = witnesses.process(1);
    let hold = witnesses.claim(&mut claimant);
    let until = hold.counted.from.after(Rules::default().relied_on(LEASE));
    witnesses.answers = [true, false, false];
    while witnesses.now < until {
        held(&claimant);
        claimant.renew(witnesses.now);
        witnesses.talk(&mut claimant, LEASE / RENEWALS);
    }
    assert_eq!(claimant.state(), State::Ended(End::Lapsed));
}

#[test]
fn what_no_waiting_mends_is_told_with_both_values() {
    let mut witnesses = Witnesses::new();
    let mut elsewhere = witnesses.process_of(1, list([1, 2, 4]), TERMS);
    elsewhere.claim(witnesses.now);
    witnesses.at_once(&mut elsewhere);
    let problem = Problem::OtherList { witness: address(1), list: list([1, 2, 3]) };
    assert_eq!(elsewhere.state(), State::Seeking(Waits::Problem(problem)));
    let mut differs = witnesses.process_of(2, list([1, 2, 3]), "worker{id}.n5.test, 4");
    differs.claim(witnesses.now);
    witnesses.at_once(&mut differs);
    let problem = |by_majority| Problem::OtherTerms { witness: address(1), terms: TERMS.into(), by_majority };
    assert_eq!(differs.state(), State::Seeking(Waits::Problem(problem(true))));
    // Told by one alone, it may be that one that is wrong.
    witnesses.answers = [true, false, false];
    differs.claim(witnesses.now);
    witnesses.at_once(&mut differs);
    assert_eq!(differs.state(), State::Seeking(Waits::Problem(problem(false))));
}

#[test]
fn who_reaches_one_witness_alone_keeps_the_last_slot_from_nobody() {
    let mut witnesses = Witnesses::new();
    for holder in [1, 2] {
        let mut holder = witnesses.process(holder);
        witnesses.claim(&mut holder);
    }
    let [mut cut_off, mut other] = [3, 4].map(|claimant| witnesses.process(claimant));
    for claimant in [&mut cut_off, &mut other] {
        claimant.claim(witnesses.now);
    }
    // Shorter than what the other two have the slots for.
    for _ in 0..8 {
        witnesses.answers = [true, false, false];
        witnesses.talk(&mut cut_off, Duration::from_millis(500));
        witnesses.answers = [true; 3];
        witnesses.talk(&mut other, Duration::from_millis(500));
    }
    assert_eq!(held(&other).slot, 2);
}

#[test]
fn who_never_wanted_anything_has_nothing_to_give_back() {
    let mut witnesses = Witnesses::new();
    let mut claimant = witnesses.process(1);
    claimant.release(witnesses.now);
    assert_eq!((claimant.state(), claimant.wake(witnesses.now)), (State::Idle, None));
}
