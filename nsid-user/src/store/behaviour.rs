//! What every store does, told as tests over the [`Store`] and [`Directory`] traits. [`behaves_as_a_store!`] runs them on one.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Barrier;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{
    Agreement, ClaimError, ClaimStatus, Directory, Grant, Holder, Incarnation, Inherited, Kind, NodeId,
    Nonce, Progress, RenewError, Roll, State, Store,
};
use crate::clock::BootTime;
use crate::name::Pattern;

/// That of every pool of these tests.
pub(crate) const PATTERN: &str = "worker{id}.n5.test";

/// A pattern that makes a name of it, `worker5.n5.test`.
const ENTANGLED: &str = "worker5.n{id}.test";

/// A pool on some store, of its own for each test.
pub(crate) trait Pool: Sync {
    /// A claimant's side of it.
    type Claimant: Store + Directory + 'static;
    /// What leases are asked for.
    const TTL: Duration;
    /// How long a slot may lie free before who waits in line has it: released, and expired.
    const HANDED_ON: (Duration, Duration);
    /// A time in which the store does not answer a holder; over when it is dropped.
    type Outage<'a>
    where
        Self: 'a;

    /// A new pool of that many slots.
    fn new(limit: u32) -> Self;
    /// What its claimants are given alike: [`PATTERN`], and the limit.
    fn agreement(&self) -> Agreement;
    /// A claimant on the store that was given that.
    fn claimant_of(&self, incarnation: Incarnation, agreement: Agreement) -> Self::Claimant;
    /// The claimant with that nonce, on a node of its own.
    fn claimant(&self, nonce: Nonce) -> Self::Claimant {
        self.claimant_of(incarnation(nonce, &nonce.to_string()), self.agreement())
    }
    /// Begins an outage for who holds slot 0.
    fn outage(&self) -> Self::Outage<'_>;
}

macro_rules! behaves_as_a_store {
    ($pool:ty) => {
        behaves_as_a_store! { $pool, whether slots have records or not }
        behaves_as_a_store! {
            $pool:
            nothing_is_resumed_that_is_no_longer_held_under_that_token,
            who_differs_in_pattern_or_limit_is_refused_with_both_values_and_changes_nothing,
            of_two_pools_that_make_the_same_name_the_younger_is_refused,
            a_node_that_is_back_gets_its_last_slot_if_it_is_free_and_takes_it_from_nobody,
            the_directory_shows_who_has_which_slot_and_how_many_wait,
        }
    };
    // Nobody waits for a record here, and nothing is found that only a record tells.
    ($pool:ty, whether slots have records or not) => {
        behaves_as_a_store! {
            $pool:
            a_crowd_that_starts_at_once_gets_the_lowest_slots_one_each,
            a_newcomer_gets_the_lowest_slot_that_was_given_back,
            who_comes_back_within_its_lease_gets_its_own_slot_and_a_greater_token,
            a_successor_goes_on_under_the_same_token,
            who_resumes_and_gives_back_before_the_first_answer_has_given_back,
            tokens_grow_from_grant_to_grant,
            a_released_slot_goes_to_who_waits_in_line_at_once,
            a_dead_holders_slot_is_handed_on_when_its_lease_is_over_and_no_sooner,
            a_slot_that_is_renewed_is_not_handed_on,
            who_lost_its_slot_is_told_so_and_cannot_release_it,
            a_long_line_is_served_to_its_end,
            who_left_the_line_is_given_nothing,
            an_outage_that_is_shorter_than_the_lease_takes_nothing_away,
        }
    };
    ($pool:ty: $($rule:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $rule() {
                $crate::store::behaviour::$rule::<$pool>().await;
            }
        )*
    };
}

pub(crate) async fn a_crowd_that_starts_at_once_gets_the_lowest_slots_one_each<P: Pool>() {
    const CROWD: u32 = 50;
    let pool = P::new(CROWD + 10);
    let start = Barrier::new(CROWD as usize);
    // A thread and a runtime each: tasks of one thread would never meet inside the store.
    let slots: Vec<u32> = std::thread::scope(|scope| {
        let crowd: Vec<_> = (0..CROWD)
            .map(|_| {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let mut store = newcomer(&pool);
                    start.wait();
                    runtime.block_on(claim(&mut store)).slot
                })
            })
            .collect();
        crowd.into_iter().map(|claimant| claimant.join().unwrap()).collect()
    });
    assert_eq!(sorted(slots), (0..CROWD).collect::<Vec<_>>());
}

