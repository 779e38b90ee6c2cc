//! How a slot must not be taken: by a look, and then a put that does not ask whether what was seen still is so. Of
//! claimants that come together, several take the same slot, and each says its name until its next renewal.
//!
//! For `nsid-without-transaction` alone, which the tests have to find.

use super::answers::Held;
use super::failure::Failure;
use super::members::Pace;
use super::record::SlotRecord;
use super::requests::Beside;
use super::session::{Leased, incomplete};
use super::{Etcd, Grant, Lease};

impl Etcd {
    /// Nothing: no slot is free.
    pub(super) async fn get_then_put(
        &mut self,
        who: &SlotRecord,
        fresh: &mut Option<(Lease, Leased)>,
    ) -> Result<Option<Grant>, Failure> {
        let fresh = self.fresh_lease(fresh).await?;
        let answer = self.session.transact(Pace::Claim, self.keys.look()).await?;
        let view = self.keys.view(&answer).ok_or_else(incomplete)?;
        let holder = |slot| view.record(slot).and_then(|record| record.holder.as_ref());
        let is_free = |slot: &u32| holder(*slot).is_none_or(|holder| !view.is_present(holder.nonce));
        let Some(slot) = (0..self.keys.limit()).find(is_free) else { return Ok(None) };
        let put = self.keys.put(slot, who, [], fresh.1.id, Beside::default());
        let answer = self.session.transact(Pace::Claim, put).await?;
        let revision = answer.header().ok_or_else(incomplete)?.revision();
        let (lease, leased) = fresh;
        self.session.adopt(leased);
        self.held = Some(Held { slot, revision, record: who.to_json().into_bytes() });
        Ok(Some(Grant { slot, token: revision.unsigned_abs(), lease }))
    }
}
