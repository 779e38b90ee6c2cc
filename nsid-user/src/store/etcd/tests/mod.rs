//! What is this store's own, on a real etcd; the rest is in [`crate::store::behaviour`].

mod server;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use etcd_client::{Client, ConnectOptions, GetOptions, Permission, PermissionType};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::server::Server;
use super::*;
use crate::store::behaviour::Pool;
use crate::store::{ClaimStatus, Kind, State};

const POOL: &str = "worker{id}.tf.local";

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

    fn claimant(&self, nonce: Nonce) -> Etcd {
        self.claimant_at(vec![self.server.endpoint()], nonce)
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
        Etcd::new(Cluster { endpoints, credentials: None }, POOL, nonce, self.limit, Self::TTL)
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
        self.client().await.get(format!("/nsid/{POOL}/{below}"), Some(options)).await.unwrap().count()
    }
}

behaves_as_a_store!(EtcdPool);

async fn claim(store: &mut Etcd) -> Grant {
    store.claim(&Progress::new(Kind::Etcd, "test").0).await.unwrap()
}

/// A claim that goes on beside the test, and its state.
fn claiming(mut store: Etcd) -> (JoinHandle<Grant>, watch::Receiver<ClaimStatus>) {
    let (progress, status) = Progress::new(Kind::Etcd, "test");
    (tokio::spawn(async move { store.claim(&progress).await.unwrap() }), status)
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
    assert_eq!(store.held.map(|held| held.revision.unsigned_abs()), Some(grant.token));
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
        let slot = format!("/nsid/{POOL}/slots/0");
        pool.client().await.delete(slot, None).await.unwrap();
        assert!(matches!(store.renew().await, Err(RenewError::Lost)));
    }
    claim(&mut store).await;
    pool.client().await.lease_revoke(store.session.lease().unwrap()).await.unwrap();
    assert!(matches!(store.renew().await, Err(RenewError::Lost)));
    assert_eq!(claim(&mut store).await.slot, 0);
    store.renew().await.unwrap();
}

/// Drops what has not come to its end when it was polled that often: each time an answer has arrived, more or less.
async fn dropped_after<T>(polls: usize, work: impl Future<Output = T>) -> Option<T> {
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

#[tokio::test]
async fn a_claim_that_is_dropped_anywhere_leaves_nothing_that_the_next_does_not_find() {
    let pool = EtcdPool::new(100);
    let mut polls = 0;
    loop {
        let mut store = pool.newcomer();
        let whole = dropped_after(polls, claim(&mut store)).await.is_some();
        assert_eq!(claim(&mut store).await.slot, 0, "dropped after {polls} polls");
        assert_eq!((pool.count("slots/").await, pool.count("tickets/").await), (1, 1), "{polls} polls");
        store.release().await.unwrap();

        let mut store = pool.newcomer();
        let _dropped = dropped_after(polls, claim(&mut store)).await;
        store.release().await.unwrap();
        assert_eq!((pool.count("slots/").await, pool.count("tickets/").await), (0, 0), "{polls} polls");
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
    pool.client().await.delete(format!("/nsid/{POOL}/arrivals"), None).await.unwrap();
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 5);
}

/// Has etcd ask for credentials: `nsid` may use the pool's keys, `stranger` may not.
async fn protect(pool: &EtcdPool) -> Client {
    let mut etcd = pool.client().await;
    etcd.user_add("root", "root's", None).await.unwrap();
    etcd.user_grant_role("root", "root").await.unwrap();
    etcd.role_add("names").await.unwrap();
    for (user, password) in [("nsid", "secret"), ("stranger", "secret")] {
        etcd.user_add(user, password, None).await.unwrap();
    }
    etcd.user_grant_role("nsid", "names").await.unwrap();
    let below = Permission::new(PermissionType::Readwrite, "/nsid/").with_prefix();
    etcd.role_grant_permission("names", below).await.unwrap();
    etcd.auth_enable().await.unwrap();
    let root = ConnectOptions::new().with_user("root", "root's");
    Client::connect([pool.server.endpoint()], Some(root)).await.unwrap()
}

fn user(pool: &EtcdPool, user: &str, password: &str) -> Etcd {
    let credentials = Credentials { user: user.to_owned(), password: Password::new(password.to_owned()) };
    // As if there were two members.
    let cluster = Cluster { endpoints: vec![pool.server.endpoint(); 2], credentials: Some(credentials) };
    Etcd::new(cluster, POOL, Nonce::random().unwrap(), pool.limit, EtcdPool::TTL)
}

#[tokio::test]
async fn credentials_that_etcd_refuses_end_the_claim() {
    let pool = EtcdPool::new(3);
    protect(&pool).await;
    for (login, reason) in [
        (None, "user name is empty"),
        (Some(("nsid", "wrong")), "authentication failed"),
        (Some(("nobody", "secret")), "authentication failed"),
        (Some(("stranger", "secret")), "permission denied"),
    ] {
        let mut store = match login {
            Some((name, password)) => user(&pool, name, password),
            None => pool.newcomer(),
        };
        let (progress, _) = Progress::new(Kind::Etcd, "test");
        let claim = timeout(EtcdPool::TTL * 3, store.claim(&progress)).await.expect("an end");
        let error = claim.expect_err("refused").to_string();
        assert!(error.contains(reason) && error.contains(&pool.server.endpoint()), "{error}");
    }
    let mut store = user(&pool, "nsid", "secret");
    assert_eq!(claim(&mut store).await.slot, 0);
    store.renew().await.unwrap();
}

#[tokio::test]
async fn access_control_that_goes_and_comes_takes_nothing_away() {
    let pool = EtcdPool::new(3);
    let mut root = protect(&pool).await;
    let mut store = user(&pool, "nsid", "secret");
    claim(&mut store).await;
    root.auth_disable().await.unwrap();
    renewed(&mut store).await;
    pool.client().await.auth_enable().await.unwrap();
    renewed(&mut store).await;
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
async fn a_key_that_only_looks_like_a_slot_is_nobodys() {
    let pool = EtcdPool::new(3);
    let mut store = pool.newcomer();
    claim(&mut store).await;
    for key in ["01", "+1", "-1", "99999999999", "", "1/2"] {
        let (key, holder) = (format!("/nsid/{POOL}/slots/{key}"), store.nonce.to_string());
        pool.client().await.put(key, holder, None).await.unwrap();
    }
    pool.client().await.delete(format!("/nsid/{POOL}/slots/0"), None).await.unwrap();
    assert!(matches!(store.renew().await, Err(RenewError::Lost)));
    assert_eq!(claim(&mut store).await.slot, 0);
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 1);
}