pub(crate) async fn a_newcomer_gets_the_lowest_slot_that_was_given_back<P: Pool>() {
    let pool = P::new(5);
    let mut stores: Vec<_> = (0..5).map(|_| newcomer(&pool)).collect();
    for (expected, store) in (0..).zip(&mut stores) {
        assert_eq!(claim(store).await.slot, expected);
    }
    stores[3].release().await.unwrap();
    stores[1].release().await.unwrap();
    assert_eq!(claim(&mut newcomer(&pool)).await.slot, 1);
    assert_eq!(claim(&mut newcomer(&pool)).await.slot, 3);
}

pub(crate) async fn who_comes_back_within_its_lease_gets_its_own_slot_and_a_greater_token<P: Pool>() {
    let pool = P::new(3);
    let mut other = newcomer(&pool);
    claim(&mut other).await;
    let nonce = Nonce::random().unwrap();
    let mut dead = pool.claimant(nonce);
    let before = claim(&mut dead).await;
    // Lower and free: still not its own.
    other.release().await.unwrap();
    let after = claim(&mut pool.claimant(nonce)).await;
    assert_eq!((before.slot, after.slot), (1, 1));
    assert!(after.token > before.token, "{before:?} {after:?}");
    // The incarnation that died, were it to wake up, is no longer the holder.
    assert!(matches!(dead.renew().await, Err(RenewError::Lost)));
}

/// What a later process goes on with.
fn inherited(grant: &Grant) -> Inherited {
    Inherited { slot: grant.slot, token: grant.token, until: grant.lease.deadline() }
}

pub(crate) async fn a_successor_goes_on_under_the_same_token<P: Pool>() {
    let pool = P::new(2);
    let nonce = Nonce::random().unwrap();
    let grant = claim(&mut pool.claimant(nonce)).await;
    let (line, _) = {
        claim(&mut newcomer(&pool)).await;
        in_line(&pool).await
    };
    let mut successor = pool.claimant(nonce);
    let mut deadline = successor.resume(inherited(&grant)).await.unwrap().deadline();
    assert!(deadline > grant.lease.deadline());
    // Longer than the lease lasts that was granted.
    for _ in 0..4 {
        tokio::time::sleep(P::TTL / 3).await;
        deadline = successor.renew().await.unwrap().deadline();
    }
    assert!(deadline > grant.lease.deadline().saturating_add(P::TTL / 2));
    // It is what a third one resumes, and what is given back then.
    let mut third = pool.claimant(nonce);
    third.resume(inherited(&grant)).await.unwrap();
    third.release().await.unwrap();
    assert!(matches!(successor.renew().await, Err(RenewError::Lost)));
    line.abort();
}

pub(crate) async fn nothing_is_resumed_that_is_no_longer_held_under_that_token<P: Pool>() {
    let pool = P::new(3);
    let nonce = Nonce::random().unwrap();
    let mut first = pool.claimant(nonce);
    let grant = claim(&mut first).await;
    for (slot, token) in [(grant.slot, grant.token + 1), (grant.slot + 1, grant.token)] {
        // What an earlier process was granted is over: while it lasts, its claimant is believed.
        let over = Inherited { slot, token, until: BootTime::from_nanos(0) };
        assert!(matches!(pool.claimant(nonce).resume(over).await, Err(RenewError::Lost)));
    }
    let stranger = newcomer(&pool).resume(inherited(&grant)).await;
    assert!(matches!(stranger, Err(RenewError::Lost)));
    // By the last process of the claimant: an earlier one may be told that it has nothing any more.
    let mut last = pool.claimant(nonce);
    last.resume(inherited(&grant)).await.unwrap();
    last.release().await.unwrap();
    let mut late = pool.claimant(nonce);
    assert!(matches!(late.resume(inherited(&grant)).await, Err(RenewError::Lost)));
    let anew = claim(&mut late).await;
    assert!(anew.slot == grant.slot && anew.token > grant.token, "{grant:?} {anew:?}");
}

