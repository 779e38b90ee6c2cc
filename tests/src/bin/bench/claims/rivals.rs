//! Other ways to a slot, measured beside ours on the same etcd.

use anyhow::{Result, ensure};
use etcd_client::{Channel, Client, Compare, CompareOp, GetOptions, LockOptions, PutOptions, Txn, TxnOp};
use tonic::transport::Endpoint;

use super::site::LONG;

/// A connection, and with it what was claimed.
pub(super) type Kept = Client;

/// A lease, and a transaction that takes a slot which the claimant was told before.
pub(super) async fn told((endpoint, pool, slot): (String, String, u32)) -> Result<(u32, Kept)> {
    // As our claimants connect: the client's own channel would balance between members.
    let channel = Endpoint::from_shared(format!("http://{endpoint}"))?.connect_lazy();
    let mut client = Client::from_channel(Channel::Tonic(channel), None).await?;
    let lease = client.lease_grant(LONG.as_secs().try_into()?, None).await?.id();
    let key = format!("/told/{pool}/{slot}");
    let nobodys = Compare::create_revision(key.as_str(), CompareOp::Equal, 0);
    let put = TxnOp::put(key, "", Some(PutOptions::new().with_lease(lease)));
    let taken = client.txn(Txn::new().when([nobodys]).and_then([put])).await?;
    ensure!(taken.succeeded(), "slot {slot} was taken");
    Ok((slot, client))
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
