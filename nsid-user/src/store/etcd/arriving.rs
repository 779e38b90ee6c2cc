//! Arriving, and what follows from the number of an arrival while nobody has left.

use std::time::{Duration, Instant};

use etcd_client::WatchOptions;

use super::answers::{Arrival, Arrived, Counted, Held};
use super::departures::{Ahead, FAR};
use super::failure::Failure;
use super::keys::Keys;
use super::members::Urgency;
use super::order::View;
use super::record::{SlotRecord, Whole};
use super::session::{events, incomplete};
use super::{Etcd, RENEWALS};
use crate::pace::{jittered, within};
use crate::store::{Grant, Holder, Nonce, Unreachable};

/// etcd is busy with a crowd if a claim has taken so long by then.
pub(super) const BUSY_FROM: Duration = Duration::from_millis(50);

/// When who has a slot by its arrival puts the record of it: so many times what its claim took, from its beginning.
const RECORD_AFTER: u32 = 3;

/// What there is for who has arrived, by the number of that.
pub(super) enum ByArrival {
    /// That slot, which it has since that revision.
    Had(u32, i64),
    /// That slot, if nobody has it; and when it was found that nobody had left, if it was.
    Slot(u32, Option<Whole>),
    /// A place in line, until there were so many departures after that revision.
    InLine { since: i64, departures: usize, ahead: Option<Ahead> },
}

impl Etcd {
    /// Takes a ticket, if there is none already.
    pub(super) async fn arrive(&mut self, who: &Holder) -> Result<Arrived, Failure> {
        let lease = if let Some(lease) = self.session.lease() {
            lease
        } else {
            let (_, leased) = self.fresh_lease().await?;
            self.session.adopt(leased);
            leased.id
        };
        let arrived = loop {
            let answer = self.session.transact(Urgency::Claim, self.keys.arrive(who, lease)).await?;
            match self.keys.arrived(&answer).ok_or_else(incomplete)? {
                Arrival::Made => {}
                Arrival::Came(arrived) => break arrived,
                Arrival::Refused((key, disagreement)) => return Err(Failure::Disagrees(key, disagreement)),
            }
        };
        match arrived {
            Arrived::Now { all_stayed, .. } => {
                self.session.seen_with(lease);
                self.unsettled = all_stayed != Some(false);
            }
            Arrived::Before { lease: seen, is_unsettled, .. } => {
                self.session.seen_with(seen);
                self.unsettled = is_unsettled;
            }
        }
        Ok(arrived)
    }

    /// What there is for who has arrived, if that can be told without a look at the pool.
    pub(super) async fn by_arrival(&mut self, arrived: Arrived) -> Result<Option<ByArrival>, Failure> {
        let (before, whole, since) = match arrived {
            Arrived::Now { all_stayed: Some(false), .. } => return Ok(None),
            Arrived::Now { before, revision, all_stayed: Some(true) } => {
                if let Some(slot) = self.slot_numbered(before) {
                    return Ok(Some(ByArrival::Had(slot, revision)));
                }
                (before, None, revision)
            }
            Arrived::Now { before, all_stayed: None, .. } => {
                let Some(whole) = self.count(None).await?.whole else {
                    self.line_up().await?;
                    return Ok(None);
                };
                (before, Some(whole), whole.revision)
            }
            // An unsettled one keeps others from a slot that the kernel may still say.
            Arrived::Before { since, is_unsettled: true, .. } => {
                let Counted { whole, before } = self.count(Some(since)).await?;
                // It cannot be told: arrivals are counted anew. If it has a slot, it has none any more once its lease is over.
                let unknown = || Unreachable::new("the number of an earlier arrival is not known any more");
                let before = before.ok_or_else(unknown)?;
                let Some(whole) = whole else {
                    // Its number is nobody else's, whoever has left.
                    return Ok(self.slot_numbered(before).map(|slot| ByArrival::Slot(slot, None)));
                };
                (before, Some(whole), whole.revision)
            }
            Arrived::Before { since, slot, is_unsettled: false, .. } => {
                // It may say that it has a slot, whose record is gone.
                let (_, leased) = self.fresh_lease().await?;
                self.move_in_line(leased, None).await?;
                if slot.is_some() {
                    return Ok(None);
                }
                let Ok(Counted { whole: Some(whole), before: Some(before) }) = self.count(Some(since)).await
                else {
                    return Ok(None);
                };
                if self.slot_numbered(before).is_some() {
                    // Somebody who was in line as well may have taken it.
                    return Ok(None);
                }
                (before, Some(whole), whole.revision)
            }
        };
        let Ok(slot) = u32::try_from(before) else { return Ok(None) };
        if slot >= self.keys.limit() && self.session.lease() != self.session.ticket().lease() {
            // With the lease of an earlier process, which may be over soon.
            let (_, leased) = self.fresh_lease().await?;
            self.move_in_line(leased, None).await?;
        }
        Ok(Some(match slot.checked_sub(self.keys.limit()) {
            None => ByArrival::Slot(slot, whole),
            Some(in_line) => ByArrival::InLine {
                since,
                departures: in_line as usize + 1,
                ahead: self.ahead(since, before).await,
            },
        }))
    }

