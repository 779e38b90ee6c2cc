//! Slots that are had by arrival, while etcd is busy, and have no record yet.

use super::*;

/// A pool of claimants who always find etcd busy.
pub(super) struct BusyPool(pub(super) EtcdPool);

impl Pool for BusyPool {
    type Claimant = Etcd;
    const TTL: Duration = EtcdPool::TTL;
    const HANDED_ON: (Duration, Duration) = EtcdPool::HANDED_ON;
    type Outage<'a> = Frozen<'a>;

    fn new(limit: u32) -> Self {
        Self(EtcdPool::new(limit))
    }

    fn agreement(&self) -> Agreement {
        self.0.agreement()
    }

    fn claimant_of(&self, incarnation: Incarnation, agreement: Agreement) -> Etcd {
        Etcd { busy_from: Duration::ZERO, ..self.0.claimant_of(incarnation, agreement) }
    }

    fn outage(&self) -> Frozen<'_> {
        self.0.outage()
    }
}

impl BusyPool {
    pub(super) fn newcomer(&self) -> Etcd {
        self.claimant(Nonce::random().unwrap())
    }

    /// Who has a slot that it has not put a record of.
    pub(super) async fn holder(&self) -> (Etcd, Grant) {
        let mut holder = self.newcomer();
        let grant = claim(&mut holder).await;
        assert!(!is_settled(&holder));
        (holder, grant)
    }
}

fn is_settled(store: &Etcd) -> bool {
    store.held.as_ref().is_some_and(Held::is_put)
}

/// The slots that have holders, and under which tokens.
async fn shown(store: &mut Etcd) -> Vec<(u32, u64)> {
    store.names().await.unwrap().holders.iter().map(|entry| (entry.slot, entry.token)).collect()
}

behaves_as_a_store! { BusyPool, whether slots have records or not }

#[tokio::test]
async fn the_record_is_put_with_the_first_renewal_under_the_token_of_the_arrival() {
    let pool = BusyPool::new(3);
    let (mut holder, grant) = pool.holder().await;
    assert_eq!(pool.0.count("slots/").await, 0);
    assert_eq!(shown(&mut holder).await, [(0, grant.token)]);
    holder.renew().await.unwrap();
    assert!(is_settled(&holder));
    let lease = holder.session.lease();
    holder.renew().await.unwrap();
    assert_eq!(holder.session.lease(), lease, "kept alive");
    assert_eq!(shown(&mut holder).await, [(0, grant.token)]);
    let inherited = Inherited { slot: 0, token: grant.token, until: grant.lease.deadline() };
    pool.claimant(holder.incarnation.nonce).resume(inherited).await.unwrap();
}

#[tokio::test]
async fn nobody_takes_what_somebody_may_have_by_its_arrival() {
    let pool = BusyPool::new(5);
    let (mut holder, _) = pool.holder().await;
    let (mut leaver, grant) = pool.holder().await;
    assert_eq!(grant.slot, 1);
    leaver.release().await.unwrap();
    // A slot that was given back is free for certain.
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 1);
    let (line, _status) = claiming(pool.newcomer());
    tokio::time::sleep(EtcdPool::TTL / 4).await;
    assert!(!line.is_finished());
    holder.renew().await.unwrap();
    assert_eq!(timeout(EtcdPool::TTL, line).await.expect("claimed").unwrap().slot, 2);
    // From now on, the pool is looked at.
    let mut next = pool.newcomer();
    assert_eq!(claim(&mut next).await.slot, 3);
    assert!(is_settled(&next));
}

