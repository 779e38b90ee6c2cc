//! What is this store's own, on a real etcd; the rest is in [`crate::store::behaviour`].

mod access;
mod again;
mod dealing;
mod late;
mod server;
mod unsettled;

use etcd_client::{Client, GetOptions};
use futures_util::future::join_all;
use tokio::time::timeout;

use self::server::Server;
use super::*;
use crate::store::behaviour::{PATTERN, Pool, agreement, claim, claiming, dropped_after};
use crate::store::{Kind, NodeId, Nonce, State, Tls};

/// A pool in an etcd of its own.
struct EtcdPool {
    server: Server,
    limit: u32,
}

impl Pool for EtcdPool {
    type Claimant = Etcd;
    // What etcd grants at least, with its default election timeout.
    const TTL: Duration = Duration::from_secs(2);
    // etcd looks for leases that are over twice a second.
    const HANDED_ON: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(1));
    type Outage<'a> = Frozen<'a>;

    fn new(limit: u32) -> Self {
        Self { server: Server::start(), limit }
    }

    fn agreement(&self) -> Agreement {
        agreement(PATTERN, self.limit).kept_as(FORMAT)
    }

    fn claimant_of(&self, incarnation: Incarnation, agreement: Agreement) -> Etcd {
        let cluster = Cluster::new(vec![self.server.endpoint()]);
        Etcd::new(cluster, incarnation, agreement, Self::TTL)
    }

    fn outage(&self) -> Frozen<'_> {
        self.server.freeze();
        Frozen(&self.server)
    }
}

/// Thaws on Drop.
struct Frozen<'a>(&'a Server);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.thaw();
    }
}

impl EtcdPool {
    fn claimant_at(&self, endpoints: Vec<String>, nonce: Nonce) -> Etcd {
        let cluster = Cluster::new(endpoints);
        Etcd::new(cluster, incarnation(nonce), self.agreement(), Self::TTL)
    }

    fn newcomer(&self) -> Etcd {
        self.claimant(Nonce::random().unwrap())
    }

    async fn client(&self) -> Client {
        Client::connect([self.server.endpoint()], None).await.unwrap()
    }

    /// How many keys the pool has below that.
    async fn count(&self, below: &str) -> i64 {
        let options = GetOptions::new().with_prefix().with_count_only();
        self.client().await.get(format!("/nsid/{PATTERN}/{below}"), Some(options)).await.unwrap().count()
    }
}

behaves_as_a_store!(EtcdPool);

fn incarnation(nonce: Nonce) -> Incarnation {
    Incarnation::new(nonce, NodeId::of(&nonce.to_string(), "test", 0), String::new())
}

#[tokio::test]
async fn an_etcd_that_is_not_there_yet_is_waited_for() {
    let mut pool = EtcdPool { server: Server::stopped(), limit: 3 };
    let (claim, mut status) = claiming(pool.newcomer());
    let unreachable = status.wait_for(|status| status.store.state == State::Unreachable);
    timeout(EtcdPool::TTL, unreachable).await.expect("said").unwrap();
    pool.server.run();
    assert_eq!(timeout(EtcdPool::TTL * 2, claim).await.expect("claimed").unwrap().slot, 0);
}

#[tokio::test]
async fn a_dead_or_frozen_member_is_left_for_the_next() {
    let pool = EtcdPool::new(3);
    let dead = Server::stopped();
    let frozen = Server::start();
    frozen.freeze();
    let endpoints = [&dead, &frozen, &pool.server].map(Server::endpoint);
    // By their nonces they begin with the first, the second and the third member.
    for first in 0..3 {
        let nonce: Nonce = format!("{first:032x}").parse().unwrap();
        assert_eq!(nonce.spread(3), first);
        let mut store = pool.claimant_at(endpoints.to_vec(), nonce);
        timeout(EtcdPool::TTL, claim(&mut store)).await.expect("claimed");
        store.renew().await.unwrap();
    }
}

#[tokio::test]
async fn a_restart_of_etcd_takes_nothing_away() {
    let mut pool = EtcdPool::new(3);
    let mut store = pool.newcomer();
    let grant = claim(&mut store).await;
    pool.server.kill();
    assert!(matches!(store.renew().await, Err(RenewError::Unreachable(_))));
    pool.server.run();
    let lease = store.renew().await.expect("still ours");
    assert!(lease.deadline() > grant.lease.deadline());
    assert_eq!(store.held.as_ref().map(|held| held.revision.unsigned_abs()), Some(grant.token));
}

