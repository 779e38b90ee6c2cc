use super::*;
use crate::message::{Order, Place, Who};

const LEASE: Duration = Duration::from_secs(10);
const TERMS: &str = "worker{id}.n5.test, 3";

fn home(claimant: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, claimant], 7400))
}

fn list() -> List {
    List::new(vec![SocketAddr::from(([10, 0, 0, 1], 7400))]).unwrap()
}

fn nonce(claimant: u8) -> Id {
    Id([claimant; 16])
}

/// A witness that speaks, and claimants beside it.
struct Setting {
    witness: Pool,
    now: Time,
    process: u64,
    count: u32,
    /// What it sent unasked.
    told: Vec<(SocketAddr, Verdict)>,
}

impl Setting {
    fn new() -> Self {
        let beginning = Beginning {
            list: list(),
            epoch: Epoch(1),
            lease: LEASE,
            terms: TERMS.into(),
            limit: 3,
            highest: 100,
        };
        let now = Time::from_nanos(1_000_000_000_000);
        Self { witness: Pool::new(Rules::default(), beginning), now, process: 1, count: 0, told: Vec::new() }
    }

    fn request(&mut self, claimant: u8, wish: Wish) -> Request {
        self.count += 1;
        let order = Order { start: u64::from(claimant), node: nonce(claimant), nonce: nonce(claimant) };
        Request {
            list: list(),
            epoch: Epoch(1),
            stamp: self.now,
            number: Number { process: self.process, count: self.count },
            who: Who { order, host: "".into() },
            terms: TERMS.into(),
            lease: 10_000,
            wish,
        }
    }

    fn send(&mut self, request: &Request, speech: Speech) -> Option<Verdict> {
        let from = home(request.who.order.nonce.0[0]);
        let mut out = Vec::new();
        self.witness.receive(self.now, from, request, speech, &mut out);
        let mut answer = None;
        for Outgoing { to, message } in out {
            let Message::Reply(reply) = message else { panic!("{message:?}") };
            if to == from && reply.number == request.number {
                answer = Some(reply.verdict);
            } else {
                self.told.push((to, reply.verdict));
            }
        }
        answer
    }

    fn ask(&mut self, claimant: u8, wish: Wish) -> Verdict {
        let request = self.request(claimant, wish);
        self.send(&request, Speech::Speaks).expect("an answer")
    }

    fn seek(&mut self, claimant: u8) -> Place {
        match self.ask(claimant, Wish::Seek { expected: 0, yields: false, had: None }) {
            Verdict::Place { place, .. } => place,
            other => panic!("{other:?}"),
        }
    }

    fn take(&mut self, claimant: u8, slot: u32, token: u64) -> Verdict {
        self.ask(claimant, Wish::Take { slot, token })
    }

