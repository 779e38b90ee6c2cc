//! What is this store's own, on a real ZooKeeper; the rest is in [`crate::store::behaviour`].

pub(super) mod server;
mod waiting;

use tokio::time::timeout;

use self::server::{Server, TICK};
use super::*;
use crate::store::authority::Authority;
use crate::store::behaviour::{PATTERN, Pool, agreement, claim, claiming, dropped_after};
use crate::store::{Credentials, Kind, NodeId, Nonce, Password, State, Tls};

/// A pool in a ZooKeeper of its own.
struct ZooKeeperPool {
    server: Server,
    limit: u32,
}

impl Pool for ZooKeeperPool {
    type Claimant = ZooKeeper;
    const TTL: Duration = Duration::from_secs(2);
    // A session's end is rounded up to a tick, and counts from a renewal that its lease does not count from yet.
    const HANDED_ON: (Duration, Duration) = (Duration::from_millis(500), TICK.saturating_mul(10));
    type Outage<'a> = Frozen<'a>;

    fn new(limit: u32) -> Self {
        Self { server: Server::start(), limit }
    }

    fn agreement(&self) -> Agreement {
        agreement(PATTERN, self.limit)
    }

    fn claimant_of(&self, incarnation: Incarnation, agreement: Agreement) -> ZooKeeper {
        self.claimant_at(vec![self.server.endpoint()], incarnation, agreement)
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

const PATH: &str = "/dns/names";

impl ZooKeeperPool {
    fn claimant_at(
        &self,
        endpoints: Vec<String>,
        incarnation: Incarnation,
        agreement: Agreement,
    ) -> ZooKeeper {
        self.keeping(Ensemble { endpoints, ..self.ensemble() }, incarnation, agreement, Self::TTL)
    }

    fn keeping(
        &self,
        ensemble: Ensemble,
        incarnation: Incarnation,
        agreement: Agreement,
        ttl: Duration,
    ) -> ZooKeeper {
        let path = self.server.directory().join(incarnation.nonce.to_string());
        ZooKeeper::keeping(Some(path), ensemble, incarnation, agreement, ttl)
    }

    fn ensemble(&self) -> Ensemble {
        let endpoints = vec![self.server.endpoint()];
        Ensemble { endpoints, path: PATH.to_owned(), credentials: None, tls: None }
    }

    fn newcomer(&self) -> ZooKeeper {
        self.claimant(Nonce::random().unwrap())
    }

    /// A session of nobody's, of that user.
    fn session(&self, credentials: Option<Credentials>) -> Session {
        Session::new(Ensemble { credentials, ..self.ensemble() }, 0, Self::TTL, None)
    }

    /// How many nodes the pool has below that.
    async fn count(&self, below: &str) -> usize {
        let path = format!("{PATH}/{PATTERN}/{below}");
        let reads = [Read::Children(&path)];
        let seen = self
            .session(None)
            .ask_unhurried(async |server| server.ask(&MultiRead(&reads)).await)
            .await
            .unwrap();
        let [Seen::Children(names)] = &seen[..] else { panic!("{seen:?}") };
        names.len()
    }

    async fn create(&self, below: &str) {
        let path = format!("{PATH}/{PATTERN}/{below}");
        let create = Create { path: &path, data: b"", acl: Acl::Open, mode: Mode::Persistent };
        self.session(None).ask_unhurried(async |server| server.ask(&create).await).await.unwrap();
    }

    async fn delete(&self, below: &str) {
        let path = format!("{PATH}/{PATTERN}/{below}");
        self.session(None).ask_unhurried(async |server| server.ask(&Delete(&path)).await).await.unwrap();
    }
}

behaves_as_a_store!(ZooKeeperPool);

fn incarnation() -> Incarnation {
    incarnation_of(Nonce::random().unwrap())
}

fn incarnation_of(nonce: Nonce) -> Incarnation {
    Incarnation::new(nonce, NodeId::of(&nonce.to_string(), "test", 0), String::new())
}

/// As the driver does it.
async fn renewed(store: &mut ZooKeeper) -> Lease {
    let renewed = async {
        loop {
            match store.renew().await {
                Ok(lease) => return lease,
                Err(RenewError::Unreachable(_)) => tokio::time::sleep(ZooKeeperPool::TTL / 100).await,
                Err(RenewError::Lost) => panic!("lost"),
            }
        }
    };
    timeout(ZooKeeperPool::TTL, renewed).await.expect("renewed")
}

#[tokio::test]
async fn a_zookeeper_that_is_not_there_yet_is_waited_for() {
    let mut pool = ZooKeeperPool { server: Server::stopped(), limit: 3 };
    let (claim, mut status) = claiming(pool.newcomer());
    let unreachable = status.wait_for(|status| status.store.state == State::Unreachable);
    timeout(ZooKeeperPool::TTL, unreachable).await.expect("said").unwrap();
    pool.server.run();
    assert_eq!(timeout(ZooKeeperPool::TTL * 2, claim).await.expect("claimed").unwrap().slot, 0);
}

#[tokio::test]
async fn a_dead_or_frozen_server_is_left_for_the_next() {
    let pool = ZooKeeperPool::new(3);
    let dead = Server::stopped();
    let frozen = Server::start();
    frozen.freeze();
    let endpoints = [&dead, &frozen, &pool.server].map(Server::endpoint);
    // By their nonces they begin with the first, the second and the third server.
    for first in 0..3 {
        let nonce: Nonce = format!("{first:032x}").parse().unwrap();
        assert_eq!(nonce.spread(3), first);
        let mut store = pool.claimant_at(endpoints.to_vec(), incarnation_of(nonce), pool.agreement());
        timeout(ZooKeeperPool::TTL * 2, claim(&mut store)).await.expect("claimed");
        store.renew().await.unwrap();
    }
}

#[tokio::test]
async fn a_restart_of_zookeeper_takes_nothing_away() {
    let mut pool = ZooKeeperPool::new(3);
    let mut store = pool.newcomer();
    let grant = claim(&mut store).await;
    pool.server.kill();
    assert!(matches!(store.renew().await, Err(RenewError::Unreachable(_))));
    pool.server.run();
    let lease = renewed(&mut store).await;
    assert!(lease.deadline() > grant.lease.deadline());
    assert_eq!(store.held.map(|held| held.czxid.unsigned_abs()), Some(grant.token));
}

#[tokio::test]
async fn a_zookeeper_that_lost_its_data_is_claimed_from_anew() {
    let mut pool = ZooKeeperPool::new(3);
    let mut store = pool.newcomer();
    claim(&mut store).await;
    pool.server.lose_data();
    pool.server.run();
    assert!(matches!(store.renew().await, Err(RenewError::Unreachable(_))));
    assert_eq!(timeout(ZooKeeperPool::TTL, claim(&mut store)).await.expect("claimed").slot, 0);
    store.renew().await.unwrap();
}

#[tokio::test]
async fn a_session_that_was_to_be_ended_is_not_gone_on_with() {
    let mut pool = ZooKeeperPool::new(3);
    let mut store = pool.newcomer();
    assert_eq!(claim(&mut store).await.slot, 0);
    let kept = pool.server.directory().join(store.incarnation.nonce.to_string());
    assert!(kept.exists());
    pool.server.kill();
    store.release().await.unwrap_err();
    assert!(!kept.exists(), "by the next process as little");
    pool.server.run();
    assert_eq!(claim(&mut store).await.slot, 1, "slot 0 may go at any time");
    assert!(kept.exists());
}

#[tokio::test]
async fn a_frozen_zookeeper_is_told_in_time_and_what_it_carries_out_late_is_found() {
    let pool = ZooKeeperPool::new(3);
    let mut store = pool.newcomer();
    claim(&mut store).await;
    store.renew().await.unwrap();
    pool.server.freeze();
    let before = BootTime::now();
    assert!(matches!(store.renew().await, Err(RenewError::Unreachable(_))));
    assert!(BootTime::now() < before.saturating_add(ZooKeeperPool::TTL / RENEWALS));
    pool.server.thaw();
    let sent = BootTime::now();
    let lease = renewed(&mut store).await;
    assert!(lease.sent() >= sent);
    store.renew().await.expect("ours, as before");
}

#[tokio::test]
async fn a_lease_counts_from_what_the_leader_had_heard_before() {
    let pool = ZooKeeperPool::new(3);
    let mut store = pool.newcomer();
    let mut before = claim(&mut store).await.lease;
    assert!(before.ttl() > ZooKeeperPool::TTL * 3 / 4, "{before:?}");
    for _ in 0..4 {
        tokio::time::sleep(ZooKeeperPool::TTL / 5).await;
        let lease = store.renew().await.unwrap();
        let end = lease.sent().saturating_add(lease.ttl());
        assert!(end <= before.sent().saturating_add(ZooKeeperPool::TTL + TICK), "{before:?} {lease:?}");
        assert!(lease.ttl() > ZooKeeperPool::TTL * 3 / 5, "{lease:?}");
        before = lease;
    }
}

#[tokio::test]
async fn a_slot_that_somebody_deleted_or_a_session_that_somebody_ended_is_lost() {
    let pool = ZooKeeperPool::new(3);
    let mut store = pool.newcomer();
    for _ in 0..2 {
        assert_eq!(claim(&mut store).await.slot, 0);
        pool.delete("slots/0").await;
        // Nobody else's, while it may be said.
        let mut other = pool.newcomer();
        assert_eq!(claim(&mut other).await.slot, 1);
        other.release().await.unwrap();
        assert!(matches!(store.renew().await, Err(RenewError::Lost)));
    }
    claim(&mut store).await;
    let mut same =
        pool.keeping(pool.ensemble(), store.incarnation.clone(), pool.agreement(), ZooKeeperPool::TTL);
    same.release().await.unwrap();
    assert!(matches!(store.renew().await, Err(RenewError::Lost)));
    assert_eq!(claim(&mut store).await.slot, 0);
    store.renew().await.unwrap();
}

#[tokio::test]
async fn who_has_a_slot_is_told_when_somebody_deletes_it_and_of_nothing_else() {
    let mut pool = ZooKeeperPool::new(3);
    // The next renewal is far.
    let mut store = pool.keeping(pool.ensemble(), incarnation(), pool.agreement(), server::SESSION_MAX);
    let told = async |store: &mut ZooKeeper| timeout(ZooKeeperPool::TTL, store.lost()).await.is_ok();
    let untold = async |store: &mut ZooKeeper| timeout(ZooKeeperPool::TTL / 5, store.lost()).await.is_err();
    assert!(untold(&mut store).await, "it has none");
    claim(&mut store).await;
    assert!(untold(&mut store).await);
    store.renew().await.unwrap();
    // Anew: the node that there was is deleted for it.
    claim(&mut store).await;
    assert!(untold(&mut store).await);
    pool.server.kill();
    pool.server.run();
    renewed(&mut store).await;
    assert!(untold(&mut store).await, "there is another connection");
    pool.delete("slots/0").await;
    assert!(told(&mut store).await);
    assert!(matches!(store.renew().await, Err(RenewError::Lost)));
    claim(&mut store).await;
    // Before there is a watch.
    pool.delete("slots/0").await;
    assert!(told(&mut store).await);
}

/// As of a virtual machine that was copied while it ran.
#[tokio::test]
async fn of_two_that_have_one_session_one_keeps_the_slot_and_the_other_gets_another() {
    let pool = ZooKeeperPool::new(3);
    let mut first = pool.newcomer();
    let grant = claim(&mut first).await;
    let mut copy = pool.claimant(first.incarnation.nonce);
    copy.held = first.held.clone();
    first.renew().await.unwrap();
    assert!(matches!(copy.renew().await, Err(RenewError::Lost)));
    assert_eq!(claim(&mut copy).await.slot, grant.slot + 1);
    renewed(&mut first).await;
    renewed(&mut copy).await;
}

#[tokio::test]
async fn a_claim_that_is_dropped_anywhere_leaves_nothing_that_the_next_does_not_find() {
    let pool = ZooKeeperPool::new(100);
    // It is not renewed.
    let mut first = pool.keeping(pool.ensemble(), incarnation(), pool.agreement(), server::SESSION_MAX);
    claim(&mut first).await;
    let mut polls = 0;
    loop {
        let mut store = pool.newcomer();
        let whole = dropped_after(polls, claim(&mut store)).await.is_some();
        assert_eq!(claim(&mut store).await.slot, 1, "dropped after {polls} polls");
        assert_eq!((pool.count("held").await, pool.count("line").await), (2, 0), "{polls} polls");
        store.release().await.unwrap();

        let mut store = pool.newcomer();
        let _dropped = dropped_after(polls, claim(&mut store)).await;
        store.release().await.unwrap();
        assert_eq!((pool.count("held").await, pool.count("line").await), (1, 0), "{polls} polls");
        if whole {
            break;
        }
        polls += 1;
    }
    assert!(polls > 3, "a claim of four requests was never dropped between them");
}

#[tokio::test]
async fn a_first_claim_is_three_requests_three_more_where_there_is_no_pool_and_one_after_another_four() {
    let pool = ZooKeeperPool::new(10);
    let requests = async |store: &mut ZooKeeper, slot| {
        let before = store.session.last_number();
        assert_eq!(claim(store).await.slot, slot);
        store.session.last_number() - before
    };
    let made = requests(&mut pool.newcomer(), 0).await;
    assert_eq!(made, 3 + 3, "a look, what lacks, its making");
    let mut store = pool.newcomer();
    assert_eq!(requests(&mut store, 1).await, 3, "a look, a ticket, a slot");
    assert_eq!(requests(&mut store, 1).await, 4, "what the leader knows, a look, its own, a slot");
}

#[tokio::test]
async fn who_looks_at_the_pool_and_who_does_not_share_it() {
    let pool = ZooKeeperPool::new(10);
    let mut stores: Vec<ZooKeeper> = (0..4).map(|_| pool.newcomer()).collect();
    for (slot, store) in (0..).zip(&mut stores) {
        assert_eq!(claim(store).await.slot, slot);
    }
    // From now on fewer are there than came.
    stores[1].release().await.unwrap();
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 1);
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 4);
}

