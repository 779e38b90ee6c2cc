//! What is this store's own, on real witnesses; the rest is in [`crate::store::behaviour`].

mod site;

use std::sync::MutexGuard;

use tokio::time::timeout;

use self::site::Site;
use super::*;
use crate::store::behaviour::{PATTERN, Pool, agreement};
use crate::store::{ClaimStatus, Directory, Kind, Nonce, State as Stands};

/// A pool of three witnesses.
struct PeersPool {
    site: Site,
    limit: u32,
}

impl Pool for PeersPool {
    type Claimant = Peers;
    const TTL: Duration = Duration::from_secs(2);
    const HANDED_ON: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));
    type Outage<'a> = [MutexGuard<'a, ()>; 2];

    fn new(limit: u32) -> Self {
        Self { site: Site::start(3, Self::TTL, None), limit }
    }

    fn agreement(&self) -> Agreement {
        agreement(PATTERN, self.limit)
    }

    fn claimant_of(&self, incarnation: Incarnation, agreement: Agreement) -> Peers {
        Peers::new(self.site.quorum.clone(), incarnation, agreement, Self::TTL)
    }

    fn outage(&self) -> [MutexGuard<'_, ()>; 2] {
        [0, 2].map(|index| self.site.freeze(index))
    }
}

impl PeersPool {
    fn newcomer(&self) -> Peers {
        self.claimant(Nonce::random().unwrap())
    }
}

async fn claim(peers: &mut Peers) -> Grant {
    peers.claim(&progress().0).await.unwrap()
}

fn progress() -> (Progress, tokio::sync::watch::Receiver<ClaimStatus>) {
    Progress::new(Kind::Peers, "test")
}

behaves_as_a_store!(PeersPool);

#[tokio::test]
async fn a_witness_that_dies_and_is_started_anew_silences_nobody_and_lets_nobody_take_what_is_held() {
    let mut pool = PeersPool::new(1);
    let (mut holder, mut spare) = (pool.newcomer(), pool.newcomer());
    let grant = claim(&mut holder).await;
    for index in 0..3 {
        pool.site.kill(index);
        for _ in 0..2 {
            holder.renew().await.unwrap();
        }
        pool.site.restart(index);
        // By then the one that was started is no longer silent.
        let end = BootTime::now().saturating_add(PeersPool::TTL * 2);
        while !end.passed() {
            assert!(!holder.renew().await.unwrap().deadline().passed());
            let taken = timeout(PeersPool::TTL / 5, spare.claim(&progress().0)).await;
            assert!(taken.is_err(), "slot {} has two holders: {taken:?}", grant.slot);
        }
    }
}

#[tokio::test]
async fn a_minority_of_witnesses_grants_nothing_and_says_so() {
    let mut pool = PeersPool::new(1);
    let mut newcomer = pool.newcomer();
    pool.site.kill(0);
    pool.site.kill(1);
    let (progress, status) = progress();
    assert!(timeout(Duration::from_secs(4), newcomer.claim(&progress)).await.is_err());
    assert_eq!(status.borrow().store.state, Stands::Unreachable);
    assert!(timeout(Duration::from_millis(300), newcomer.release()).await.is_err());
    assert!(newcomer.names().await.is_ok(), "one of them answers who asks");
}

#[tokio::test]
async fn one_node_alone_is_its_own_witness_and_has_a_name_at_once() {
    let site = Site::start(1, PeersPool::TTL, None);
    let pool = PeersPool { site, limit: 4 };
    let claimed = timeout(PeersPool::TTL / 2, async { claim(&mut pool.newcomer()).await });
    assert_eq!(claimed.await.expect("sooner than a lease").slot, 0);
}

#[tokio::test]
async fn another_key_another_list_and_none_at_all_get_no_name_and_are_told_why() {
    let [key, other] = [1, 2].map(ClusterKey::for_tests);
    let site = Site::start(3, PeersPool::TTL, Some(key));
    let pool = PeersPool { site, limit: 4 };
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 0);
    let list = pool.site.quorum.list.clone();
    let mut witnesses = list.witnesses().to_vec();
    witnesses[2].set_port(9);
    let other_list = List::new(witnesses).unwrap();
    let of = |list: &List, key: Option<ClusterKey>| Quorum { list: list.clone(), key, expected: 0 };
    for (quorum, told) in [
        (of(&list, Some(other)), "cluster-key-file"),
        (of(&list, None), "cluster-key-file"),
        (of(&other_list, pool.site.quorum.key.clone()), "give all nodes the same list"),
    ] {
        let incarnation = crate::store::behaviour::incarnation(Nonce::random().unwrap(), "other");
        let mut peers = Peers::new(quorum, incarnation, pool.agreement(), PeersPool::TTL);
        assert!(timeout(Duration::from_secs(2), peers.claim(&progress().0)).await.is_err());
        let State::Seeking(waits) = peers.claimant.state() else { panic!("{told}") };
        let why = peers.hindrance(&waits).unwrap();
        assert!(why.contains(told), "{why}");
    }
}
