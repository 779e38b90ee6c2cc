//! Other ways to a slot, measured beside ours on the same etcd.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use etcd_client::{Channel, Client, Compare, CompareOp, GetOptions, LockOptions, PutOptions, Txn, TxnOp};
use tokio::time::sleep;
use tonic::transport::Endpoint;

use super::{row::TTL, site::LONG};

/// How soon etcd is asked again that had too much to do.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection, and with it what was claimed.
pub(super) type Kept = Client;

/// A lease, and a transaction that takes a slot which the claimant was told before.
pub(super) async fn told((endpoint, pool, slot): (String, String, u32)) -> Result<(u32, Kept)> {
    let (client, lease) = lease_of(LONG, endpoint).await?;
    let key = format!("/told/{pool}/{slot}");
    let nobodys = Compare::create_revision(key.as_str(), CompareOp::Equal, 0);
    let put = TxnOp::put(key, "", Some(PutOptions::new().with_lease(lease)));
    let take = Txn::new().when([nobodys]).and_then([put]);
    let taken = unless_busy(|| {
        let (mut kv, take) = (client.kv_client(), take.clone());
        async move { kv.txn(take).await }
    })
    .await?;
    ensure!(taken.succeeded(), "slot {slot} was taken");
    Ok((slot, client))
}

/// A lease as agents ask for by default.
pub(super) async fn lease(endpoint: String) -> Result<(Client, i64)> {
    lease_of(TTL, endpoint).await
}

/// Keeps a lease alive, first after that time and then again and again with that time between. It ends if the lease does.
pub(super) async fn keep_alive(
    (mut client, lease): (Client, i64),
    first: Duration,
    between: Duration,
) -> Result<()> {
    let (mut keeper, mut answers) = client.lease_keep_alive(lease).await?;
    sleep(first).await;
    loop {
        keeper.keep_alive().await?;
        let answer = answers.message().await?.context("no answer")?;
        ensure!(answer.ttl() > 0, "the lease is over");
        sleep(between).await;
    }
}

/// On a connection of its own.
async fn lease_of(ttl: Duration, endpoint: String) -> Result<(Client, i64)> {
    // As our claimants connect: the client's own channel would balance between members.
    let channel = Endpoint::from_shared(format!("http://{endpoint}"))?.connect_lazy();
    let client = Client::from_channel(Channel::Tonic(channel), None).await?;
    let seconds = ttl.as_secs().try_into()?;
    let lease = unless_busy(|| {
        let mut leases = client.lease_client();
        async move { leases.grant(seconds, None).await }
    })
    .await?;
    Ok((client, lease.id()))
}

/// Asks again after a pause if etcd says that it has too much to do.
async fn unless_busy<T, F>(mut request: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T, etcd_client::Error>>,
{
    loop {
        match request().await {
            Err(error) if error.to_string().contains("too many requests") => sleep(PAUSE).await,
            answer => return Ok(answer?),
        }
    }
}

/// One lock for the whole pool: who has it takes the lowest free slot.
pub(super) async fn global_lock((endpoint, pool): (String, String)) -> Result<(u32, Kept)> {
    let (mut client, lease) = connect(&endpoint).await?;
    let lock = client.lock(format!("/lock/{pool}"), Some(LockOptions::new().with_lease(lease))).await?;
    let prefix = format!("/locked/{pool}/");
    let taken = client.get(prefix.as_str(), Some(GetOptions::new().with_prefix().with_count_only())).await?;
    // Nobody leaves: the slots that are taken are the lowest.
    let slot = u32::try_from(taken.count())?;
    client.put(format!("{prefix}{slot}"), "", Some(PutOptions::new().with_lease(lease))).await?;
    client.unlock(lock.key()).await?;
    Ok((slot, client))
}

/// The first slot that is seen free is put (the method of the `CoreDNS` plugin idetcd): what is seen may be gone by then.
pub(super) async fn get_then_put((endpoint, pool): (String, String)) -> Result<(u32, Kept)> {
    let (mut client, lease) = connect(&endpoint).await?;
    let mut slot = 0;
    loop {
        let key = format!("/seen/{pool}/{slot}");
        if client.get(key.as_str(), None).await?.count() == 0 {
            client.put(key, "", Some(PutOptions::new().with_lease(lease))).await?;
            return Ok((slot, client));
        }
        slot += 1;
    }
}

async fn connect(endpoint: &str) -> Result<(Client, i64)> {
    let mut client = Client::connect([endpoint], None).await?;
    let lease = client.lease_grant(LONG.as_secs().try_into()?, None).await?.id();
    Ok((client, lease))
}
