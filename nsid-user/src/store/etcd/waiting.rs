//! Waiting in line, without a look at the pool: it is large, and those who wait may be many.
//!
//! Who waits for n departures in a large pool has the slot of the n-th to depart, if that one had a slot: those who wait for
//! more or fewer have other slots, in whichever order they are told. It looks only if that one was in line itself, or
//! somebody else has the slot.

use std::time::Duration;

use etcd_client::Txn;

use super::departures::{Departure, Departures, FAR, Told};
use super::failure::Failure;
use super::keys::Keys;
use super::members::Urgency;
use super::record::SlotRecord;
use super::session::{KeptAlive, Leased, Term};
use super::{Etcd, RENEWALS};
use crate::clock::BootTime;
use crate::pace::{Backoff, jittered, until};
use crate::store::{Grant, Incarnation, Lease, Progress, Unreachable};

/// How long the first in line rely on being told of departures, and each [`FAR`] places further behind as long again. A look
/// is at the whole pool, and many may wait.
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
        progress: &Progress,
    ) -> Result<Option<Grant>, Failure> {
        let Some(departure) = self.wait(departures, progress).await?.filter(|_| self.keys.limit() > SMALL)
        else {
            return Ok(None);
        };
        let left = self.session.transact(Urgency::Claim, self.keys.last_ticket(departure)).await.ok();
        let Some(slot) = left.and_then(|left| self.keys.slot_left(&left)) else { return Ok(None) };
        if self.session.certain().is_some() {
            let lease = self.stay().await?;
            if let Some((leased, term)) = self.session.certain() {
                return self.take_with(slot, departure, who, (lease, leased), term).await;
            }
        }
        let fresh = self.session.grant(Urgency::Claim).await?;
        let ticket = self.session.moving_to(fresh.1.id);
        let take = self.keys.take_left(slot, who, departure, ticket);
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
        let ticket = self.session.moving_to(leased.id);
        let take = self.keys.take_left(slot, who, departure, ticket);
        let Some(grant) = self.take(slot, take, who, (lease, leased)).await?.granted() else {
            return Ok(None);
        };
        if self.session.heard() == Some(term) {
            return Ok(Some(grant));
        }
        Ok(Some(Grant { lease: self.replace_lease().await?, ..grant }))
    }

    /// Until the last of them, or until the pool has to be looked at; the ticket lives on meanwhile.
    pub(super) async fn wait(
        &mut self,
        mut departures: Departures,
        progress: &Progress,
    ) -> Result<Option<Departure>, Failure> {
        if self.session.ticket().is_moving() {
            // It may have a slot by now, of which it was not told.
            self.stay().await?;
            return Ok(None);
        }
        let (began, long) = (BootTime::now(), jittered(LOOK));
        let mut backoff = Backoff::new();
        progress.waiting();
        loop {
            let places = u32::try_from(departures.remaining()).unwrap_or(u32::MAX) / FAR;
            let look = began.saturating_add(long.saturating_mul(1 + places));
            let due = BootTime::now().saturating_add(jittered(self.ttl / RENEWALS)).min(look);
            let told = match departures.last(&mut self.session, &self.keys, due).await {
                Ok(Told::Last(departure)) => return Ok(Some(departure)),
                Ok(Told::Missed) => return Ok(None),
                Ok(Told::NotYet) => Ok(()),
                Err(failure) => Err(failure),
            };
            let stayed = self.stay().await;
            if stayed.is_ok() && look.passed() {
                return Ok(None);
            }
            match stayed.and(told) {
                Ok(()) => {
                    progress.waiting();
                    backoff = Backoff::new();
                }
                Err(Failure::Unreachable(reason)) => {
                    progress.unreachable(&reason);
                    until(backoff.next()).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// More time in line, which counts if something is put with the lease in its term; by another lease, if the one that
    /// there is may be of an earlier term.
    pub(super) async fn stay(&mut self) -> Result<Lease, Failure> {
        // An unsettled one is put in line, for those who look.
        let certain = self.session.certain().filter(|_| !self.unsettled);
        let kept = Lease::ask(self.ttl, |_| async {
            let KeptAlive::For(granted, then) = self.session.keep_alive().await? else {
                return Ok((Duration::ZERO, false));
            };
            let Some((leased, term)) = certain else { return Ok((granted, false)) };
            // A member that has fallen behind keeps leases alive all the same, and tells of no departures. It answers this late.
            let find = self.keys.find_ticket(self.incarnation.nonce);
            let answer = self.session.transact(Urgency::Renewal, find).await?;
            let seen = Keys::ticket_lease(&answer).ok_or(Failure::Lost)?;
            self.session.seen_with(seen);
            let counts = seen == leased.id && then == term && self.session.heard() == Some(term);
            Ok((granted, counts))
        });
        match kept.await {
            Ok((lease, true)) => return Ok(lease),
            // A leader that is none any more says so too, of one that it does not know; the ticket tells.
            Ok((_, false)) | Err(Failure::Lost) => {}
            Err(failure) => return Err(failure),
        }
        let (lease, leased) = self.session.grant(Urgency::Claim).await?;
        self.move_in_line(leased, None).await?;
        Ok(lease)
    }

    /// Has the ticket put with that lease, and that done with it.
    pub(super) async fn move_in_line(&mut self, leased: Leased, also: Option<Txn>) -> Result<(), Failure> {
        let Incarnation { nonce, node, .. } = &self.incarnation;
        let stay = self.keys.stay(*nonce, node, self.session.moving_to(leased.id), also);
        let answer = self.session.transact(Urgency::Claim, stay).await?;
        if answer.succeeded() {
            self.session.moved(leased);
            self.unsettled = false;
            return Ok(());
        }
        let seen = Keys::ticket_lease(&answer).ok_or(Failure::Lost)?;
        self.session.seen_with(seen);
        Err(Unreachable::new("an earlier request was carried out late").into())
    }
}
