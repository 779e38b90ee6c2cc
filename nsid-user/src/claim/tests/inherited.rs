//! What a predecessor claimed, gone on with or prolonged.

use super::*;

#[tokio::test]
async fn what_was_inherited_is_resumed_and_no_slot_is_claimed() {
    let mut held = Held::inheriting(&[Fate::Unreachable]);
    held.expect("ready", "worker3.tf.local").await;
    assert_eq!(held.state(), (State::Held, Some(3), Some(9)));
    tokio::time::sleep(TTL).await;
    let diary = held.stop().await;
    assert_eq!(diary.when(|act| *act == Act::Claimed), []);
    let acts: Vec<_> = diary.acts().into_iter().map(|(_, act)| act).take(3).collect();
    let [Act::Resumed(3, 9), Act::Resumed(3, 9), Act::Said(name, Deadline::At(_))] = &acts[..] else {
        panic!("{acts:#?}")
    };
    assert_eq!(name, "worker3.tf.local");
    assert!(diary.extended().len() >= 2, "renewed since: {:#?}", diary.acts());
}

#[tokio::test]
async fn what_was_inherited_and_is_lost_is_silenced_before_another_slot_is_claimed() {
    let mut held = Held::inheriting(&[Fate::Lost]);
    held.expect("lost", "worker3.tf.local").await;
    held.expect("ready", "worker0.tf.local").await;
    let acts: Vec<_> = held.stop().await.acts().into_iter().map(|(_, act)| act).collect();
    let [Act::Resumed(3, 9), Act::Silenced, Act::Claimed, ..] = &acts[..] else { panic!("{acts:#?}") };
}

#[tokio::test]
async fn what_was_inherited_is_lost_at_its_deadline_if_the_store_does_not_answer() {
    let start = BootTime::now();
    let mut held = Held::inheriting(&[Fate::NoAnswer; 10]);
    let lost = held.expect("lost", "worker3.tf.local").await;
    let (earliest, latest) = (start.saturating_add(TTL / 2), start.saturating_add(TTL / 2 + TTL / 10));
    assert!((earliest..latest).contains(&lost), "{start:?} {lost:?}");
    held.stop().await;
}

#[tokio::test]
async fn what_is_prolonged_is_extended_and_neither_said_nor_silenced_nor_given_back() {
    let diary = Diary::default();
    let renewals = VecDeque::from([Fate::Unreachable, AT_ONCE, AT_ONCE, Fate::Lost]);
    let store = Scripted {
        diary: diary.clone(),
        slots: 0,
        claims: VecDeque::new(),
        renewals,
        releases: VecDeque::new(),
    };
    let (progress, status) = Progress::new(Kind::Local, "worker{id}.tf.local");
    let (report, mut events) = report(progress);
    let pattern = Pattern::parse("worker{id}.tf.local", NonZeroU32::new(10).unwrap()).unwrap();
    let until = BootTime::now().saturating_add(TTL / 2);
    let inherited = Inherited { slot: 3, token: 9, until };
    let prolonged = prolong(store, &pattern, diary.clone(), &report, inherited);
    tokio::time::timeout(TTL * 3, prolonged).await.expect("it ends when the slot is lost");
    let acts: Vec<_> = diary.acts().into_iter().map(|(_, act)| act).collect();
    let [
        Act::Resumed(3, 9),
        Act::Resumed(3, 9),
        Act::Extended(first),
        Act::RenewalSent,
        Act::Extended(second),
        Act::RenewalSent,
    ] = acts.as_slice()
    else {
        panic!("{acts:#?}");
    };
    assert!(until < *first && first < second, "{acts:#?}");
    assert_eq!(status.borrow().token, Some(9));
    assert!(events.try_recv().is_err(), "who holds it afterwards tells of it");
}
