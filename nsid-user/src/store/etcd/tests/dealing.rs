//! Crowds in a pool that somebody has left: one of them looks for all.

use std::collections::HashSet;

use super::unsettled::BusyPool;
use super::*;
use crate::store::etcd::dealing::{Deal, PARTS};
use crate::store::etcd::order::LastTaken;

const CROWD: u32 = 40;

impl BusyPool {
    /// A pool that is known to have been left.
    async fn left(limit: u32) -> Self {
        let pool = Self::new(limit);
        for _ in 0..2 {
            let mut leaver = pool.newcomer();
            claim(&mut leaver).await;
            leaver.release().await.unwrap();
        }
        pool
    }

    async fn put(&self, key: &str, value: String) {
        self.0.client().await.put(format!("/nsid/{PATTERN}/{key}"), value, None).await.unwrap();
    }

    /// How often something was dealt, as far as it was not dealt anew.
    async fn deals(&self) -> usize {
        let options = GetOptions::new().with_prefix();
        let parts =
            self.0.client().await.get(format!("/nsid/{PATTERN}/dealt/"), Some(options)).await.unwrap();
        parts.kvs().iter().map(etcd_client::KeyValue::mod_revision).collect::<HashSet<_>>().len()
    }

    async fn revision(&self) -> i64 {
        self.0.client().await.get("/", None).await.unwrap().header().unwrap().revision()
    }

    /// Deals each that.
    async fn deal(&self, revision: i64, steps: impl IntoIterator<Item = (Nonce, Step)>) {
        for (nonce, step) in steps {
            let deal = Deal { revision, long_ago: true, steps: [(nonce, step)].into() };
            self.put(&format!("dealt/{}", nonce.spread(PARTS)), deal.to_json()).await;
        }
    }
}

fn take(slot: u32, last: Option<LastTaken>) -> Step {
    Step { turn: Turn::Take(slot), last, ahead: None }
}

/// Since when a claimant is there that has just come.
async fn arrived(store: &mut Etcd) -> i64 {
    let who = Holder::new(&store.incarnation, EtcdPool::TTL);
    let (Arrived::Now { revision, .. } | Arrived::Before { since: revision, .. }) =
        store.arrive(&who).await.unwrap();
    revision
}

/// Those who have come.
async fn crowd(pool: &BusyPool, count: u32) -> Vec<Etcd> {
    let mut crowd: Vec<Etcd> = (0..count).map(|_| pool.newcomer()).collect();
    join_all(crowd.iter_mut().map(arrived)).await;
    crowd
}

async fn slots(crowd: &mut [Etcd]) -> Vec<u32> {
    let mut slots: Vec<u32> = join_all(crowd.iter_mut().map(claim)).await.iter().map(|it| it.slot).collect();
    slots.sort_unstable();
    slots
}

#[tokio::test]
async fn one_look_is_enough_for_all_who_have_come() {
    let pool = BusyPool::left(CROWD).await;
    let mut crowd = crowd(&pool, CROWD).await;
    assert_eq!(slots(&mut crowd).await, (0..CROWD).collect::<Vec<_>>());
    assert_eq!(pool.deals().await, 1);
    assert_eq!(pool.0.count("dealer").await, 0);
}

