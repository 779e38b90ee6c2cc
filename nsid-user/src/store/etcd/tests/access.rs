//! Who may do what: users and their rights, certificates, prefixes.

use etcd_client::{ConnectOptions, Permission, PermissionType, RoleRevokePermissionOptions};

use super::*;
use crate::store::authority::Authority;
use crate::store::{Credentials, Password};

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
    let cluster = Cluster { credentials: Some(credentials), ..Cluster::new(vec![pool.server.endpoint(); 2]) };
    Etcd::new(cluster, incarnation(Nonce::random().unwrap()), pool.agreement(), EtcdPool::TTL)
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

#[tokio::test]
async fn over_tls_both_sides_prove_who_they_are() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Server::start_over_tls(&authority);
    let claimant = |tls: Option<Tls>| {
        let cluster = Cluster { tls, ..Cluster::new(vec![server.endpoint()]) };
        Etcd::new(cluster, incarnation(Nonce::random().unwrap()), agreement(PATTERN, 3), EtcdPool::TTL)
    };
    let mut store = claimant(Some(authority.tls(Some(&authority))));
    assert_eq!(claim(&mut store).await.slot, 0);
    renewed(&mut store).await;
    for (tls, told) in [
        (Some(other.tls(Some(&authority))), "--ca"),
        (Some(authority.tls(None)), ""),
        (Some(authority.tls(Some(&other))), ""),
        (None, ""),
    ] {
        let refused = claimant(tls.clone()).names().await.unwrap_err().to_string();
        assert!(refused.contains(told) && refused.contains(&server.endpoint()), "{tls:?}: {refused}");
    }
    assert_eq!(store.names().await.unwrap().holders.len(), 1);
}

#[tokio::test]
async fn two_prefixes_are_two_stores_and_a_role_for_one_of_them_is_enough() {
    let pool = EtcdPool::new(3);
    let mut root = protect(&pool).await;
    root.role_revoke_permission("names", "/nsid/", Some(RoleRevokePermissionOptions::new().with_prefix()))
        .await
        .unwrap();
    let below = Permission::new(PermissionType::Readwrite, "/dns/nsid/").with_prefix();
    root.role_grant_permission("names", below).await.unwrap();
    let claimant = |prefix: &str| {
        let credentials = Credentials { user: "nsid".into(), password: Password::new("secret".into()) };
        let cluster = Cluster {
            prefix: prefix.to_owned(),
            credentials: Some(credentials),
            ..Cluster::new(vec![pool.server.endpoint()])
        };
        Etcd::new(cluster, incarnation(Nonce::random().unwrap()), pool.agreement(), EtcdPool::TTL)
    };
    let mut store = claimant("/dns/nsid");
    assert_eq!(claim(&mut store).await.slot, 0);
    renewed(&mut store).await;
    let (progress, _) = Progress::new(Kind::Etcd, "test");
    let refused = claimant("/nsid").claim(&progress).await.unwrap_err().to_string();
    assert!(refused.contains("permission denied") && refused.contains("below /nsid/"), "{refused}");
    store.release().await.unwrap();
}
