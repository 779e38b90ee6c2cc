//! The driver, over a store that does as it is told, a datapath that writes down what it hears, and real time.

mod handed_on;
mod inherited;

use std::collections::VecDeque;
use std::future::pending;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::thread;

use tokio::task::JoinHandle;

use super::*;
use crate::store::{Agreement, ClaimStatus, Incarnation, Kind, Local, NodeId, Nonce, State};

const TTL: Duration = Duration::from_secs(1);

/// What was done, and when.
#[derive(Clone, Debug, PartialEq)]
enum Act {
    Claimed,
    Said(String, Deadline),
    RenewalSent,
    Resumed(u32, u64),
    Extended(BootTime),
    Silenced,
    ReleaseSent,
}

#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<(BootTime, Act)>>>);

impl Diary {
    fn note(&self, act: Act) {
        self.0.lock().unwrap().push((BootTime::now(), act));
    }

    fn acts(&self) -> Vec<(BootTime, Act)> {
        self.0.lock().unwrap().clone()
    }

    /// When each act of that kind happened.
    fn when(&self, wanted: impl Fn(&Act) -> bool) -> Vec<BootTime> {
        self.acts().iter().filter(|(_, act)| wanted(act)).map(|(time, _)| *time).collect()
    }

    fn extended(&self) -> Vec<BootTime> {
        let acts = self.acts();
        acts.iter()
            .filter_map(|(_, act)| if let Act::Extended(until) = act { Some(*until) } else { None })
            .collect()
    }

    /// The deadline of what was said as the n-th.
    fn said(&self, n: usize) -> (String, Deadline) {
        let mut said = self.acts().into_iter().filter_map(|(_, act)| match act {
            Act::Said(name, until) => Some((name, until)),
            _ => None,
        });
        said.nth(n).expect("said")
    }
}

impl Voice for Diary {
    fn say(&mut self, name: &NodeName, until: Deadline) {
        self.note(Act::Said(name.to_string(), until));
    }

    fn extend(&mut self, until: BootTime) {
        self.note(Act::Extended(until));
    }

    fn silence(&mut self) {
        self.note(Act::Silenced);
    }
}

/// What becomes of a request.
#[derive(Clone, Copy)]
enum Fate {
    /// Answered after that time.
    Granted(Duration),
    /// Granted, but this whole thread was stopped for that time before it could read the answer.
    Stopped(Duration),
    Lost,
    Unreachable,
    NoAnswer,
}

const AT_ONCE: Fate = Fate::Granted(Duration::ZERO);

/// Grants slot 0, then slot 1 and so on; what is not scripted is granted at once.
struct Scripted {
    diary: Diary,
    slots: u32,
    claims: VecDeque<Fate>,
    renewals: VecDeque<Fate>,
    releases: VecDeque<Fate>,
}

impl Scripted {
    async fn lease(fate: Fate) -> Result<Lease, RenewError> {
        let (lease, ()) = Lease::ask(TTL, |_| async move {
            match fate {
                Fate::Granted(after) => tokio::time::sleep(after).await,
                Fate::Stopped(time) => thread::sleep(time),
                Fate::Lost => return Err(RenewError::Lost),
                Fate::Unreachable => return Err(Unreachable::new("no route to host").into()),
                Fate::NoAnswer => pending().await,
            }
            Ok((TTL, ()))
        })
        .await?;
        Ok(lease)
    }
}

impl Store for Scripted {
    async fn claim(&mut self, _: &Progress) -> Result<Grant, ClaimError> {
        let fate = self.claims.pop_front().unwrap_or(AT_ONCE);
        if let Fate::Lost = fate {
            let source = std::io::ErrorKind::ReadOnlyFilesystem.into();
            return Err(ClaimError::Directory { path: "/run".into(), source });
        }
        let lease = Self::lease(fate).await.expect("a claim is granted, refused or waits");
        self.diary.note(Act::Claimed);
        let slot = self.slots;
        self.slots += 1;
        Ok(Grant { slot, token: u64::from(slot) + 7, lease })
    }

    async fn renew(&mut self) -> Result<Lease, RenewError> {
        self.diary.note(Act::RenewalSent);
        Self::lease(self.renewals.pop_front().unwrap_or(AT_ONCE)).await
    }

