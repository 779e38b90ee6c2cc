//! Names that are handed on.

use super::*;

#[tokio::test]
async fn a_name_is_handed_on_as_at_a_stop_and_another_claimed() {
    let mut held = Held::script(&[], &[], &[]);
    held.expect("ready", "worker0.tf.local").await;
    assert_eq!(held.hand_on().await.unwrap().unwrap().as_str(), "worker0.tf.local");
    assert_eq!(held.state(), (State::Released, None, None));
    held.expect("lost", "worker0.tf.local").await;
    held.expect("ready", "worker1.tf.local").await;
    let acts = held.stop().await.acts();
    let [
        (_, Act::Claimed),
        (_, Act::Said(..)),
        (silenced, Act::Silenced),
        (released, Act::ReleaseSent),
        rest @ ..,
    ] = acts.as_slice()
    else {
        panic!("{acts:#?}")
    };
    assert!(*released >= silenced.saturating_add(clock::jiffy() * 6), "{acts:#?}");
    let [(claimed, Act::Claimed), (_, Act::Said(..)), ..] = rest else { panic!("{acts:#?}") };
    assert!(*claimed >= released.saturating_add(STAND_BACK), "{acts:#?}");
}

#[tokio::test]
async fn who_holds_no_name_hands_none_on_and_goes_on_waiting() {
    let held = Held::script(&[Fate::NoAnswer], &[], &[]);
    assert_eq!(held.hand_on().await.unwrap(), None);
    assert!(held.diary.acts().is_empty(), "{:#?}", held.diary.acts());
}

#[tokio::test]
async fn a_name_that_the_store_could_not_be_given_back_is_silent_all_the_same_and_told() {
    let mut held = Held::script(&[], &[], &[Fate::Unreachable]);
    held.expect("ready", "worker0.tf.local").await;
    let told = held.hand_on().await.unwrap_err().to_string();
    assert_eq!(told, "no route to host");
    held.expect("lost", "worker0.tf.local").await;
    assert_eq!(held.diary.when(|act| *act == Act::Silenced).len(), 1);
}