    fn keep(&mut self, claimant: u8, slot: u32, token: u64, unbroken: bool) -> Verdict {
        self.ask(claimant, Wish::Keep { slot, token, unbroken })
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    /// As long as a lease is kept, and not less.
    fn pass_a_lease(&mut self) {
        self.pass(Rules::default().kept(LEASE));
    }
}

const GRANTED: Verdict = Verdict::Granted { lease: 10_000 };

fn is_refused(verdict: &Verdict, by: u8) -> bool {
    matches!(verdict, Verdict::Refused { by: order, .. } if order.nonce == nonce(by))
}

#[test]
fn a_slot_is_one_claimants_for_as_long_as_its_lease_is_kept() {
    let mut setting = Setting::new();
    assert_eq!(setting.take(1, 0, 101), GRANTED);
    let instant = Duration::from_nanos(1);
    setting.pass(Rules::default().kept(LEASE).saturating_sub(instant));
    assert!(is_refused(&setting.take(2, 0, 102), 1));
    setting.pass(instant);
    assert_eq!(setting.take(2, 0, 102), GRANTED);
    assert!(is_refused(&setting.keep(1, 0, 101, true), 2));
}

#[test]
fn a_witness_that_has_forgotten_all_offers_who_tells_it_the_slot_that_they_had() {
    let mut setting = Setting::new();
    for (claimant, had) in [(1, Some(1)), (2, Some(0)), (3, Some(0)), (4, Some(7))] {
        let request = setting.request(claimant, Wish::Seek { expected: 0, yields: false, had });
        let silent = Speech::Silent { left: Duration::from_secs(1) };
        assert!(matches!(setting.send(&request, silent), Some(Verdict::Silent { .. })));
    }
    assert_eq!(setting.seek(1), Place::Offered { slot: 1 });
    assert_eq!(setting.seek(2), Place::Offered { slot: 0 });
    assert_eq!(setting.seek(3), Place::Offered { slot: 2 }, "who says so later");
    assert_eq!(setting.seek(4), Place::Waits { before: 0 });
}

#[test]
fn more_time_counts_from_when_it_was_asked_for() {
    let mut setting = Setting::new();
    setting.take(1, 0, 101);
    for _ in 0..5 {
        setting.pass(LEASE / 2);
        assert_eq!(setting.keep(1, 0, 101, true), GRANTED);
    }
    setting.pass(LEASE);
    assert!(is_refused(&setting.take(2, 0, 102), 1));
}

#[test]
fn a_lease_is_never_longer_than_the_witness_grants() {
    let mut setting = Setting::new();
    let mut request = setting.request(1, Wish::Take { slot: 0, token: 101 });
    request.lease = 60_000;
    assert_eq!(setting.send(&request, Speech::Speaks), Some(GRANTED));
    setting.pass_a_lease();
    assert_eq!(setting.take(2, 0, 102), GRANTED);
}

#[test]
fn a_request_for_another_incarnation_or_from_long_ago_is_to_be_sent_again() {
    let mut setting = Setting::new();
    let recorded = setting.request(1, Wish::Take { slot: 0, token: 101 });
    let other = Request { epoch: Epoch(2), ..recorded.clone() };
    let early = Request { stamp: setting.now.after(Duration::from_nanos(1)), ..recorded.clone() };
    for request in [other, early] {
        assert_eq!(setting.send(&request, Speech::Speaks), Some(Verdict::Again));
    }
    assert_eq!(setting.send(&recorded, Speech::Speaks), Some(GRANTED));
    setting.ask(1, Wish::Release { token: 101 });
    // As long as the witness knows its claimant, by its number; then, by its time.
    for _ in 0..40 {
        setting.pass(LEASE / 20);
        assert!(matches!(setting.send(&recorded, Speech::Speaks), None | Some(Verdict::Again)));
        assert_eq!(setting.witness.slots.free(), 3);
    }
}

#[test]
fn an_earlier_request_that_comes_later_changes_nothing() {
    let mut setting = Setting::new();
    let yields = setting.request(1, Wish::Seek { expected: 0, yields: true, had: None });
    let release = setting.request(1, Wish::Release { token: 200 });
    let other = setting.request(1, Wish::Take { slot: 1, token: 105 });
    assert_eq!(setting.take(1, 0, 101), GRANTED);
    for late in [yields, release, other] {
        assert_eq!(setting.send(&late, Speech::Speaks), None);
    }
    assert!(is_refused(&setting.take(2, 0, 102), 1));
}

#[test]
fn a_slot_never_has_a_token_that_is_not_greater_than_all_that_it_had() {
    let mut setting = Setting::new();
    assert_eq!(
        setting.take(1, 0, 100),
        Verdict::TooLow { highest: 100 },
        "an earlier incarnation may have granted it"
    );
    assert_eq!(setting.take(1, 0, 150), GRANTED);
    setting.ask(1, Wish::Release { token: 150 });
    assert_eq!(setting.take(2, 0, 150), Verdict::TooLow { highest: 150 });
    assert_eq!(setting.take(2, 1, 150), GRANTED);
    assert_eq!(setting.take(2, 0, 151), GRANTED);
    assert!(matches!(
        setting.ask(3, Wish::Seek { expected: 0, yields: false, had: None }),
        Verdict::Place { highest: 151, .. }
    ));
}

#[test]
fn who_takes_a_slot_has_no_other() {
    let mut setting = Setting::new();
    setting.take(1, 0, 101);
    assert_eq!(setting.take(1, 1, 102), GRANTED);
    assert_eq!(setting.take(2, 0, 103), GRANTED);
}

#[test]
fn who_was_refused_by_others_and_yields_leaves_the_slot_to_its_holder() {
    let mut setting = Setting::new();
    setting.take(1, 0, 101);
    // The holder is not heard for a lease, and has the other witnesses.
    setting.pass_a_lease();
    assert_eq!(setting.take(2, 0, 102), GRANTED);
    setting.ask(2, Wish::Seek { expected: 0, yields: true, had: None });
    assert_eq!(setting.keep(1, 0, 101, true), GRANTED);
}

#[test]
fn what_was_given_back_is_not_kept_by_another_process_of_the_claimant() {
    let mut setting = Setting::new();
    setting.take(1, 0, 101);
    assert_eq!(setting.ask(1, Wish::Release { token: 101 }), Verdict::Released);
    assert_eq!(setting.keep(1, 0, 101, true), Verdict::Gone);
    assert_eq!(setting.keep(1, 0, 101, false), Verdict::Gone);
}

#[test]
fn a_later_process_of_the_claimant_has_the_greater_token_and_the_earlier_one_nothing_to_say() {
    let mut setting = Setting::new();
    setting.take(1, 2, 101);
    assert_eq!(setting.seek(1), Place::Has { slot: 2, token: 101 });
    assert_eq!(setting.take(1, 2, 102), GRANTED);
    assert_eq!(setting.keep(1, 2, 101, true), Verdict::Gone);
    assert_eq!(setting.take(1, 2, 101), Verdict::Gone);
    setting.ask(1, Wish::Release { token: 101 });
    assert!(is_refused(&setting.take(2, 2, 103), 1));
}

#[test]
fn who_was_followed_by_a_later_process_is_told_so_whatever_it_wants() {
    let mut setting = Setting::new();
    setting.take(1, 0, 101);
    setting.process = 2;
    assert_eq!(setting.keep(1, 0, 101, false), GRANTED);
    setting.process = 1;
    assert_eq!(setting.keep(1, 0, 101, true), Verdict::Gone);
    assert_eq!(setting.take(1, 1, 102), Verdict::Gone);
    assert_eq!(setting.ask(1, Wish::Seek { expected: 0, yields: true, had: None }), Verdict::Gone);
    assert_eq!(setting.ask(1, Wish::Release { token: 102 }), Verdict::Released);
    setting.process = 2;
    assert_eq!(setting.keep(1, 0, 101, true), GRANTED);
}

#[test]
fn a_process_goes_on_only_with_what_is_held_under_that_token() {
    let mut setting = Setting::new();
    setting.take(1, 0, 101);
    for (claimant, slot, token) in [(1, 0, 102), (1, 1, 101)] {
        assert_eq!(setting.keep(claimant, slot, token, false), Verdict::Gone);
    }
    assert!(is_refused(&setting.keep(2, 0, 101, false), 1));
    assert_eq!(setting.keep(1, 0, 101, false), GRANTED);
    setting.pass_a_lease();
    assert_eq!(setting.keep(1, 0, 101, false), Verdict::Gone);
}

#[test]
fn a_silent_witness_grants_nothing_and_remembers_what_is_held() {
    let mut setting = Setting::new();
    let silent = Speech::Silent { left: Duration::from_secs(3) };
    let told = Some(Verdict::Silent { left: 3000 });
    let take = setting.request(2, Wish::Take { slot: 1, token: 101 });
    let keep = setting.request(1, Wish::Keep { slot: 0, token: 102, unbroken: true });
    let resume = setting.request(3, Wish::Keep { slot: 2, token: 103, unbroken: false });
    for request in [take, keep, resume] {
        assert_eq!(setting.send(&request, silent), told);
    }
    setting.pass(Duration::from_secs(3));
    assert!(is_refused(&setting.take(2, 0, 110), 1));
    assert_eq!(setting.take(4, 1, 111), GRANTED);
    assert_eq!(setting.take(5, 2, 112), GRANTED);
}

#[test]
fn those_in_line_are_told_when_their_turn_has_come() {
    let mut setting = Setting::new();
    for (claimant, slot) in [(1, 0), (2, 1), (3, 2)] {
        setting.take(claimant, slot, 101);
    }
    // The one that was started first is first.
    assert_eq!(setting.seek(9), Place::Waits { before: 0 });
    assert_eq!(setting.seek(7), Place::Waits { before: 0 });
    assert_eq!(setting.seek(9), Place::Waits { before: 1 });
    setting.ask(2, Wish::Release { token: 101 });
    let offered = |slot| Verdict::Place { highest: 101, place: Place::Offered { slot } };
    assert_eq!(setting.told, [(home(7), offered(1))]);
    // It does not come; and holders that are not heard from have their time.
    setting.told.clear();
    setting.pass(Duration::from_secs(1));
    let mut out = Vec::new();
    setting.witness.tick(setting.now, Speech::Speaks, &mut out);
    assert!(matches!(&out[..], [Outgoing { to, .. }] if *to == home(9)), "{out:?}");
}

#[test]
fn who_has_which_slot_is_told_page_by_page() {
    let mut setting = Setting::new();
    for claimant in 0..3 {
        setting.take(claimant + 1, claimant.into(), 101);
        setting.pass(Duration::from_secs(1));
    }
    setting.seek(9);
    let page = setting.witness.page(setting.now, &Ask { pool: "".into(), number: 5, from: 1 });
    let told: Vec<_> =
        page.entries.iter().map(|entry| (entry.slot, entry.who.order.nonce, entry.age)).collect();
    assert_eq!(told, [(1, nonce(2), 2000), (2, nonce(3), 1000)]);
    assert_eq!((page.number, page.next, page.waiting), (5, None, 1));
}

#[test]
fn who_has_another_list_or_other_terms_is_told_which_and_is_given_nothing() {
    let mut setting = Setting::new();
    let request = setting.request(1, Wish::Take { slot: 0, token: 101 });
    let other = List::new(vec![home(9)]).unwrap();
    let elsewhere = Request { list: other, ..request.clone() };
    assert_eq!(setting.send(&elsewhere, Speech::Speaks), Some(Verdict::OtherList(list())));
    let differs = Request { terms: "worker{id}.n5.test, 4".into(), ..request };
    assert_eq!(setting.send(&differs, Speech::Speaks), Some(Verdict::OtherTerms(TERMS.into())));
    assert_eq!(setting.witness.slots.free(), 3);
}