    async fn resume(&mut self, Inherited { slot, token, .. }: Inherited) -> Result<Lease, RenewError> {
        self.diary.note(Act::Resumed(slot, token));
        Self::lease(self.renewals.pop_front().unwrap_or(AT_ONCE)).await
    }

    async fn release(&mut self) -> Result<(), Unreachable> {
        self.diary.note(Act::ReleaseSent);
        match Self::lease(self.releases.pop_front().unwrap_or(AT_ONCE)).await {
            Err(RenewError::Unreachable(reason)) => Err(reason),
            _ => Ok(()),
        }
    }
}

/// A driver at work.
struct Held {
    diary: Diary,
    status: watch::Receiver<ClaimStatus>,
    events: mpsc::UnboundedReceiver<Event>,
    stop: watch::Sender<bool>,
    hand_on: mpsc::UnboundedSender<oneshot::Sender<HandedOn>>,
    driver: JoinHandle<Result<(), ClaimError>>,
}

impl Held {
    /// Starts it on a store that lets these be the fates of what it is asked.
    fn script(claims: &[Fate], renewals: &[Fate], releases: &[Fate]) -> Self {
        let [claims, renewals, releases] =
            [claims, renewals, releases].map(|fates| fates.iter().copied().collect());
        let diary = Diary::default();
        let store = Scripted { diary: diary.clone(), slots: 0, claims, renewals, releases };
        Self::start(store, diary, None)
    }

    /// Starts it with slot 3, token 9, for half a lease more; these are the fates of being resumed, and then renewed.
    fn inheriting(renewals: &[Fate]) -> Self {
        let diary = Diary::default();
        let (claims, renewals) = (VecDeque::new(), renewals.iter().copied().collect());
        let store = Scripted { diary: diary.clone(), slots: 0, claims, renewals, releases: VecDeque::new() };
        let until = BootTime::now().saturating_add(TTL / 2);
        Self::start(store, diary, Some(Inherited { slot: 3, token: 9, until }))
    }

    fn start(store: impl Store + 'static, diary: Diary, inherited: Option<Inherited>) -> Self {
        let (progress, status) = Progress::new(Kind::Local, "worker{id}.tf.local");
        let (report, events) = report(progress);
        let (stop, stopped) = watch::channel(false);
        let (hand_on, handing_on) = mpsc::unbounded_channel();
        let voice = diary.clone();
        let driver = tokio::spawn(async move {
            let pattern = Pattern::parse("worker{id}.tf.local", NonZeroU32::new(10).unwrap()).unwrap();
            let mut orders = Orders { stop: stopped, hand_on: handing_on };
            hold(store, &pattern, voice, &report, inherited, &mut orders).await
        });
        Self { diary, status, events, stop, hand_on, driver }
    }

    /// Has the name handed on.
    async fn hand_on(&self) -> HandedOn {
        let (told, answer) = oneshot::channel();
        self.hand_on.send(told).expect("a driver");
        tokio::time::timeout(TTL * 3, answer).await.expect("an answer").expect("a driver")
    }

    /// The next thing that happens to the name, and when.
    async fn event(&mut self) -> (BootTime, &'static str, String) {
        let event =
            tokio::time::timeout(TTL * 3, self.events.recv()).await.expect("an event").expect("a driver");
        let (kind, name) = match event {
            Event::Ready(name) => ("ready", name),
            Event::Lost(name) => ("lost", name),
        };
        (BootTime::now(), kind, name.to_string())
    }

    async fn expect(&mut self, kind: &str, name: &str) -> BootTime {
        let (time, happened, to) = self.event().await;
        assert_eq!((happened, to.as_str()), (kind, name), "{:#?}", self.diary.acts());
        time
    }

    fn state(&self) -> (State, Option<u32>, Option<u64>) {
        let status = self.status.borrow();
        (status.store.state, status.slot, status.token)
    }

    async fn stop(self) -> Diary {
        self.stop.send_replace(true);
        tokio::time::timeout(TTL * 3, self.driver).await.expect("an end").unwrap().unwrap();
        self.diary
    }
}

fn report(progress: Progress) -> (Report, mpsc::UnboundedReceiver<Event>) {
    let (events, receiver) = mpsc::unbounded_channel();
    (Report { progress, events }, receiver)
}