pub(crate) async fn who_resumes_and_gives_back_before_the_first_answer_has_given_back<P: Pool>() {
    let pool = P::new(1);
    let nonce = Nonce::random().unwrap();
    let grant = claim(&mut pool.claimant(nonce)).await;
    let (line, _) = in_line(&pool).await;
    let mut successor = pool.claimant(nonce);
    // As the driver drops it that is told to end.
    let _dropped = timeout(Duration::ZERO, successor.resume(inherited(&grant))).await;
    successor.release().await.unwrap();
    let (_, next) = timeout(P::HANDED_ON.0, line).await.expect("handed on at once").unwrap();
    assert_eq!(next.slot, grant.slot);
}

pub(crate) async fn tokens_grow_from_grant_to_grant<P: Pool>() {
    let pool = P::new(3);
    let mut last = 0;
    for _ in 0..3 {
        let mut stores: Vec<_> = (0..3).map(|_| newcomer(&pool)).collect();
        for store in &mut stores {
            let token = claim(store).await.token;
            assert!(token > last, "{token} after {last}");
            last = token;
        }
        for store in &mut stores {
            store.release().await.unwrap();
        }
    }
}

pub(crate) async fn a_released_slot_goes_to_who_waits_in_line_at_once<P: Pool>() {
    let pool = P::new(2);
    let (mut first, mut second) = (newcomer(&pool), newcomer(&pool));
    claim(&mut first).await;
    claim(&mut second).await;
    let (line, status) = in_line(&pool).await;
    assert_eq!(status.borrow().store.state, State::Waiting);
    first.release().await.unwrap();
    let (_, grant) = timeout(P::HANDED_ON.0, line).await.expect("handed on at once").unwrap();
    assert_eq!(grant.slot, 0);
}

pub(crate) async fn a_dead_holders_slot_is_handed_on_when_its_lease_is_over_and_no_sooner<P: Pool>() {
    let pool = P::new(1);
    let mut dead = newcomer(&pool);
    claim(&mut dead).await;
    let lease = dead.renew().await.unwrap();
    drop(dead);
    let (line, _) = in_line(&pool).await;
    let expiry = lease.sent().saturating_add(lease.ttl());
    let (granted, grant) = timeout(expiry.left() + P::HANDED_ON.1, line).await.expect("handed on").unwrap();
    assert_eq!(grant.slot, 0);
    assert!(granted >= expiry, "given at {granted:?}, free from {expiry:?}");
    assert!(grant.lease.sent() > lease.deadline());
}

pub(crate) async fn a_slot_that_is_renewed_is_not_handed_on<P: Pool>() {
    let pool = P::new(1);
    let mut holder = newcomer(&pool);
    let granted = claim(&mut holder).await.lease.deadline();
    let mut deadline = granted;
    let (line, status) = in_line(&pool).await;
    for _ in 0..6 {
        tokio::time::sleep(P::TTL / 3).await;
        deadline = holder.renew().await.unwrap().deadline();
    }
    assert!(deadline > granted.saturating_add(P::TTL));
    assert!(!line.is_finished());
    assert_eq!(status.borrow().store.state, State::Waiting);
    line.abort();
}

pub(crate) async fn who_lost_its_slot_is_told_so_and_cannot_release_it<P: Pool>() {
    let pool = P::new(1);
    let mut late = newcomer(&pool);
    claim(&mut late).await;
    let mut next = newcomer(&pool);
    claim(&mut next).await;
    assert!(matches!(late.renew().await, Err(RenewError::Lost)));
    late.release().await.unwrap();
    next.renew().await.expect("still the next one's");
}

pub(crate) async fn a_long_line_is_served_to_its_end<P: Pool>() {
    let pool = P::new(2);
    let waits = (0..10).map(|_| {
        let mut store = newcomer(&pool);
        tokio::spawn(async move {
            let slot = claim(&mut store).await.slot;
            store.release().await.unwrap();
            slot
        })
    });
    for line in waits.collect::<Vec<_>>() {
        assert!(timeout(P::TTL * 2, line).await.expect("served").unwrap() < 2);
    }
}

pub(crate) async fn who_left_the_line_is_given_nothing<P: Pool>() {
    let pool = P::new(1);
    let mut holder = newcomer(&pool);
    claim(&mut holder).await;
    let mut leaver = newcomer(&pool);
    assert!(timeout(P::TTL / 5, claim(&mut leaver)).await.is_err());
    leaver.release().await.unwrap();
    holder.release().await.unwrap();
    timeout(P::HANDED_ON.0, claim(&mut newcomer(&pool))).await.expect("free");
}

