//! How a slot must not be taken: by a look, and then a put that does not ask whether what was seen still is so. Of
//! claimants that come together, or wait for the same departure, several take the same slot, and each says its name until
//! its next renewal.
//!
//! For `nsid-without-transaction` alone, which the tests have to find.

use std::time::Duration;

use super::departures::Departures;
use super::failure::Failure;
use super::members::Urgency;
use super::record::SlotRecord;
use super::requests::Beside;
use super::session::incomplete;
use super::{Etcd, Grant, Held};
use crate::clock::BootTime;
use crate::pace::until;
use crate::store::Progress;

/// How long a node may do something else between the two, which no node can rule out.
const BETWEEN: Duration = Duration::from_millis(50);

impl Etcd {
    /// Nothing: it has waited for long.
    pub(super) async fn get_then_put(
        &mut self,
        who: &SlotRecord,
        progress: &Progress,
    ) -> Result<Option<Grant>, Failure> {
        loop {
            let answer = self.session.transact(Urgency::Claim, self.keys.look()).await?;
            let view = self.keys.view(&answer).ok_or_else(incomplete)?;
            let holder = |slot| view.record(slot).and_then(|record| record.holder.as_ref());
            let is_free = |slot: &u32| holder(*slot).is_none_or(|holder| !view.is_present(holder.nonce));
            let Some(slot) = (0..self.keys.limit()).find(is_free) else {
                let next = Departures::after(view.revision, 1, who.holder.nonce, None);
                if self.wait(next, progress).await?.is_none() {
                    return Ok(None);
                }
                continue;
            };
            until(BootTime::now().saturating_add(BETWEEN)).await;
            let (lease, leased) = self.session.grant(Urgency::Claim).await?;
            let ticket = self.session.moving_to(leased.id);
            let put = self.keys.put(slot, who, [], ticket, Beside::default());
            let answer = self.session.transact(Urgency::Claim, put).await?;
            let revision = answer.header().ok_or_else(incomplete)?.revision();
            self.session.moved(leased);
            self.held = Some(Held::by_taking(slot, revision, who));
            return Ok(Some(Grant { slot, token: revision.unsigned_abs(), lease }));
        }
    }
}