fn at(deadline: Deadline) -> BootTime {
    match deadline {
        Deadline::At(deadline) => deadline,
        Deadline::Never => panic!("a lease has a deadline"),
    }
}

#[tokio::test]
async fn a_stop_takes_the_name_off_the_wire_before_the_slot_is_given_back() {
    let mut held = Held::script(&[], &[], &[]);
    held.expect("ready", "worker0.tf.local").await;
    assert_eq!(held.state(), (State::Held, Some(0), Some(7)));
    held.stop.send(true).unwrap();
    held.expect("lost", "worker0.tf.local").await;
    assert_eq!(held.state(), (State::Released, None, None));
    let diary = held.stop().await;
    let acts = diary.acts();
    let [.., (silenced, Act::Silenced), (released, Act::ReleaseSent)] = acts.as_slice() else {
        panic!("{acts:#?}")
    };
    assert!(*released >= silenced.saturating_add(clock::jiffy() * 6), "{acts:#?}");
}

#[tokio::test]
async fn a_stopper_that_is_gone_stops() {
    let mut held = Held::script(&[], &[], &[]);
    held.expect("ready", "worker0.tf.local").await;
    drop(held.stop);
    tokio::time::timeout(TTL, held.driver).await.expect("an end").unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_in_line_releases_what_the_store_may_have_granted_by_then() {
    let held = Held::script(&[Fate::NoAnswer], &[], &[]);
    tokio::time::sleep(TTL / 10).await;
    let acts: Vec<_> = held.stop().await.acts().into_iter().map(|(_, act)| act).collect();
    assert_eq!(acts, [Act::Silenced, Act::ReleaseSent]);
}

#[tokio::test]
async fn a_release_that_is_not_answered_delays_the_end_by_two_seconds_only() {
    let mut held = Held::script(&[], &[], &[Fate::NoAnswer]);
    held.expect("ready", "worker0.tf.local").await;
    let stopped = BootTime::now();
    held.stop.send(true).unwrap();
    let lost = held.expect("lost", "worker0.tf.local").await;
    assert!(lost <= stopped.saturating_add(RELEASE_LIMIT + TTL / 5), "{stopped:?} {lost:?}");
    held.stop().await;
}

#[tokio::test]
async fn a_claim_that_no_waiting_mends_ends_the_driver_with_nothing_said() {
    let held = Held::script(&[Fate::Lost], &[], &[]);
    let error = held.driver.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("/run"), "{error}");
    assert_eq!(held.diary.acts(), []);
}

#[tokio::test]
async fn who_had_a_name_and_is_refused_then_asks_until_it_is_let_again() {
    let mut held = Held::script(&[AT_ONCE, Fate::Lost, AT_ONCE], &[Fate::Lost], &[]);
    held.expect("ready", "worker0.tf.local").await;
    held.expect("lost", "worker0.tf.local").await;
    let told = |status: &ClaimStatus| status.store.reason.as_ref().is_some_and(|why| why.contains("/run"));
    let status = held.status.wait_for(told).await.expect("a driver").clone();
    assert_eq!((status.store.state, status.slot), (State::Unreachable, None));
    tokio::time::sleep(REFUSED).await;
    held.expect("ready", "worker1.tf.local").await;
    assert_eq!(held.state(), (State::Held, Some(1), Some(8)));
    held.stop().await;
}

#[tokio::test]
async fn deadlines_count_from_when_the_renewal_was_sent() {
    let slow = Fate::Granted(TTL / 5);
    let mut held = Held::script(&[], &[slow; 10], &[]);
    let ready = held.expect("ready", "worker0.tf.local").await;
    tokio::time::sleep(TTL * 2).await;
    assert!(held.events.try_recv().is_err(), "said all the time");
    let diary = held.stop().await;
    let said = at(diary.said(0).1);
    assert!(said <= ready.saturating_add(TTL), "{said:?} {ready:?}");
    let sent = diary.when(|act| *act == Act::RenewalSent);
    let extended = diary.extended();
    assert!(extended.len() >= 3, "{extended:?}");
    for (sent, until) in sent.into_iter().zip(extended) {
        // The clock is read right after the note; the margin is 20 ms and 6 jiffies.
        let count = until.as_nanos() - sent.as_nanos();
        let expected = TTL.saturating_sub(TTL / 50 + clock::silence());
        let count = Duration::from_nanos(count);
        assert!(count >= expected && count < expected + TTL / 50, "{count:?} {expected:?}");
    }
}