#[tokio::test]
async fn a_node_that_only_looks_like_a_slot_is_nobodys_and_one_that_cannot_be_read_is_taken() {
    let pool = ZooKeeperPool::new(4);
    let mut store = pool.newcomer();
    claim(&mut store).await;
    for name in
        ["slots/01", "slots/+1", "slots/x", "slots/99999999999", "slots/2", "line/x", "line/0000000001"]
    {
        pool.create(name).await;
    }
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 1);
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 3);
    assert_eq!(store.names().await.unwrap().holders.len(), 3);
}

#[tokio::test]
async fn what_somebody_removed_of_a_pool_is_made_again() {
    let pool = ZooKeeperPool::new(3);
    let mut store = pool.newcomer();
    for part in ["slots", "held", "line", "agreement"] {
        claim(&mut store).await;
        store.release().await.unwrap();
        pool.delete(part).await;
        assert_eq!(timeout(ZooKeeperPool::TTL, claim(&mut store)).await.expect("claimed").slot, 0, "{part}");
        store.release().await.unwrap();
    }
}

#[tokio::test]
async fn a_session_that_is_shorter_than_was_asked_for_makes_shorter_leases() {
    let pool = ZooKeeperPool::new(3);
    let mut store = pool.keeping(pool.ensemble(), incarnation(), pool.agreement(), server::SESSION_MAX * 2);
    let lease = claim(&mut store).await.lease;
    assert!(lease.ttl() <= server::SESSION_MAX, "{lease:?}");
}