#[tokio::test]
async fn a_frozen_etcd_is_told_in_time_and_what_it_answers_late_is_not_taken_for_a_later_answer() {
    let pool = EtcdPool::new(3);
    let mut store = pool.newcomer();
    claim(&mut store).await;
    store.renew().await.unwrap();
    pool.server.freeze();
    let before = BootTime::now();
    assert!(matches!(store.renew().await, Err(RenewError::Unreachable(_))));
    assert!(BootTime::now() < before.saturating_add(EtcdPool::TTL / 3));
    pool.server.thaw();
    let sent = BootTime::now();
    let lease = loop {
        match store.renew().await {
            Ok(lease) => break lease,
            Err(RenewError::Unreachable(_)) => {}
            Err(RenewError::Lost) => panic!("lost"),
        }
    };
    assert!(lease.sent() >= sent);
}

#[tokio::test]
async fn a_slot_that_somebody_deleted_or_a_lease_that_somebody_revoked_is_lost() {
    let pool = EtcdPool::new(3);
    let mut store = pool.newcomer();
    for _ in 0..2 {
        let grant = claim(&mut store).await;
        assert_eq!(grant.slot, 0);
        let slot = format!("/nsid/{PATTERN}/slots/0");
        pool.client().await.delete(slot, None).await.unwrap();
        assert!(matches!(store.renew().await, Err(RenewError::Lost)));
    }
    claim(&mut store).await;
    pool.client().await.lease_revoke(store.session.lease().unwrap()).await.unwrap();
    assert!(matches!(store.renew().await, Err(RenewError::Lost)));
    assert_eq!(claim(&mut store).await.slot, 0);
    store.renew().await.unwrap();
}

#[tokio::test]
async fn a_revoked_lease_is_told_at_once_and_before_the_next_holder_speaks() {
    let pool = EtcdPool::new(1);
    let mut holder = pool.newcomer();
    claim(&mut holder).await;
    // Of two leases in a row.
    for _ in 0..2 {
        assert!(timeout(EtcdPool::TTL / 10, holder.lost()).await.is_err());
        holder.renew().await.unwrap();
    }
    let (line, mut status) = claiming(pool.newcomer());
    status.wait_for(|status| status.store.state == State::Waiting).await.unwrap();
    assert!(timeout(EtcdPool::TTL / 10, holder.lost()).await.is_err());
    pool.client().await.lease_revoke(holder.session.lease().unwrap()).await.unwrap();
    timeout(NOTICE / 2, holder.lost()).await.expect("told at once");
    assert!(!line.is_finished());
    assert_eq!(timeout(NOTICE * 2, line).await.expect("handed on").unwrap().slot, 0);
}

#[tokio::test]
async fn a_claim_that_is_dropped_anywhere_leaves_nothing_that_the_next_does_not_find() {
    let pool = EtcdPool::new(100);
    let mut polls = 0;
    loop {
        let mut store = pool.newcomer();
        let whole = dropped_after(polls, claim(&mut store)).await.is_some();
        assert_eq!(claim(&mut store).await.slot, 0, "dropped after {polls} polls");
        assert_eq!(pool.count("tickets/").await, 1, "{polls} polls");
        store.release().await.unwrap();

        let mut store = pool.newcomer();
        let _dropped = dropped_after(polls, claim(&mut store)).await;
        store.release().await.unwrap();
        assert_eq!(pool.count("tickets/").await, 0, "{polls} polls");
        if whole {
            break;
        }
        polls += 1;
    }
    assert!(polls > 3, "a claim of three requests was never dropped between them");
}

#[tokio::test]
async fn who_looks_at_the_pool_and_who_does_not_share_it() {
    let pool = EtcdPool::new(10);
    let mut stores: Vec<Etcd> = (0..4).map(|_| pool.newcomer()).collect();
    for (slot, store) in (0..).zip(&mut stores) {
        assert_eq!(claim(store).await.slot, slot);
    }
    // The number of arrivals is no longer that of the tickets.
    stores[1].release().await.unwrap();
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 1);
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 4);
    // A pool whose arrivals somebody deleted counts from 0 again, and still gives no slot twice.
    pool.client().await.delete(format!("/nsid/{PATTERN}/arrivals"), None).await.unwrap();
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 5);
}

