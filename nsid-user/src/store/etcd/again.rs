//! Claiming again what one had, without a look at the pool: after an outage or a restart of all agents everybody does, and
//! a look is at the whole pool.
//!
//! A slot whose record says that this claimant took it last is nobody else's, and is taken again by a transaction that
//! compares the record. Which slot that may be is known from the claim before, or from the ticket if that is still there; a
//! wrong guess costs a request.

use etcd_client::Txn;

use super::answers::Arrived;
use super::failure::Failure;
use super::keys::Keys;
use super::members::Urgency;
use super::record::SlotRecord;
use super::session::Leased;
use super::{Etcd, Taken};
use crate::store::{Grant, Lease};

impl Etcd {
    /// Takes the slot that this claimant had last. Nothing: it had none, or somebody else took it since.
    pub(super) async fn take_again(
        &mut self,
        arrived: &Arrived,
        who: &SlotRecord,
    ) -> Result<Option<Grant>, Failure> {
        match arrived {
            // Then this claimant has not been here before: the pool is another one.
            Arrived::Now { all_stayed: Some(true), .. } => return Ok(None),
            Arrived::Now { .. } | Arrived::Before { .. } => {}
        }
        if let Some(last) = self.last.clone() {
            let lease = self.fresh_lease().await?;
            let keep = self.keys.keep_held(&last, who, self.session.moving_to(lease.1.id));
            let granted = self.take_or_keep(last.slot, keep, who, lease).await?;
            self.last = None;
            return Ok(granted);
        }
        let &Arrived::Before { slot: Some(slot), is_unsettled: false, .. } = arrived else { return Ok(None) };
        let answer = self.session.transact(Urgency::Claim, self.keys.find_slot(slot)).await?;
        let Some(revision) = Keys::own_take(&answer, who.holder.nonce) else { return Ok(None) };
        let lease = self.fresh_lease().await?;
        let keep = self.keys.keep(slot, revision, who, self.session.moving_to(lease.1.id));
        Ok(self.take(slot, keep, who, lease).await?.granted())
    }

    /// Takes a slot so, or again if this claimant has taken it already. Nothing: it is another one's.
    pub(super) async fn take_or_keep(
        &mut self,
        slot: u32,
        take: Txn,
        who: &SlotRecord,
        lease: (Lease, Leased),
    ) -> Result<Option<Grant>, Failure> {
        let revision = match self.take(slot, take, who, lease).await? {
            Taken::Granted(grant) => return Ok(Some(grant)),
            Taken::ByOurselves { revision } => revision,
            Taken::NotAsSeen => return Ok(None),
        };
        let keep = self.keys.keep(slot, revision, who, self.session.moving_to(lease.1.id));
        Ok(self.take(slot, keep, who, lease).await?.granted())
    }
}