pub(crate) async fn an_outage_that_is_shorter_than_the_lease_takes_nothing_away<P: Pool>() {
    let pool = P::new(2);
    let mut holder = newcomer(&pool);
    let grant = claim(&mut holder).await;
    assert_eq!(grant.slot, 0);
    let outage = pool.outage();
    match timeout(P::TTL / 3, holder.renew()).await {
        Err(_) | Ok(Err(RenewError::Unreachable(_))) => {}
        Ok(answered) => panic!("no outage: {answered:?}"),
    }
    drop(outage);
    let back = timeout(P::TTL / 3, async {
        loop {
            match holder.renew().await {
                Ok(lease) => return lease,
                Err(RenewError::Unreachable(_)) => tokio::time::sleep(P::TTL / 100).await,
                Err(RenewError::Lost) => panic!("lost"),
            }
        }
    });
    let lease = back.await.expect("back again");
    assert!(lease.sent() > grant.lease.sent());
    assert_eq!(claim(&mut newcomer(&pool)).await.slot, 1);
}

pub(crate) async fn who_differs_in_pattern_or_limit_is_refused_with_both_values_and_changes_nothing<
    P: Pool,
>() {
    let pool = P::new(8);
    let mut holder = newcomer(&pool);
    claim(&mut holder).await;
    let before = shown(holder.names().await.unwrap());
    for (pattern, limit, told) in [
        ("Worker{id}.n5.test", 8, "pattern Worker{id}.n5.test here, worker{id}.n5.test in the pool"),
        (PATTERN, 16, "limit 16 here, 8 in the pool"),
    ] {
        let refused = refused::<P>(&pool, agreement(pattern, limit)).await;
        assert!(refused.contains(told), "{refused}");
    }
    assert_eq!(shown(holder.names().await.unwrap()), before);
    holder.renew().await.unwrap();
    assert_eq!(claim(&mut newcomer(&pool)).await.slot, 1);
}

pub(crate) async fn of_two_pools_that_make_the_same_name_the_younger_is_refused<P: Pool>() {
    let pool = P::new(8);
    let mut holder = newcomer(&pool);
    claim(&mut holder).await;
    for _ in 0..2 {
        let refused = refused::<P>(&pool, agreement(ENTANGLED, 8)).await;
        for part in [PATTERN, ENTANGLED, "worker5.n5.test"] {
            assert!(refused.contains(part), "no {part} in {refused}");
        }
    }
    holder.renew().await.unwrap();
    assert_eq!(claim(&mut newcomer(&pool)).await.slot, 1);
    // One of other names is none of its business.
    let mut beside =
        pool.claimant_of(incarnation(Nonce::random().unwrap(), "beside"), agreement("beside{id}.test", 8));
    assert_eq!(claim(&mut beside).await.slot, 0);
}

pub(crate) async fn a_node_that_is_back_gets_its_last_slot_if_it_is_free_and_takes_it_from_nobody<P: Pool>() {
    let pool = P::new(6);
    let start = |node: &str| pool.claimant_of(incarnation(Nonce::random().unwrap(), node), pool.agreement());
    let mut stores = ["a", "b", "c", "d"].map(start);
    let mut tokens = Vec::new();
    for (expected, store) in (0..).zip(&mut stores) {
        let grant = claim(store).await;
        assert_eq!(grant.slot, expected);
        tokens.push(grant.token);
    }
    let [mut a, mut b, mut c, mut d] = stores;
    b.release().await.unwrap();
    c.release().await.unwrap();
    // Slot 1 is lower, and free.
    let grant = claim(&mut start("c")).await;
    assert!(grant.slot == 2 && grant.token > tokens[2], "{grant:?} {tokens:?}");
    assert_eq!(claim(&mut newcomer(&pool)).await.slot, 1);
    assert_eq!(claim(&mut start("b")).await.slot, 4);
    for holder in [&mut a, &mut d] {
        holder.renew().await.expect("nothing was taken from it");
    }
}

