//! Waiting in line, without a look at the pool: it is large, and those who wait may be many.
//!
//! Who waits for n departures in a large pool has the slot of the n-th to depart, if that one had a slot: those who wait for
//! more or fewer have other slots, in whichever order they are told. It looks only if that one was in line itself, or
//! somebody else has the slot.

use std::time::Duration;

use super::departures::{Departure, Departures};
use super::failure::Failure;
use super::members::Pace;
use super::record::SlotRecord;
use super::session::{KeptAlive, Leased, Term};
use super::{Etcd, RENEWALS};
use crate::clock::BootTime;
use crate::pace::jittered;
use crate::store::{Grant, Lease};

/// How long who waits in line relies on being told of departures. A look is at the whole pool, and many may wait.
const LOOK: Duration = Duration::from_mins(1);

/// A pool of so many slots is small: it may be looked at by all who wait.
const SMALL: u32 = 64;

impl Etcd {
    /// Waits in line until there were that many departures, and takes the slot of the last. Nothing: the pool has to be looked
    /// at. A small one is each time, so that of nodes that went and came back together, each gets its own slot.
    pub(super) async fn take_after(
        &mut self,
        departures: Departures,
        who: &SlotRecord,
    ) -> Result<Option<Grant>, Failure> {
        let Some(departure) = self.wait(departures).await?.filter(|_| self.keys.limit() > SMALL) else {
            return Ok(None);
        };
        let left = self.session.transact(Pace::Claim, self.keys.left(departure)).await.ok();
        let Some(slot) = left.and_then(|left| self.keys.slot_left(&left)) else { return Ok(None) };
        if self.session.granted_in().is_some() && !self.session.has_others() {
            let lease = self.stay().await?;
            if let Some((leased, term)) = self.session.stake() {
                return self.take_with(slot, departure, who, (lease, leased), term).await;
            }
        }
        let fresh = self.session.grant(Pace::Claim).await?;
        let take = self.keys.take_left(slot, who, departure, fresh.1.id);
        Ok(self.take(slot, take, who, fresh).await?.granted())
    }

    /// Takes it with the lease that there is, which counts if that is done in its term.
    async fn take_with(
        &mut self,
        slot: u32,
        departure: Departure,
        who: &SlotRecord,
        (lease, leased): (Lease, Leased),
        term: Term,
    ) -> Result<Option<Grant>, Failure> {
        let take = self.keys.take_left(slot, who, departure, leased.id);
        let taken = self.take(slot, take, who, (lease, leased)).await?;
        self.session.adopt(leased);
        let Some(grant) = taken.granted() else { return Ok(None) };
        if self.session.heard() == Some(term) {
            return Ok(Some(grant));
        }
        let held = self.held.clone().ok_or(Failure::Lost)?;
        Ok(Some(Grant { lease: self.replace_lease(&held).await?, ..grant }))
    }

    /// Until the last of them, or until it is time to look; the ticket lives on meanwhile.
    async fn wait(&mut self, mut departures: Departures) -> Result<Option<Departure>, Failure> {
        let look = BootTime::now().saturating_add(jittered(LOOK));
        loop {
            let due = BootTime::now().saturating_add(jittered(self.ttl / RENEWALS)).min(look);
            let departure = departures.last(&mut self.session, &self.keys, due).await?;
            if departure.is_some() || look.passed() {
                return Ok(departure);
            }
            self.stay().await?;
        }
    }

    /// More time in line, which counts if something is put with the lease in its term; by another lease, if the one that
    /// there is may be of an earlier term.
    async fn stay(&mut self) -> Result<Lease, Failure> {
        let certain = self.session.granted_in().filter(|_| !self.session.has_others());
        let kept = Lease::ask(self.ttl, |_| async {
            match self.session.keep_alive().await? {
                KeptAlive::For(granted, then) => Ok((granted, then)),
                KeptAlive::Over => Err(Failure::Lost),
            }
        });
        match kept.await {
            Ok((lease, then)) if Some(then) == certain => return Ok(lease),
            // A leader that is none any more says so too, of one that it does not know; the ticket tells.
            Ok(_) | Err(Failure::Lost) => {}
            Err(failure) => return Err(failure),
        }
        let (lease, leased) = self.session.grant(Pace::Claim).await?;
        let stay = self.keys.stay(&self.incarnation, leased.id);
        if !self.session.transact(Pace::Claim, stay).await?.succeeded() {
            return Err(Failure::Lost);
        }
        self.session.adopt(leased);
        self.session.revoke_others().await?;
        Ok(lease)
    }
}