    /// The slot of that number, if there is one.
    fn slot_numbered(&self, before: i64) -> Option<u32> {
        u32::try_from(before).ok().filter(|slot| *slot < self.keys.limit())
    }

    async fn count(&mut self, then: Option<i64>) -> Result<Counted, Failure> {
        let answer = self.session.transact(Urgency::Claim, self.keys.count(then)).await?;
        Ok(Keys::counted(&answer).ok_or_else(incomplete)?)
    }

    /// What the claimant has by its arrival, in a claim that began then; nothing if there is time to take it at once.
    pub(super) fn hold_by_arrival(
        &mut self,
        (slot, revision): (u32, i64),
        who: &Holder,
        began: Instant,
    ) -> Option<Grant> {
        let (lease, leased) = self.fresh?;
        let took = began.elapsed();
        if took < self.busy_from || self.session.lease() != Some(leased.id) {
            return None;
        }
        let due = took.saturating_mul(RECORD_AFTER);
        self.held = Some(Held::by_arrival(slot, revision, who.clone(), due));
        Some(Grant { slot, token: revision.unsigned_abs(), lease })
    }

    /// Puts the ticket in line, and has nobody come to have a slot by its arrival from then on.
    async fn line_up(&mut self) -> Result<(), Failure> {
        let (_, leased) = self.fresh_lease().await?;
        self.move_in_line(leased, Some(self.keys.end_arrivals())).await
    }

    /// Sees to it that it is known who has which slot, for the next look: nobody comes to have one by its arrival any more, or
    /// those who do have put their records.
    pub(super) async fn settle_pool(&mut self, view: &View, own: Nonce) -> Result<(), Failure> {
        let Some(last) = view.unsettled(own).filter(|_| view.somebody_left) else {
            self.session.transact(Urgency::Claim, self.keys.end_arrivals()).await?;
            return Ok(());
        };
        let due = self.stay().await?.sent().saturating_add(jittered(self.ttl / RENEWALS));
        let options = WatchOptions::new().with_start_revision(view.revision + 1);
        let (_, mut stream) =
            self.session.open_watch(Urgency::Claim, &self.keys.ticket(last), &options).await?;
        if let Some(Err(reason)) = within(due, events(&mut stream)).await {
            self.session.turn();
            return Err(reason.into());
        }
        Ok(())
    }

    /// Takes the slot that is this claimant's while nobody leaves, or has taken it before. Nothing: it is another one's.
    pub(super) async fn take_by_arrival(
        &mut self,
        slot: u32,
        whole: Option<Whole>,
        who: &SlotRecord,
    ) -> Result<Option<Grant>, Failure> {
        let lease = self.fresh_lease().await?;
        let take = self.keys.take_first(slot, who, whole, self.session.moving_to(lease.1.id));
        self.take_or_keep(slot, take, who, lease).await
    }

    /// Who arrived long before the one that was the n-th to do so, in a pool that nobody had left at that revision, and waits
    /// as well. Nobody, if there is none or it cannot be told.
    pub(super) async fn ahead(&mut self, since: i64, n: i64) -> Option<Ahead> {
        let (limit, far) = (i64::from(self.keys.limit()), i64::from(FAR));
        let mut back = far;
        // Not each revision is an arrival.
        while n - limit >= far && since > back {
            let then =
                self.session.transact(Urgency::Claim, self.keys.arrivals_at(since - back)).await.ok()?;
            let (nonce, number) = Keys::arrived_last(&then)?;
            if number < limit {
                break;
            }
            if n - number >= far {
                return Some(Ahead { nonce, places: usize::try_from(n - number).ok()? });
            }
            back *= 2;
        }
        None
    }
}
