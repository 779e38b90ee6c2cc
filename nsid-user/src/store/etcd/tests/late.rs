//! Requests that a member carries out when the claimant has given them up.

use super::*;

#[tokio::test]
async fn a_request_that_is_carried_out_late_takes_no_slot_and_moves_no_ticket() {
    let pool = EtcdPool::new(3);
    let mut store = pool.newcomer();
    let who = SlotRecord::taken(Holder::new(&store.incarnation, EtcdPool::TTL));
    // With a lease whose grant was answered, and then the requests hung.
    let (_, earlier) = store.session.grant(Pace::Claim).await.unwrap();
    let late = store.keys.take(2, &who, &View::default(), earlier.id);
    assert_eq!(claim(&mut store).await.slot, 0);
    let mut client = pool.client().await;
    let told = client.txn(late).await.unwrap_err().to_string();
    assert!(told.contains("lease not found"), "{told}");
    assert_eq!(client.leases().await.unwrap().leases().len(), 1, "of one claimant");

    let held = store.held.clone().unwrap();
    let (_, earlier) = store.session.grant(Pace::Renewal).await.unwrap();
    let late = store.keys.live_on(&held, &store.incarnation, earlier.id);
    let lease = store.renew().await.unwrap();
    assert!(client.txn(late).await.is_err());
    assert!(store.renew().await.unwrap().deadline() > lease.deadline());
    assert_eq!(client.leases().await.unwrap().leases().len(), 1, "of one claimant");
}

#[tokio::test]
async fn who_lost_its_lease_ends_all_that_a_late_request_may_come_with() {
    let pool = EtcdPool::new(3);
    let mut store = pool.newcomer();
    claim(&mut store).await;
    let (_, other) = store.session.grant(Pace::Claim).await.unwrap();
    let mut etcd = pool.client().await;
    etcd.lease_revoke(store.session.lease().unwrap()).await.unwrap();
    claim(&mut store).await;
    assert!(etcd.lease_revoke(other.id).await.is_err(), "it is there yet");
    assert_eq!(etcd.leases().await.unwrap().leases().len(), 1, "of one claimant");
}