#[tokio::test]
async fn who_comes_while_others_are_dealt_to_gets_a_slot_as_well() {
    let pool = BusyPool::left(CROWD).await;
    let mut crowd: Vec<Etcd> = (0..CROWD).map(|_| pool.newcomer()).collect();
    assert_eq!(slots(&mut crowd).await, (0..CROWD).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_dealer_that_does_not_deal_is_waited_for_and_then_another_one_deals() {
    let pool = BusyPool::left(CROWD).await;
    let mut crowd = crowd(&pool, CROWD).await;
    pool.put("dealer", "somebody".to_owned()).await;
    let began = Instant::now();
    assert_eq!(slots(&mut crowd).await, (0..CROWD).collect::<Vec<_>>());
    assert!(began.elapsed() > EtcdPool::TTL / RENEWALS);
    assert_eq!(pool.deals().await, 1);
    assert_eq!(pool.0.count("dealer").await, 0);
}

#[tokio::test]
async fn who_was_not_told_that_it_is_the_dealer_finds_that_out() {
    let pool = BusyPool::left(3).await;
    let mut store = pool.newcomer();
    arrived(&mut store).await;
    pool.put("dealer", store.incarnation.nonce.to_string()).await;
    timeout(EtcdPool::TTL / RENEWALS, claim(&mut store)).await.expect("claimed");
    assert_eq!(pool.0.count("dealer").await, 0);
}

#[tokio::test]
async fn a_claim_that_is_dropped_while_it_deals_holds_nobody_up() {
    let pool = BusyPool::left(CROWD).await;
    for polls in 1.. {
        let mut crowd = crowd(&pool, 2).await;
        let whole = dropped_after(polls, claim(&mut crowd[0])).await.is_some();
        assert_eq!(slots(&mut crowd).await, [0, 1], "dropped after {polls} polls");
        for store in &mut crowd {
            store.release().await.unwrap();
        }
        if whole {
            break;
        }
    }
}

#[tokio::test]
async fn who_is_dealt_what_somebody_may_have_by_its_arrival_keeps_silent_for_a_while() {
    let pool = BusyPool::left(3).await;
    let mut store = pool.newcomer();
    arrived(&mut store).await;
    let deal = Deal {
        revision: pool.revision().await,
        long_ago: false,
        steps: [(store.incarnation.nonce, take(2, None))].into(),
    };
    pool.put(&format!("dealt/{}", store.incarnation.nonce.spread(PARTS)), deal.to_json()).await;
    let began = Instant::now();
    assert_eq!(claim(&mut store).await.slot, 2);
    assert!(began.elapsed() >= NOTICE);
}

/// Slots without records may be of who has not put its record yet.
#[tokio::test]
async fn a_dealer_that_cannot_tell_all_yet_deals_what_it_can() {
    let pool = BusyPool::new(4);
    let (mut holder, _) = pool.holder().await;
    let (mut leaver, _) = pool.holder().await;
    leaver.release().await.unwrap();
    pool.put("left", String::new()).await;
    let [mut first, mut second] = [pool.newcomer(), pool.newcomer()];
    arrived(&mut first).await;
    arrived(&mut second).await;
    let (second, _status) = claiming(second);
    while pool.deals().await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(timeout(EtcdPool::TTL / RENEWALS, claim(&mut first)).await.expect("dealt").slot, 1);
    assert!(!second.is_finished());
    holder.renew().await.unwrap();
    assert_eq!(timeout(EtcdPool::TTL, second).await.expect("claimed").unwrap().slot, 2);
}

#[tokio::test]
async fn the_nodes_of_a_crowd_that_is_back_get_the_slots_that_they_had() {
    let pool = BusyPool::left(CROWD).await;
    let node = |number| NodeId::of("machine", "test", number);
    let crowd = || {
        let nonces = std::iter::repeat_with(|| Nonce::random().unwrap());
        let who =
            nonces.zip(0..CROWD).map(|(nonce, number)| Incarnation::new(nonce, node(number), String::new()));
        who.map(|who| pool.claimant_of(who, pool.agreement())).collect::<Vec<_>>()
    };
    let mut before = crowd();
    let had: Vec<u32> = join_all(before.iter_mut().map(claim)).await.iter().map(|it| it.slot).collect();
    for store in &mut before {
        store.release().await.unwrap();
    }
    let mut back = crowd();
    join_all(back.iter_mut().map(arrived)).await;
    let has: Vec<u32> = join_all(back.iter_mut().map(claim)).await.iter().map(|it| it.slot).collect();
    assert_eq!(has, had);
}

#[tokio::test]
async fn who_is_dealt_a_slot_takes_that_one() {
    let pool = BusyPool::left(3).await;
    let mut store = pool.newcomer();
    arrived(&mut store).await;
    pool.deal(pool.revision().await, [(store.incarnation.nonce, take(2, None))]).await;
    assert_eq!(claim(&mut store).await.slot, 2);
}

#[tokio::test]
async fn a_deal_of_before_is_none_and_who_is_not_in_one_looks_itself() {
    let pool = BusyPool::left(3).await;
    let [mut early, mut late] = [pool.newcomer(), pool.newcomer()];
    pool.deal(pool.revision().await, [(early.incarnation.nonce, take(2, None))]).await;
    assert_eq!(claim(&mut early).await.slot, 0);
    arrived(&mut late).await;
    let other = Nonce::random().unwrap();
    let deal =
        Deal { revision: pool.revision().await, long_ago: true, steps: [(other, take(1, None))].into() };
    pool.put(&format!("dealt/{}", late.incarnation.nonce.spread(PARTS)), deal.to_json()).await;
    assert_eq!(claim(&mut late).await.slot, 1);
}

#[tokio::test]
async fn a_deal_that_cannot_be_read_is_none() {
    let pool = BusyPool::left(3).await;
    let mut store = pool.newcomer();
    arrived(&mut store).await;
    pool.put(&format!("dealt/{}", store.incarnation.nonce.spread(PARTS)), "of a later version".to_owned())
        .await;
    assert_eq!(timeout(EtcdPool::TTL, claim(&mut store)).await.expect("claimed").slot, 0);
}

#[tokio::test]
async fn what_somebody_has_by_then_is_not_taken_by_a_deal() {
    let pool = BusyPool::left(3).await;
    let mut holder = pool.newcomer();
    assert_eq!(claim(&mut holder).await.slot, 0);
    let record = holder.held.clone().unwrap();
    let stale = LastTaken { revision: record.revision - 1, gone: None };
    let there = LastTaken { revision: record.revision, gone: Some(holder.incarnation.nonce) };
    for last in [None, Some(stale), Some(there)] {
        let mut store = pool.newcomer();
        arrived(&mut store).await;
        pool.deal(pool.revision().await, [(store.incarnation.nonce, take(0, last))]).await;
        assert_eq!(claim(&mut store).await.slot, 1);
        store.release().await.unwrap();
        holder.renew().await.unwrap();
    }
}

#[tokio::test]
async fn a_dealer_that_leaves_is_none_any_more() {
    let pool = BusyPool::left(3).await;
    let mut dealer = pool.newcomer();
    let since = arrived(&mut dealer).await;
    assert!(dealer.dealt(since).await.unwrap().is_none());
    assert_eq!(pool.0.count("dealer").await, 1);
    dealer.release().await.unwrap();
    assert_eq!(pool.0.count("dealer").await, 0);
}

#[tokio::test]
async fn who_waits_by_a_deal_takes_the_slot_of_who_leaves() {
    let pool = BusyPool::left(1).await;
    let mut holder = pool.newcomer();
    claim(&mut holder).await;
    let mut store = pool.newcomer();
    arrived(&mut store).await;
    let wait = Step { turn: Turn::Wait { departures: 1 }, last: None, ahead: None };
    pool.deal(pool.revision().await, [(store.incarnation.nonce, wait)]).await;
    let (line, mut status) = claiming(store);
    status.wait_for(|status| status.store.state == State::Waiting).await.unwrap();
    holder.release().await.unwrap();
    assert_eq!(timeout(EtcdPool::TTL, line).await.expect("handed on").unwrap().slot, 0);
}
