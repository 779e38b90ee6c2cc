//! Who waits in line.

use super::*;

#[tokio::test]
async fn who_waits_in_line_looks_once_a_lease_and_besides_only_says_that_it_lives() {
    let pool = ZooKeeperPool::new(1);
    // It is not renewed.
    let mut holder = pool.keeping(pool.ensemble(), incarnation(), pool.agreement(), server::SESSION_MAX);
    claim(&mut holder).await;
    let mut store = pool.newcomer();
    let before = store.session.last_number();
    assert!(timeout(ZooKeeperPool::TTL * 3, claim(&mut store)).await.is_err());
    let requests = store.session.last_number() - before;
    assert!((20..42).contains(&requests), "{requests}: 5, 2 for each of 3 looks, and 8 times in a lease");
}

#[tokio::test]
async fn a_slot_that_lies_idle_is_taken_by_who_waits_behind_a_ticket_of_nobody() {
    let pool = ZooKeeperPool::new(1);
    let mut holder = pool.newcomer();
    claim(&mut holder).await;
    pool.create(&format!("line/{}--0000000000", Nonce::random().unwrap())).await;
    let (line, _status) = claiming(pool.newcomer());
    tokio::time::sleep(ZooKeeperPool::TTL / 4).await;
    holder.release().await.unwrap();
    tokio::time::sleep(ZooKeeperPool::TTL).await;
    assert!(!line.is_finished(), "those in front have their time");
    let granted = timeout(ZooKeeperPool::TTL * IDLE, line).await.expect("claimed").unwrap();
    assert_eq!(granted.slot, 0);
}