#[tokio::test]
async fn a_session_that_an_earlier_process_made_for_less_makes_no_longer_leases() {
    let pool = ZooKeeperPool::new(3);
    let mut store = pool.newcomer();
    let Grant { slot, token, lease } = claim(&mut store).await;
    let mut next =
        pool.keeping(pool.ensemble(), store.incarnation.clone(), pool.agreement(), server::SESSION_MAX);
    let lease = next.resume(Inherited { slot, token, until: lease.deadline() }).await.unwrap();
    assert!(lease.ttl() <= ZooKeeperPool::TTL, "{lease:?}");
    // A server that has started counts so, which knows of nothing that was agreed on since.
    next.release().await.unwrap();
    let lease = claim(&mut next).await.lease;
    assert!(lease.ttl() > ZooKeeperPool::TTL, "{lease:?}");
}

#[tokio::test]
async fn who_goes_on_in_another_pool_leaves_its_slot_to_the_next_within_a_lease() {
    let pool = ZooKeeperPool::new(1);
    let mut store = pool.newcomer();
    claim(&mut store).await;
    let elsewhere = agreement("other{id}.n5.test", 1);
    let mut moved = pool.keeping(pool.ensemble(), store.incarnation.clone(), elsewhere, ZooKeeperPool::TTL);
    drop(store);
    claim(&mut moved).await;
    let (next, _status) = claiming(pool.newcomer());
    let handed_on = timeout(ZooKeeperPool::TTL + ZooKeeperPool::HANDED_ON.1, async {
        loop {
            moved.renew().await.unwrap();
            tokio::time::sleep(ZooKeeperPool::TTL / RENEWALS).await;
            if next.is_finished() {
                return next.await;
            }
        }
    });
    assert_eq!(handed_on.await.expect("handed on").unwrap().slot, 0);
}

