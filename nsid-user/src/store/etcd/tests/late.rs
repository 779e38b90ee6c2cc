//! Requests that a member carries out when the claimant has given them up, or its process has ended.

use super::*;

/// Carries it out late; whether anything came of it.
async fn carried_out(pool: &EtcdPool, late: Txn) -> bool {
    pool.client().await.txn(late).await.unwrap().succeeded()
}

#[tokio::test]
async fn a_slot_that_is_taken_late_after_a_crash_is_not_and_the_one_that_was_taken_since_stays() {
    let pool = EtcdPool::new(3);
    let mut earlier = pool.newcomer();
    let who = SlotRecord::taken(Holder::new(&earlier.incarnation, EtcdPool::TTL));
    earlier.arrive(&who.holder).await.unwrap();
    let (_, leased) = earlier.session.grant(Urgency::Claim).await.unwrap();
    let late = earlier.keys.take(2, &who, None, earlier.session.moving_to(leased.id));
    let mut next = pool.claimant(earlier.incarnation.nonce);
    assert_eq!(claim(&mut next).await.slot, 0);
    assert!(!carried_out(&pool, late).await);
    next.renew().await.unwrap();
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 1);
}

#[tokio::test]
async fn a_lease_that_is_replaced_late_is_not_once_it_was_replaced_again() {
    let pool = EtcdPool::new(3);
    let mut store = pool.newcomer();
    claim(&mut store).await;
    store.renew().await.unwrap();
    for is_late in [false, true] {
        let held = store.held.clone().unwrap();
        let (_, leased) = store.session.grant(Urgency::Renewal).await.unwrap();
        let replace = store.keys.live_on(&held, &store.incarnation, store.session.moving_to(leased.id));
        let mut replace = Some(replace);
        if !is_late {
            assert!(carried_out(&pool, replace.take().unwrap()).await);
        }
        let lease = store.renew().await.unwrap();
        assert_ne!(
            store.session.lease(),
            Some(leased.id),
            "a request may have moved the ticket away from it"
        );
        if let Some(replace) = replace {
            assert!(!carried_out(&pool, replace).await);
        }
        let kept = store.session.lease();
        assert!(store.renew().await.unwrap().deadline() > lease.deadline());
        assert_eq!(store.session.lease(), kept);
    }
}

#[tokio::test]
async fn a_lease_that_an_earlier_process_replaces_late_is_not() {
    let pool = EtcdPool::new(3);
    let mut earlier = pool.newcomer();
    let Grant { slot, token, lease } = claim(&mut earlier).await;
    let held = earlier.held.clone().unwrap();
    let (_, leased) = earlier.session.grant(Urgency::Renewal).await.unwrap();
    let late = earlier.keys.live_on(&held, &earlier.incarnation, earlier.session.moving_to(leased.id));
    let mut next = pool.claimant(earlier.incarnation.nonce);
    next.resume(Inherited { slot, token, until: lease.deadline() }).await.unwrap();
    assert!(!carried_out(&pool, late).await);
    next.renew().await.unwrap();
}

#[tokio::test]
async fn who_is_in_line_is_not_put_back_there_late_once_it_has_a_slot() {
    let pool = EtcdPool::new(1);
    let mut store = pool.newcomer();
    let who = Holder::new(&store.incarnation, EtcdPool::TTL);
    store.arrive(&who).await.unwrap();
    let (_, leased) = store.session.grant(Urgency::Claim).await.unwrap();
    let late = store.keys.stay(who.nonce, &who.node, store.session.moving_to(leased.id), None);
    claim(&mut store).await;
    assert!(!carried_out(&pool, late).await);
    store.renew().await.unwrap();
    assert_eq!(pool.count("tickets/").await, 1);
}

#[tokio::test]
async fn a_lease_that_may_be_revoked_late_is_not_gone_on_with() {
    let pool = EtcdPool::new(3);
    let mut store = pool.newcomer();
    claim(&mut store).await;
    store.renew().await.unwrap();
    let lease = store.session.lease().unwrap();
    assert!(dropped_after(1, store.release()).await.is_none());
    claim(&mut store).await;
    let _late = pool.client().await.lease_revoke(lease).await;
    store.renew().await.unwrap();
}

#[tokio::test]
async fn what_was_not_answered_stays_possible_when_a_later_request_comes_to_nothing() {
    let pool = EtcdPool::new(3);
    let (mut holder, mut store) = (pool.newcomer(), pool.newcomer());
    assert_eq!(claim(&mut holder).await.slot, 0);
    let who = SlotRecord::taken(Holder::new(&store.incarnation, EtcdPool::TTL));
    store.arrive(&who.holder).await.unwrap();
    let (_, unanswered) = store.session.grant(Urgency::Claim).await.unwrap();
    let _late = store.keys.take(2, &who, None, store.session.moving_to(unanswered.id));
    let fresh = store.session.grant(Urgency::Claim).await.unwrap();
    let take = store.keys.take(0, &who, None, store.session.moving_to(fresh.1.id));
    assert!(matches!(store.take(0, take, &who, fresh).await, Ok(Taken::NotAsSeen)));
    assert!(store.session.certain().is_none());
}