#[tokio::test]
async fn renewals_are_sent_three_times_a_lease() {
    let mut held = Held::script(&[], &[], &[]);
    held.expect("ready", "worker0.tf.local").await;
    tokio::time::sleep(TTL * 2).await;
    let diary = held.stop().await;
    let sent = diary.when(|act| *act == Act::RenewalSent);
    assert!((5..=7).contains(&sent.len()), "{sent:?}");
    for pair in sent.windows(2) {
        let pause = Duration::from_nanos(pair[1].as_nanos() - pair[0].as_nanos());
        assert!((TTL * 29 / 100..=TTL * 40 / 100).contains(&pause), "{pause:?}");
    }
}

#[tokio::test]
async fn a_lost_slot_is_silenced_at_once_and_another_claimed() {
    let mut held = Held::script(&[], &[AT_ONCE, Fate::Lost], &[]);
    held.expect("ready", "worker0.tf.local").await;
    held.expect("lost", "worker0.tf.local").await;
    held.expect("ready", "worker1.tf.local").await;
    assert_eq!(held.state(), (State::Held, Some(1), Some(8)));
    let acts: Vec<_> = held.stop().await.acts();
    let lost = acts.iter().rposition(|(_, act)| *act == Act::RenewalSent).unwrap();
    let [(sent, _), (silenced, Act::Silenced), (_, Act::Claimed), (_, Act::Said(name, _)), ..] =
        &acts[lost..]
    else {
        panic!("{acts:#?}");
    };
    assert_eq!(name, "worker1.tf.local");
    assert!(*silenced <= sent.saturating_add(TTL / 20), "{acts:#?}");
}

#[tokio::test]
async fn a_store_that_fails_for_less_than_the_lease_is_not_noticed_on_the_wire() {
    let mut held = Held::script(&[], &[Fate::Unreachable, Fate::NoAnswer, AT_ONCE], &[]);
    held.expect("ready", "worker0.tf.local").await;
    let unreachable = held.status.wait_for(|status| status.store.state == State::Unreachable);
    assert_eq!(unreachable.await.unwrap().slot, Some(0), "still ours");
    held.status.wait_for(|status| status.store.state == State::Held).await.unwrap();
    tokio::time::sleep(TTL).await;
    assert!(held.events.try_recv().is_err());
    assert!(held.stop().await.extended().len() >= 2);
}

#[tokio::test]
async fn a_name_is_lost_when_its_deadline_passes_and_not_before() {
    let mut held = Held::script(&[], &[Fate::Unreachable; 50], &[]);
    held.expect("ready", "worker0.tf.local").await;
    let lost = held.expect("lost", "worker0.tf.local").await;
    let deadline = at(held.diary.said(0).1);
    assert!(lost >= deadline && lost <= deadline.saturating_add(TTL / 20), "{lost:?} {deadline:?}");
    held.expect("ready", "worker1.tf.local").await;
    let diary = held.stop().await;
    let sent = diary.when(|act| *act == Act::RenewalSent);
    assert!((3..=8).contains(&sent.len()), "asked again, with pauses: {sent:?}");
    assert_eq!(diary.extended(), []);
}

#[tokio::test]
async fn a_renewal_that_hangs_is_given_up_with_the_deadline() {
    let mut held = Held::script(&[], &[Fate::NoAnswer; 5], &[]);
    held.expect("ready", "worker0.tf.local").await;
    let lost = held.expect("lost", "worker0.tf.local").await;
    let deadline = at(held.diary.said(0).1);
    assert!(lost >= deadline && lost <= deadline.saturating_add(TTL / 20), "{lost:?} {deadline:?}");
    assert!(held.stop().await.when(|act| *act == Act::RenewalSent).len() >= 2, "asked again in between");
}

#[tokio::test]
async fn a_process_that_wakes_past_its_deadline_does_not_revive_the_name() {
    // Sent at 0.33 s, read at 1.13 s: the old deadline was at 0.95 s, the renewed one would be at 1.28 s.
    let mut held = Held::script(&[], &[Fate::Stopped(TTL * 4 / 5)], &[]);
    held.expect("ready", "worker0.tf.local").await;
    held.expect("lost", "worker0.tf.local").await;
    held.expect("ready", "worker1.tf.local").await;
    let acts: Vec<_> = held.stop().await.acts().into_iter().map(|(_, act)| act).collect();
    let [Act::Claimed, Act::Said(..), Act::RenewalSent, Act::Silenced, Act::Claimed, Act::Said(..), ..] =
        acts.as_slice()
    else {
        panic!("{acts:#?}");
    };
}