fn user(user: &str, password: &str) -> Credentials {
    Credentials { user: user.to_owned(), password: Password::new(password.to_owned()) }
}

#[tokio::test]
async fn rights_that_a_claimant_lacks_end_the_claim() {
    let pool = ZooKeeperPool::new(3);
    let store = |credentials| {
        let ensemble = Ensemble { credentials, ..pool.ensemble() };
        pool.keeping(ensemble, incarnation(), pool.agreement(), ZooKeeperPool::TTL)
    };
    let mut first = store(Some(user("nsid", "secret")));
    assert_eq!(claim(&mut first).await.slot, 0);
    first.renew().await.unwrap();
    for credentials in [None, Some(user("nsid", "wrong")), Some(user("nobody", "secret"))] {
        let mut store = store(credentials);
        let (progress, _) = Progress::new(Kind::ZooKeeper, "test");
        let claim = timeout(ZooKeeperPool::TTL * 2, store.claim(&progress)).await.expect("an end");
        let error = claim.expect_err("refused").to_string();
        for part in ["no rights", &pool.server.endpoint(), PATH, PASSWORD_VARIABLE] {
            assert!(error.contains(part), "no {part:?}: {error}");
        }
        assert!(!error.contains("secret") && !error.contains("wrong"), "{error}");
    }
    assert_eq!(claim(&mut store(Some(user("nsid", "secret")))).await.slot, 1);
}