pub(crate) async fn the_directory_shows_who_has_which_slot_and_how_many_wait<P: Pool>() {
    let pool = P::new(2);
    let mut looker = newcomer(&pool);
    let roll = looker.names().await.unwrap();
    assert!(roll.holders.is_empty() && roll.waiting == 0 && roll.agreement.is_none(), "{roll:?}");
    let nonces = [(); 2].map(|()| Nonce::random().unwrap());
    let mut stores = nonces.map(|nonce| pool.claimant(nonce));
    let mut grants = Vec::new();
    for store in &mut stores {
        grants.push(claim(store).await);
    }
    let (line, _) = in_line(&pool).await;
    let roll = looker.names().await.unwrap();
    let expected: Vec<_> =
        grants.iter().zip(nonces).map(|(grant, nonce)| (grant.slot, grant.token, nonce)).collect();
    assert_eq!(shown(roll.clone()), (expected, 1, Some(pool.agreement())));
    let Holder { host, ttl, .. } = &roll.holders[0].holder;
    assert_eq!((&**host, u128::from(*ttl)), (HOST, P::TTL.as_millis()));
    line.abort();
    stores[0].release().await.unwrap();
    let roll = looker.names().await.unwrap();
    assert_eq!(roll.holders.first().map(|entry| entry.holder.nonce), Some(nonces[1]), "{roll:?}");
}

/// Who has which slot under which token, how many wait, and what is agreed on. Since when, two looks may tell a millisecond
/// apart.
fn shown(roll: Roll) -> (Vec<(u32, u64, Nonce)>, usize, Option<Agreement>) {
    let held = roll.holders.iter().map(|entry| (entry.slot, entry.token, entry.holder.nonce)).collect();
    (held, roll.waiting, roll.agreement)
}

const HOST: &str = "host.test";

/// A claimant's, on the node of that name.
pub(crate) fn incarnation(nonce: Nonce, node: &str) -> Incarnation {
    Incarnation::new(nonce, NodeId::of(node, "test", 0), HOST.to_owned())
}

pub(crate) fn agreement(pattern: &str, limit: u32) -> Agreement {
    Agreement::new(&Pattern::parse(pattern, limit.try_into().unwrap()).unwrap())
}

/// Why a claimant that was given that gets nothing.
async fn refused<P: Pool>(pool: &P, agreement: Agreement) -> String {
    let mut other = pool.claimant_of(incarnation(Nonce::random().unwrap(), "other"), agreement);
    let progress = Progress::new(Kind::Local, "test").0;
    let refused = timeout(P::TTL * 2, other.claim(&progress)).await.expect("an end").unwrap_err();
    assert!(matches!(refused, ClaimError::Disagrees { .. }), "{refused}");
    refused.to_string()
}

pub(crate) fn sorted(mut slots: Vec<u32>) -> Vec<u32> {
    slots.sort_unstable();
    slots
}

fn newcomer<P: Pool>(pool: &P) -> P::Claimant {
    pool.claimant(Nonce::random().unwrap())
}

pub(crate) async fn claim(store: &mut impl Store) -> Grant {
    store.claim(&Progress::new(Kind::Local, "test").0).await.unwrap()
}

/// A claim that goes on beside the test, and its state.
pub(crate) fn claiming(mut store: impl Store + 'static) -> (JoinHandle<Grant>, watch::Receiver<ClaimStatus>) {
    let (progress, status) = Progress::new(Kind::Local, "test");
    (tokio::spawn(async move { store.claim(&progress).await.unwrap() }), status)
}

/// Drops what has not come to its end when it was polled that often: each time an answer has arrived, more or less.
pub(crate) async fn dropped_after<T>(polls: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut polled = 0;
    poll_fn(|context| {
        if polled == polls {
            return Poll::Ready(None);
        }
        polled += 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

/// A claimant that has been told to wait, and when it was given what.
async fn in_line<P: Pool>(pool: &P) -> (JoinHandle<(BootTime, Grant)>, watch::Receiver<ClaimStatus>) {
    let mut store = newcomer(pool);
    let (progress, mut status) = Progress::new(Kind::Local, "test");
    let line = tokio::spawn(async move {
        let grant = store.claim(&progress).await.unwrap();
        (BootTime::now(), grant)
    });
    let waiting = status.wait_for(|status| status.store.state == State::Waiting);
    timeout(P::TTL, waiting).await.expect("in line").unwrap();
    (line, status)
}