#[tokio::test]
async fn of_two_who_look_before_they_are_in_line_each_gets_a_slot() {
    let pool = BusyPool::new(5);
    let (mut first, mut second) = (pool.newcomer(), pool.newcomer());
    for store in [&mut first, &mut second] {
        // They have arrived, and know no more of it.
        let who = Holder::new(&store.incarnation, EtcdPool::TTL);
        store.arrive(&who).await.unwrap();
    }
    pool.0.client().await.put("/nsid/other", "", None).await.unwrap();
    let both = join_all([claim(&mut first), claim(&mut second)]);
    let both = timeout(EtcdPool::TTL, both).await.expect("claimed");
    assert_eq!(both.iter().map(|grant| grant.slot).collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test]
async fn a_count_of_arrivals_that_begins_anew_gives_no_slot_twice() {
    let pool = BusyPool::new(5);
    let (mut holder, _) = pool.holder().await;
    pool.0.client().await.delete(format!("/nsid/{PATTERN}/arrivals"), None).await.unwrap();
    let (line, _status) = claiming(pool.newcomer());
    tokio::time::sleep(EtcdPool::TTL / 4).await;
    holder.renew().await.unwrap();
    assert_eq!(timeout(EtcdPool::TTL, line).await.expect("claimed").unwrap().slot, 1);
    holder.renew().await.unwrap();
}

#[tokio::test]
async fn whose_number_is_counted_anew_gets_no_slot_by_it() {
    let pool = BusyPool::new(5);
    let (holder, _) = pool.holder().await;
    pool.0.client().await.delete(format!("/nsid/{PATTERN}/arrivals"), None).await.unwrap();
    // Its first process has ended before it could count.
    let mut earlier = pool.newcomer();
    let who = Holder::new(&earlier.incarnation, EtcdPool::TTL);
    earlier.arrive(&who).await.unwrap();
    let mut next = pool.claimant(earlier.incarnation.nonce);
    let arrived = next.arrive(&who).await.unwrap();
    assert!(matches!(next.by_arrival(arrived).await, Err(Failure::Unreachable(_))));
    drop(holder);
}

#[tokio::test]
async fn a_spare_that_comes_again_keeps_its_place() {
    let pool = BusyPool::new(1);
    let (mut holder, _) = pool.holder().await;
    let mut earlier = pool.newcomer();
    let who = Holder::new(&earlier.incarnation, EtcdPool::TTL);
    earlier.arrive(&who).await.unwrap();
    let mut next = pool.claimant(earlier.incarnation.nonce);
    let arrived = next.arrive(&who).await.unwrap();
    assert!(matches!(next.by_arrival(arrived).await, Ok(Some(ByArrival::InLine { .. }))));
    // What the ticket was with ends, and takes nothing along.
    pool.0.client().await.lease_revoke(earlier.session.lease().unwrap()).await.unwrap();
    assert_eq!(pool.0.count("tickets/").await, 2);
    holder.renew().await.unwrap();
}

#[tokio::test]
async fn a_record_whose_answer_is_lost_is_found_again() {
    let mut polls = 0;
    loop {
        let pool = BusyPool::new(3);
        let (mut holder, grant) = pool.holder().await;
        let whole = dropped_after(polls, holder.renew()).await.is_some();
        tokio::time::sleep(Duration::from_millis(20)).await;
        holder.renew().await.unwrap();
        assert!(is_settled(&holder), "dropped after {polls} polls");
        assert!(holder.held.as_ref().is_some_and(|held| held.slot == grant.slot));
        if whole {
            break;
        }
        polls += 1;
    }
}

#[tokio::test]
async fn a_record_that_is_put_late_is_not_once_the_slot_was_given_back() {
    let pool = BusyPool::new(3);
    let (mut holder, _) = pool.holder().await;
    let held = holder.held.clone().unwrap();
    let (_, leased) = holder.session.grant(Urgency::Renewal).await.unwrap();
    let late = holder.keys.live_on(&held, &holder.incarnation, holder.session.moving_to(leased.id));
    holder.release().await.unwrap();
    assert!(!pool.0.client().await.txn(late).await.unwrap().succeeded());
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 0);
}