/// The last of them wait until others ahead of them have had their turn.
#[tokio::test]
async fn a_line_that_is_longer_than_many_takes_the_slots_of_as_many_dead_one_each() {
    const CROWD: u32 = FAR + 16;
    const TTL: Duration = Duration::from_secs(30);
    for somebody_left in [false, true] {
        let pool = EtcdPool::new(CROWD);
        let claimant = || {
            let cluster = Cluster::new(vec![pool.server.endpoint()]);
            Etcd::new(cluster, incarnation(Nonce::random().unwrap()), pool.agreement(), TTL)
        };
        let mut holders: Vec<Etcd> = (0..CROWD).map(|_| claimant()).collect();
        join_all(holders.iter_mut().map(claim)).await;
        // Has all records put.
        join_all(holders.iter_mut().map(renewed)).await;
        if somebody_left {
            holders[0].release().await.unwrap();
            claim(&mut holders[0]).await;
        }
        let (line, waiting): (Vec<_>, Vec<_>) = (0..CROWD).map(|_| claiming(claimant())).unzip();
        for mut status in waiting {
            status.wait_for(|status| status.store.state == State::Waiting).await.unwrap();
        }
        let mut etcd = pool.client().await;
        for holder in &holders {
            etcd.lease_revoke(holder.session.lease().unwrap()).await.unwrap();
        }
        // Less than until they look at the pool by themselves.
        let taken = timeout(TTL, join_all(line)).await.expect("all have a slot");
        let mut slots: Vec<u32> = taken.into_iter().map(|grant| grant.unwrap().slot).collect();
        slots.sort_unstable();
        assert_eq!(slots, (0..CROWD).collect::<Vec<_>>());
    }
}

/// As the driver does it.
async fn renewed(store: &mut Etcd) {
    let renewed = async {
        while let Err(error) = store.renew().await {
            assert!(matches!(error, RenewError::Unreachable(_)), "{error}");
        }
    };
    timeout(EtcdPool::TTL, renewed).await.expect("renewed");
}

#[tokio::test]
async fn an_arrivals_number_is_its_slots_whatever_else_is_written_until_somebody_has_left() {
    let pool = EtcdPool::new(10);
    let mut stores: Vec<Etcd> = (0..5).map(|_| pool.newcomer()).collect();
    let mut etcd = pool.client().await;
    for (slot, store) in (0..).zip(&mut stores) {
        assert_eq!(claim(store).await.slot, slot);
        // The next one has everything counted anew.
        if slot % 2 == 1 {
            etcd.put("/elsewhere", "", None).await.unwrap();
        }
    }
    // As etcd does it at a lease's end.
    etcd.lease_revoke(stores[3].session.lease().unwrap()).await.unwrap();
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 3);
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 5);
}

#[tokio::test]
async fn a_key_that_only_looks_like_a_slot_is_nobodys_and_a_slot_that_cannot_be_read_counts_as_taken() {
    let pool = EtcdPool::new(4);
    let mut store = pool.newcomer();
    claim(&mut store).await;
    let holder = Holder::new(&store.incarnation, EtcdPool::TTL).to_json();
    for (key, value) in [("01", &*holder), ("+1", &holder), ("-1", &holder), ("99999999999", &holder)]
        .into_iter()
        .chain([("", &*holder), ("1/2", &holder), ("2", "somebody's")])
    {
        pool.client().await.put(format!("/nsid/{PATTERN}/slots/{key}"), value, None).await.unwrap();
    }
    pool.client().await.delete(format!("/nsid/{PATTERN}/slots/0"), None).await.unwrap();
    assert!(matches!(store.renew().await, Err(RenewError::Lost)));
    assert_eq!(claim(&mut store).await.slot, 0);
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 1);
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 3);
}

#[tokio::test]
async fn a_slot_whose_key_is_deleted_goes_to_nobody_else_while_its_holder_lives() {
    let pool = EtcdPool::new(2);
    let (mut first, mut second) = (pool.newcomer(), pool.newcomer());
    claim(&mut first).await;
    claim(&mut second).await;
    let (line, status) = claiming(pool.newcomer());
    pool.client().await.delete(format!("/nsid/{PATTERN}/slots/0"), None).await.unwrap();
    // It looks twice.
    tokio::time::sleep(EtcdPool::TTL * 3 / 4).await;
    assert_eq!(status.borrow().store.state, State::Waiting);
    assert!(matches!(first.renew().await, Err(RenewError::Lost)));
    assert_eq!(claim(&mut first).await.slot, 0);
    second.renew().await.unwrap();
    line.abort();
}

#[tokio::test]
async fn a_holder_whose_slot_is_deleted_in_a_full_pool_that_somebody_has_left_has_it_again_at_once() {
    let pool = EtcdPool::new(2);
    let (mut first, mut second) = (pool.newcomer(), pool.newcomer());
    claim(&mut first).await;
    first.release().await.unwrap();
    claim(&mut first).await;
    claim(&mut second).await;
    first.renew().await.unwrap();
    pool.client().await.delete(format!("/nsid/{PATTERN}/slots/0"), None).await.unwrap();
    assert!(matches!(first.renew().await, Err(RenewError::Lost)));
    assert_eq!(timeout(EtcdPool::TTL, claim(&mut first)).await.expect("claimed").slot, 0);
    second.renew().await.unwrap();
}