#[tokio::test]
async fn over_tls_both_sides_prove_who_they_are() {
    let (authority, other) = (Authority::new(), Authority::new());
    let pool = ZooKeeperPool { server: Server::start_over_tls(&authority), limit: 3 };
    let claimant = |endpoint: &str, tls: Option<Tls>| {
        let ensemble = Ensemble { endpoints: vec![endpoint.to_owned()], tls, ..pool.ensemble() };
        pool.keeping(ensemble, incarnation(), pool.agreement(), ZooKeeperPool::TTL)
    };
    let (over_tls, plain) = (pool.server.endpoint_over_tls(), pool.server.endpoint());
    let mut store = claimant(&over_tls, Some(authority.tls(Some(&authority))));
    assert_eq!(claim(&mut store).await.slot, 0);
    renewed(&mut store).await;
    for (endpoint, tls, told) in [
        (&over_tls, Some(other.tls(Some(&authority))), "--ca"),
        (&over_tls, Some(authority.tls(None)), "--cert"),
        (&over_tls, Some(authority.tls(Some(&other))), "--cert"),
        (&over_tls, None, "closed"),
        (&plain, Some(authority.tls(Some(&authority))), "zk://"),
    ] {
        let refused = claimant(endpoint, tls.clone()).names().await.unwrap_err().to_string();
        assert!(refused.contains(told) && refused.contains(endpoint), "{tls:?}: {refused}");
    }
    assert_eq!(store.names().await.unwrap().holders.len(), 1);
}