#[tokio::test]
async fn a_grant_that_is_read_past_its_deadline_is_never_said() {
    let mut held = Held::script(&[Fate::Stopped(TTL)], &[], &[]);
    held.expect("ready", "worker1.tf.local").await;
    assert_eq!(held.stop().await.said(0).0, "worker1.tf.local");
}

#[tokio::test]
async fn a_slot_that_is_granted_too_late_again_and_again_is_given_back() {
    let mut held = Held::script(&[Fate::Stopped(TTL); 2], &[], &[]);
    held.expect("ready", "worker2.tf.local").await;
    let acts = held.stop().await.acts();
    let order: Vec<&Act> = acts.iter().map(|(_, act)| act).take(5).collect();
    let [Act::Claimed, Act::Claimed, Act::Silenced, Act::ReleaseSent, Act::Claimed] = order[..] else {
        panic!("{acts:#?}");
    };
}

#[tokio::test]
async fn a_name_given_by_hand_is_said_without_a_deadline_until_the_stop() {
    let diary = Diary::default();
    let (progress, status) = Progress::new(Kind::Static, "static");
    let (report, mut events) = report(progress);
    let (stop, mut stopped) = watch::channel(false);
    let name = Pattern::parse("ns{id}.example.net", NonZeroU32::new(10).unwrap()).unwrap().name(1);
    let said = tokio::spawn({
        let (name, voice) = (name.clone(), diary.clone());
        async move { fixed(name, voice, &report, &mut stopped).await }
    });
    assert_eq!(events.recv().await, Some(Event::Ready(name.clone())));
    assert_eq!((status.borrow().store.state, status.borrow().slot), (State::Held, None));
    stop.send(true).unwrap();
    assert_eq!(events.recv().await, Some(Event::Lost(name)));
    let lost = BootTime::now();
    said.await.unwrap();
    let acts = diary.acts();
    let [(_, Act::Said(name, Deadline::Never)), (silenced, Act::Silenced)] = acts.as_slice() else {
        panic!("{acts:#?}");
    };
    assert_eq!(name, "ns1.example.net");
    assert!(lost >= silenced.saturating_add(clock::jiffy() * 6));
}

#[tokio::test]
async fn over_the_local_store_the_next_holder_speaks_only_when_the_last_is_silent() {
    let directory = tempfile::tempdir().unwrap();
    let start = || {
        let nonce = Nonce::random().unwrap();
        let node = NodeId::of(&nonce.to_string(), "test", 0);
        let agreement = Agreement::new(&Pattern::parse("worker{id}.tf.local", NonZeroU32::MIN).unwrap());
        let incarnation = Incarnation::new(nonce, node, String::new());
        let store = Local::new(directory.path().join("pool"), incarnation, agreement, TTL);
        Held::start(store, Diary::default(), None)
    };
    let mut killed = start();
    killed.expect("ready", "worker0.tf.local").await;
    let mut stopped = start();
    // Killed after a renewal or two.
    tokio::time::sleep(TTL).await;
    killed.driver.abort();
    stopped.expect("ready", "worker0.tf.local").await;
    let last = *killed.diary.extended().last().expect("renewed");
    let next = stopped.diary.when(|act| matches!(act, Act::Said(..)))[0];
    assert!(next >= last.saturating_add(clock::silence()), "{next:?} {last:?}");
    // Stopped in order: handed on long before the deadline.
    let mut last = start();
    tokio::time::sleep(TTL / 10).await;
    let silenced = stopped.stop().await.when(|act| *act == Act::Silenced)[0];
    last.expect("ready", "worker0.tf.local").await;
    let said = last.diary.when(|act| matches!(act, Act::Said(..)))[0];
    assert!(said >= silenced.saturating_add(clock::silence()), "{said:?} {silenced:?}");
    assert!(said <= silenced.saturating_add(TTL / 4), "{said:?} {silenced:?}");
    last.stop().await;
}