#[tokio::test]
async fn a_lease_of_an_earlier_term_is_not_gone_on_with() {
    let mut pool = EtcdPool::new(3);
    let mut store = pool.newcomer();
    claim(&mut store).await;
    store.renew().await.unwrap();
    let lease = store.session.lease();
    store.renew().await.unwrap();
    assert_eq!(store.session.lease(), lease, "kept alive");
    pool.server.kill();
    pool.server.run();
    renewed(&mut store).await;
    let next = store.session.lease();
    assert_ne!(next, lease, "of the term before the restart");
    store.renew().await.unwrap();
    assert_eq!(store.session.lease(), next, "kept alive");
    assert_eq!(pool.count("tickets/").await, 1);
}

#[tokio::test]
async fn who_finds_that_another_one_has_its_nonce_goes_on_under_another() {
    let pool = EtcdPool::new(3);
    let nonce = Nonce::random().unwrap();
    let (mut one, mut copy) = (pool.claimant(nonce), pool.claimant(nonce));
    assert_eq!([claim(&mut one).await.slot, claim(&mut copy).await.slot], [0, 0]);
    assert!(matches!(one.renew().await, Err(RenewError::Lost)));
    assert_ne!(one.incarnation.nonce, nonce);
    assert_eq!(claim(&mut one).await.slot, 1);
    for store in [&mut one, &mut copy] {
        store.renew().await.unwrap();
    }
}

#[tokio::test]
async fn who_finds_its_own_record_put_anew_claims_again_under_its_nonce() {
    let pool = EtcdPool::new(3);
    let mut store = pool.newcomer();
    let nonce = store.incarnation.nonce;
    claim(&mut store).await;
    let record = store.held.clone().unwrap().record;
    pool.client().await.put(format!("/nsid/{PATTERN}/slots/0"), record, None).await.unwrap();
    assert!(matches!(store.renew().await, Err(RenewError::Lost)));
    assert_eq!(claim(&mut store).await.slot, 0);
    assert_eq!(store.incarnation.nonce, nonce);
}

#[tokio::test]
async fn a_renewal_asks_another_member_while_one_stands_still() {
    let members = Server::three();
    for (standing, member) in members.iter().enumerate() {
        if is_leader(member).await {
            continue;
        }
        let nonce: Nonce = format!("{standing:032x}").parse().unwrap();
        assert_eq!(nonce.spread(3), standing);
        let cluster = Cluster::new(members.iter().map(Server::endpoint).collect());
        let ttl = Duration::from_secs(5);
        let mut store = Etcd::new(cluster, incarnation(nonce), agreement(PATTERN, 3), ttl);
        claim(&mut store).await;
        member.freeze();
        store.renew().await.expect("one of the others answers in time");
        member.thaw();
    }
}

async fn is_leader(member: &Server) -> bool {
    let mut etcd = Client::connect([member.endpoint()], None).await.unwrap();
    let status = etcd.status().await.unwrap();
    status.header().is_some_and(|header| header.member_id() == status.leader())
}

/// Renews until then, as the driver does it; panics if the slot is lost.
async fn renewed_until(store: &mut Etcd, then: BootTime) {
    while !then.passed() {
        match store.renew().await {
            Ok(_) | Err(RenewError::Unreachable(_)) => tokio::time::sleep(store.ttl / 5).await,
            Err(RenewError::Lost) => panic!("lost, while it was being renewed"),
        }
    }
}

/// etcd-io/etcd#15247. The leader that wakes up has the leases revoked that are over by its count, so many at a time; it
/// waits seven seconds for the first of them (`ReqTimeout`), and by then sends the others to its successor.
#[tokio::test]
async fn a_leader_that_wakes_up_after_another_was_elected_takes_nothing_away() {
    const TTL: Duration = Duration::from_secs(3);
    // More than `maxPendingRevokes` (etcdserver/server.go).
    const HOLDERS: u32 = 48;
    let members = Server::three();
    let claimant = || {
        let cluster = Cluster::new(members.iter().map(Server::endpoint).collect());
        Etcd::new(cluster, incarnation(Nonce::random().unwrap()), agreement(PATTERN, HOLDERS), TTL)
    };
    let mut holders: Vec<_> = (0..HOLDERS).map(|_| claimant()).collect();
    join_all(holders.iter_mut().map(claim)).await;
    let mut all_renewed = async |time: Duration| {
        let then = BootTime::now().saturating_add(time);
        join_all(holders.iter_mut().map(|holder| renewed_until(holder, then))).await;
    };
    all_renewed(TTL / 2).await;
    let mut leader = &members[0];
    for member in &members[1..] {
        if is_leader(member).await {
            leader = member;
        }
    }
    leader.freeze();
    all_renewed(TTL * 3 / 2).await;
    leader.thaw();
    all_renewed(TTL * 3).await;
}