#[tokio::test]
async fn a_lease_that_is_revoked_before_the_record_is_put_is_told_before_the_next_holder_speaks() {
    let pool = BusyPool::new(3);
    let (mut holder, _) = pool.holder().await;
    assert!(timeout(EtcdPool::TTL / 10, holder.lost()).await.is_err());
    pool.0.client().await.lease_revoke(holder.session.lease().unwrap()).await.unwrap();
    let (next, _status) = claiming(pool.newcomer());
    timeout(NOTICE / 2, holder.lost()).await.expect("told at once");
    assert!(!next.is_finished());
    assert_eq!(timeout(EtcdPool::TTL, next).await.expect("claimed").unwrap().slot, 0);
    assert!(matches!(holder.renew().await, Err(RenewError::Lost)));
}

#[tokio::test]
async fn what_the_kernel_still_says_for_a_dead_process_is_left_to_its_next_one() {
    let pool = BusyPool::new(5);
    let (mut leaver, _) = pool.holder().await;
    let (dead, grant) = pool.holder().await;
    leaver.release().await.unwrap();
    // The next process comes, asks, and hangs.
    let mut next = pool.claimant(dead.incarnation.nonce);
    let who = Holder::new(&next.incarnation, EtcdPool::TTL);
    let arrived = next.arrive(&who).await.unwrap();
    next.by_arrival(arrived).await.unwrap();
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 0);
    let (other, _status) = claiming(pool.newcomer());
    tokio::time::sleep(EtcdPool::TTL / 4).await;
    assert!(!other.is_finished());
    let again = claim(&mut next).await;
    assert!(again.slot == grant.slot && again.token > grant.token);
    assert_eq!(timeout(EtcdPool::TTL, other).await.expect("claimed").unwrap().slot, 2);
}

#[tokio::test]
async fn who_waits_in_line_is_soon_known_to() {
    let pool = BusyPool::new(1);
    let (mut holder, _) = pool.holder().await;
    let (mut first, mut second) = (pool.newcomer(), pool.newcomer());
    // Its first lease is known to be of the term that there is.
    second.names().await.unwrap();
    for spare in [&mut first, &mut second] {
        let _waiting = timeout(EtcdPool::TTL / 2, claim(spare)).await.expect_err("the pool is full");
        holder.renew().await.unwrap();
    }
    let answer = holder.session.transact(Urgency::Claim, holder.keys.look()).await.unwrap();
    let view = holder.keys.view(&answer).unwrap();
    assert_eq!((view.tickets.len(), view.unsettled(holder.incarnation.nonce)), (3, None));
}

#[tokio::test]
async fn a_slot_whose_record_was_put_without_an_answer_is_given_back_like_any_other() {
    let pool = BusyPool::new(3);
    let (mut holder, _) = pool.holder().await;
    let held = holder.held.clone().unwrap();
    let (_, leased) = holder.session.grant(Urgency::Renewal).await.unwrap();
    let put = holder.keys.live_on(&held, &holder.incarnation, holder.session.moving_to(leased.id));
    assert!(pool.0.client().await.txn(put).await.unwrap().succeeded());
    holder.release().await.unwrap();
    let slot = pool.0.client().await.get(format!("/nsid/{PATTERN}/slots/0"), None).await.unwrap();
    assert!(SlotRecord::read(slot.kvs()[0].value()).is_some_and(|record| record.released));
}

#[tokio::test]
async fn who_dies_before_its_record_is_put_holds_others_up_no_longer_than_its_lease() {
    let pool = BusyPool::new(5);
    let (_dead, _) = pool.holder().await;
    let (mut leaver, _) = pool.holder().await;
    leaver.release().await.unwrap();
    let newcomers = join_all((0..3).map(|_| claiming(pool.newcomer()).0));
    let (granted, over) = BusyPool::HANDED_ON;
    let granted = timeout(EtcdPool::TTL + over + granted, newcomers).await.expect("claimed");
    // The slot that was given back is had at once, and may be had again when that one is over as well.
    assert!(granted.into_iter().any(|grant| grant.unwrap().slot == 0));
}
