//! Arriving, and what follows from the number of an arrival while nobody has left.

use std::time::{Duration, Instant};

use super::answers::{Arrival, Arrived, Counted, Held};
use super::departures::{Ahead, FAR};
use super::failure::Failure;
use super::keys::Keys;
use super::members::Urgency;
use super::record::{SlotRecord, Whole};
use super::session::{Leased, incomplete};
use super::{Etcd, Taken};
use crate::store::{Grant, Holder, Lease};

/// A claim that took longer so far was made while etcd is busy with a crowd.
pub(super) const QUIET: Duration = Duration::from_millis(50);

/// How long who has a slot by its arrival leaves it at that: so many times what its claim took, from its beginning.
const BUSY: u32 = 3;

/// What there is for who has arrived in a pool that nobody has left.
pub(super) enum ByArrival {
    /// That slot, which it has since that revision.
    Had(u32, i64),
    /// That slot, if nobody has it; and when it was found that nobody had left.
    Slot(u32, Whole),
    /// A place in line, until there were so many departures after that revision.
    InLine { since: i64, departures: usize, ahead: Option<Ahead> },
}

impl Etcd {
    /// Takes a ticket; one that is there already is put in line, with a lease that has just begun.
    pub(super) async fn arrive(
        &mut self,
        who: &Holder,
        fresh: &mut Option<(Lease, Leased)>,
    ) -> Result<Arrived, Failure> {
        let lease = if let Some(lease) = self.session.lease() {
            lease
        } else {
            let (_, leased) = self.fresh_lease(fresh).await?;
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
            Arrived::Now { .. } => self.session.seen_with(lease),
            Arrived::Before { lease: seen, .. } => {
                // It may say that it has a slot, whose record is gone.
                self.session.seen_with(seen);
                let (_, leased) = self.fresh_lease(fresh).await?;
                self.move_in_line(leased, None).await?;
            }
        }
        Ok(arrived)
    }

    /// What there is for who has arrived, if that can be told without a look at the pool: nobody who ever came has left.
    pub(super) async fn by_arrival(&mut self, arrived: Arrived) -> Option<ByArrival> {
        let (before, whole, since) = match arrived {
            Arrived::Now { all_stayed: Some(false), .. } => return None,
            Arrived::Now { before, revision, all_stayed: Some(true) } => (before, None, revision),
            Arrived::Now { before, all_stayed: None, .. } => {
                let whole = self.count(None).await?.whole;
                (before, Some(whole), whole.revision)
            }
            Arrived::Before { since, .. } => {
                let Counted { whole, before } = self.count(Some(since)).await?;
                (before?, Some(whole), whole.revision)
            }
        };
        let slot = u32::try_from(before).ok()?;
        Some(match slot.checked_sub(self.keys.limit()) {
            None => whole.map_or(ByArrival::Had(slot, since), |whole| ByArrival::Slot(slot, whole)),
            Some(in_line) => ByArrival::InLine {
                since,
                departures: in_line as usize + 1,
                ahead: self.ahead(since, before).await,
            },
        })
    }

    /// Nothing: somebody has left, or it cannot be told, etcd having been compacted since then, say.
    async fn count(&mut self, then: Option<i64>) -> Option<Counted> {
        let answer = self.session.transact(Urgency::Claim, self.keys.count(then)).await.ok()?;
        Keys::counted(&answer)
    }

    /// What the claimant has by its arrival with that lease, in a claim that began then; nothing if there is time to take it at
    /// once.
    pub(super) fn hold_by_arrival(
        &mut self,
        (slot, revision): (u32, i64),
        who: &Holder,
        (lease, leased): (Lease, Leased),
        began: Instant,
    ) -> Option<Grant> {
        let took = began.elapsed();
        if took < self.quiet || self.session.lease() != Some(leased.id) {
            return None;
        }
        self.settled_in = took.saturating_mul(BUSY);
        self.held = Some(Held::by_arrival(slot, revision, who.clone()));
        Some(Grant { slot, token: revision.unsigned_abs(), lease })
    }

    /// Has nobody have a slot by its arrival from then on, nor this claimant, whose ticket is put in line: it looks for one.
    pub(super) async fn line_up(&mut self, fresh: &mut Option<(Lease, Leased)>) -> Result<(), Failure> {
        let (_, leased) = self.fresh_lease(fresh).await?;
        self.move_in_line(leased, Some(self.keys.leave())).await
    }

    /// Takes the slot that is this claimant's while nobody leaves, or has taken it before. Nothing: it is another one's.
    pub(super) async fn take_by_arrival(
        &mut self,
        slot: u32,
        whole: Option<Whole>,
        who: &SlotRecord,
        fresh: &mut Option<(Lease, Leased)>,
    ) -> Result<Option<Grant>, Failure> {
        let lease = self.fresh_lease(fresh).await?;
        let ticket = self.session.moving_to(lease.1.id);
        let take = self.keys.take_first(slot, who, whole, ticket);
        let revision = match self.take(slot, take, who, lease).await? {
            Taken::Granted(grant) => return Ok(Some(grant)),
            Taken::ByOurselves { revision } => revision,
            Taken::NotAsSeen => return Ok(None),
        };
        let ticket = self.session.moving_to(lease.1.id);
        let keep = self.keys.keep(slot, revision, who, ticket);
        Ok(self.take(slot, keep, who, lease).await?.granted())
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
