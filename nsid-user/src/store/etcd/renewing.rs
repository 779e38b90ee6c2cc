//! More time for a slot that this claimant has, or that an earlier process of it had.

use std::mem;
use std::time::Duration;

use etcd_client::TxnResponse;

use super::Etcd;
use super::answers::{Found, Held};
use super::failure::Failure;
use super::keys::Keys;
use super::members::Urgency;
use super::session::{KeptAlive, incomplete};
use super::ticket::LeaseId;
use crate::store::{Lease, Unreachable};

impl Etcd {
    /// Goes on with what an earlier process of this claimant was granted at that revision.
    pub(super) async fn take_over(&mut self, slot: u32, revision: i64) -> Result<Held, Failure> {
        let nonce = self.incarnation.nonce;
        let answer = self.session.transact(Urgency::Renewal, self.keys.find(slot, nonce)).await?;
        let inherited = Keys::inherited(&answer, slot, revision, nonce)?;
        self.resuming = None;
        let (held, lease) = inherited.ok_or(Failure::Lost)?;
        self.session.take_over(lease);
        self.held = Some(held.clone());
        Ok(held)
    }

    /// More time for the slot, if it is still ours.
    pub(super) async fn prolong(&mut self, held: &Held) -> Result<Lease, Failure> {
        match self.keep_alive(held).await? {
            Some(lease) => Ok(lease),
            None => self.replace_lease().await,
        }
    }

    /// More time by the lease that there is. Nothing: it may be of an earlier term, or over.
    async fn keep_alive(&mut self, held: &Held) -> Result<Option<Lease>, Failure> {
        let certain = self.session.certain().filter(|_| held.is_put());
        let Some((_, term)) = certain else { return Ok(None) };
        let (lease, counts) = Lease::ask(self.ttl, |_| async {
            let KeptAlive::For(granted, then) = self.session.keep_alive().await? else {
                return Ok((Duration::ZERO, false));
            };
            let find = self.keys.find(held.slot, self.incarnation.nonce);
            let answer = self.session.transact(Urgency::Renewal, find).await?;
            let lease = self.found(&answer, held)?;
            let is_ours = self.session.lease() == Some(lease);
            let counts = is_ours && then == term && self.session.heard() == Some(term);
            Ok::<_, Failure>((granted, counts))
        })
        .await?;
        Ok(counts.then_some(lease))
    }

    /// More time by a new lease. What is had by arrival has its record then.
    pub(super) async fn replace_lease(&mut self) -> Result<Lease, Failure> {
        loop {
            let held = self.held.clone().ok_or(Failure::Lost)?;
            let (lease, leased) = self.session.grant(Urgency::Renewal).await?;
            let ticket = self.session.moving_to(leased.id);
            let live_on = self.keys.live_on(&held, &self.incarnation, ticket);
            let answer = self.session.transact(Urgency::Renewal, live_on).await?;
            let revision = answer.header().ok_or_else(incomplete)?.revision();
            let seen = if answer.succeeded() {
                let revision = if held.is_put() { held.revision } else { revision };
                self.held = Some(Held { revision, due: None, ..held });
                leased.id
            } else {
                // Another member may have done it before the one that answered.
                self.found(&answer, &held)?
            };
            if seen == leased.id {
                self.session.moved(leased);
                return Ok(lease);
            }
            if seen == ticket.from {
                return Err(incomplete().into());
            }
        }
    }

    /// The lease of our ticket; an error if the slot is not ours any more.
    fn found(&mut self, answer: &TxnResponse, held: &Held) -> Result<LeaseId, Failure> {
        let found = Keys::found(answer, held, self.incarnation.nonce).ok_or_else(incomplete)?;
        let knows = matches!(found, Found::Had(_, lease) if self.session.knows(lease));
        match found {
            // The other's may be an earlier process of this claimant, whose request was carried out late.
            Found::Had(held, lease) if knows || !mem::replace(&mut self.met_stranger, true) => {
                self.session.seen_with(lease);
                self.held = Some(held);
                Ok(lease)
            }
            Found::Lost => Err(Failure::Lost),
            Found::Had(..) | Found::Twin => {
                log::warn!(
                    "slot {} was taken by another claimant with this one's nonce; going on under another nonce (was this \
                     machine copied while it ran?)",
                    held.slot
                );
                self.incarnation.draw_anew().map_err(Unreachable::new)?;
                self.session.forget();
                // It may be the other one's.
                (self.held, self.last) = (None, None);
                Err(Failure::Lost)
            }
        }
    }
}
