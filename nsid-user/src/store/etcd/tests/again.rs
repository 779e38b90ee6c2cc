//! Slots that are claimed again by who had them.

use super::*;

/// A pool that somebody has left, and who has a slot there since.
async fn left(limit: u32) -> (EtcdPool, Etcd, Grant) {
    let pool = EtcdPool::new(limit);
    let mut holder = pool.newcomer();
    claim(&mut holder).await;
    holder.release().await.unwrap();
    let mut holder = pool.newcomer();
    let grant = claim(&mut holder).await;
    (pool, holder, grant)
}

/// What a claim comes to before it looks at the pool.
async fn without_a_look(store: &mut Etcd) -> Option<Grant> {
    let who = SlotRecord::taken(Holder::new(&store.incarnation, EtcdPool::TTL));
    (store.last, store.fresh) = (store.held.take(), None);
    let arrived = store.arrive(&who.holder).await.unwrap();
    store.take_again(&arrived, &who).await.unwrap()
}

/// As etcd does it at the end of the claimant's lease.
async fn lapse(pool: &EtcdPool, store: &mut Etcd) {
    pool.client().await.lease_revoke(store.session.lease().unwrap()).await.unwrap();
    store.session.lose();
}

#[tokio::test]
async fn who_had_a_slot_has_it_again_without_a_look_at_the_pool() {
    let (pool, mut holder, grant) = left(3).await;
    let again = without_a_look(&mut holder).await.expect("its ticket is there");
    assert!(again.slot == grant.slot && again.token > grant.token);
    holder.renew().await.unwrap();
    lapse(&pool, &mut holder).await;
    let anew = without_a_look(&mut holder).await.expect("nobody has it");
    assert!(anew.slot == grant.slot && anew.token > again.token);
    holder.renew().await.unwrap();
    let mut next = pool.claimant(holder.incarnation.nonce);
    let next = without_a_look(&mut next).await.expect("its ticket tells");
    assert!(next.slot == grant.slot && next.token > anew.token);
    assert_eq!(pool.count("tickets/").await, 1);
}

#[tokio::test]
async fn what_somebody_else_has_taken_since_is_not_had_again() {
    let (pool, mut earlier, grant) = left(3).await;
    lapse(&pool, &mut earlier).await;
    let mut other = pool.newcomer();
    assert_eq!(claim(&mut other).await.slot, grant.slot);
    assert!(without_a_look(&mut earlier).await.is_none());
    assert_ne!(claim(&mut earlier).await.slot, grant.slot);
    // It has left it again.
    other.release().await.unwrap();
    assert!(without_a_look(&mut other).await.is_none());
}

#[tokio::test]
async fn a_claim_again_whose_answer_is_lost_is_found_again() {
    let (pool, mut before, _) = left(3).await;
    for lapsed in [false, true] {
        let mut polls = 0;
        loop {
            before.release().await.unwrap();
            let mut holder = pool.newcomer();
            let grant = claim(&mut holder).await;
            if lapsed {
                lapse(&pool, &mut holder).await;
            }
            let whole = dropped_after(polls, claim(&mut holder)).await.is_some();
            assert_eq!(claim(&mut holder).await.slot, grant.slot, "dropped after {polls} polls");
            holder.renew().await.unwrap();
            assert_eq!([pool.count("tickets/").await, pool.count("slots/").await], [1, 1]);
            before = holder;
            if whole {
                break;
            }
            polls += 1;
        }
    }
}

#[tokio::test]
async fn a_slot_is_not_taken_again_late_once_it_was_given_back_and_claimed_anew() {
    let (pool, mut holder, _) = left(3).await;
    let who = SlotRecord::taken(Holder::new(&holder.incarnation, EtcdPool::TTL));
    let held = holder.held.clone().unwrap();
    let (_, leased) = holder.session.grant(Urgency::Claim).await.unwrap();
    let late = holder.keys.keep_held(&held, &who, holder.session.moving_to(leased.id));
    claim(&mut holder).await;
    assert!(!pool.client().await.txn(late.clone()).await.unwrap().succeeded());
    holder.renew().await.unwrap();
    holder.release().await.unwrap();
    assert!(!pool.client().await.txn(late).await.unwrap().succeeded());
}

#[tokio::test]
async fn who_goes_on_under_another_nonce_leaves_what_it_had_to_the_other() {
    let (pool, mut one, Grant { slot, token, lease }) = left(3).await;
    let mut copy = pool.claimant(one.incarnation.nonce);
    copy.resume(Inherited { slot, token, until: lease.deadline() }).await.unwrap();
    // Each has the ticket put with a lease that the other one does not know.
    one.renew().await.unwrap();
    copy.renew().await.unwrap();
    assert!(matches!(one.renew().await, Err(RenewError::Lost)));
    assert_ne!(one.incarnation.nonce, copy.incarnation.nonce);
    assert_ne!(claim(&mut one).await.slot, slot);
    copy.renew().await.unwrap();
}

/// Somebody's key has each take the slot after its arrival's number.
#[tokio::test]
async fn a_number_that_is_not_its_claimants_slot_gives_it_no_right_to_that_slot() {
    let pool = EtcdPool::new(10);
    let key = |slot: u32| format!("/nsid/{PATTERN}/slots/{slot}");
    let claimant = |nonce| {
        let cluster = Cluster::new(vec![pool.server.endpoint()]);
        let ttl = Duration::from_secs(30);
        // It always puts its record at once.
        let busy_from = Duration::MAX;
        Etcd { busy_from, ..Etcd::new(cluster, incarnation(nonce), pool.agreement(), ttl) }
    };
    let mut stores: Vec<Etcd> = (0..5).map(|_| claimant(Nonce::random().unwrap())).collect();
    pool.client().await.put(key(2), "somebody's", None).await.unwrap();
    for (slot, store) in [0, 1, 3, 4, 5].into_iter().zip(&mut stores) {
        assert_eq!(claim(store).await.slot, slot);
    }
    pool.client().await.delete(key(4), None).await.unwrap();
    // Who has slot 4 does not know yet.
    let last = stores[4].incarnation.nonce;
    assert_eq!(claim(&mut claimant(last)).await.slot, 5);
    pool.client().await.delete(key(5), None).await.unwrap();
    assert_ne!(claim(&mut claimant(last)).await.slot, 4);
}
