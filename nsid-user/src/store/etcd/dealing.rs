//! One look at the pool for everybody in line.
//!
//! A look is at the whole pool. Of a crowd that comes to a pool that somebody has left, each would look, and etcd read
//! thousands of keys thousands of times, while its holders need their renewals. So while etcd is busy one of them is the
//! dealer: it looks, and tells each of the others what its own look would have shown it. Who came too late for that look
//! becomes the next dealer, or waits for the next deal: all watch the dealer's key, which is put with each deal, or deleted.
//!
//! A deal is a hint: a slot that it names is taken by the transaction to which an own look would have led. That a slot without a
//! record is nobody's, which no transaction compares, stays true once it was seen (`left`).
//!
//! A dealer that has not dealt in [a part of a lease](RENEWALS) is made way with by who has waited for it so long.

use std::collections::{BTreeMap, HashMap};

use etcd_client::WatchOptions;
use serde::{Deserialize, Serialize};

use super::answers::DealFound;
use super::failure::Failure;
use super::keys::Keys;
use super::members::Urgency;
use super::order::{Step, Turn, View};
use super::session::{events, incomplete};
use super::{Etcd, RENEWALS};
use crate::clock::BootTime;
use crate::pace::within;
use crate::store::Nonce;

/// In so many keys a deal is put, in one transaction, which has 128 puts at most (`--max-txn-ops`): each of those who are
/// dealt to reads one.
pub(super) const PARTS: usize = 100;

/// A deal is for so many: etcd takes no larger requests than 1.5 MB (`--max-request-bytes`).
const MANY: usize = 6000;

/// What a look at the pool showed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Deal {
    /// When that was, in the store's count.
    pub(super) revision: i64,
    /// [`View::long_ago`].
    pub(super) long_ago: bool,
    /// Who does what next.
    pub(super) steps: HashMap<Nonce, Step>,
}

/// What it showed one claimant.
pub(super) struct Seen {
    pub(super) revision: i64,
    pub(super) long_ago: bool,
    pub(super) step: Step,
}

impl Etcd {
    /// What another one's look has shown for this claimant, which has come or looked at that revision. Nothing: it is the
    /// dealer.
    pub(super) async fn dealt(&mut self, since: i64) -> Result<Option<Seen>, Failure> {
        let nonce = self.incarnation.nonce;
        let mut next = since + 1;
        // Who deals, and until when it is waited for.
        let mut waited_for = (0, BootTime::now());
        loop {
            let (_, leased) = self.fresh_lease().await?;
            if self.session.lease() != Some(leased.id) {
                self.move_in_line(leased, None).await?;
            }
            let answer = self.session.transact(Urgency::Claim, self.keys.find_deal(nonce, next)).await?;
            let DealFound { revision, deal, dealer } = Keys::deal_found(&answer).ok_or_else(incomplete)?;
            if let Some((dealt, deal)) = deal {
                next = dealt + 1;
                let deal = deal.filter(|deal| deal.revision >= since);
                if let Some(Deal { revision, long_ago, mut steps }) = deal
                    && let Some(step) = steps.remove(&nonce)
                {
                    return Ok(Some(Seen { revision, long_ago, step }));
                }
            }
            let Some((dealer, who)) = dealer else {
                let become_dealer = self.keys.become_dealer(nonce, next, leased.id);
                if self.session.transact(Urgency::Claim, become_dealer).await?.succeeded() {
                    return Ok(None);
                }
                continue;
            };
            if who == Some(nonce) {
                // The answer was lost.
                return Ok(None);
            }
            if waited_for.0 != dealer {
                waited_for = (dealer, BootTime::now().saturating_add(self.ttl / RENEWALS));
            }
            let options = WatchOptions::new().with_start_revision(revision + 1);
            let (_, mut stream) =
                self.session.open_watch(Urgency::Claim, &self.keys.dealer(), &options).await?;
            match within(waited_for.1, events(&mut stream)).await {
                Some(Ok(_)) => {}
                Some(Err(reason)) => {
                    self.session.turn();
                    return Err(reason.into());
                }
                None => {
                    self.session.transact(Urgency::Claim, self.keys.dismiss(dealer)).await?;
                }
            }
        }
    }

    /// Tells the others in line what this claimant's look has shown, which is the dealer, and goes on to be if the look has not
    /// shown all that it was for.
    pub(super) async fn deal(&mut self, view: &View, steps: Vec<(Nonce, Step)>, goes_on: bool) {
        let own = self.incarnation.nonce;
        let (revision, long_ago) = (view.revision, view.long_ago);
        let mut parts: BTreeMap<usize, Deal> = BTreeMap::new();
        for (nonce, step) in to_be_told(steps, own) {
            let part = parts.entry(nonce.spread(PARTS));
            let deal = part.or_insert_with(|| Deal { revision, long_ago, steps: HashMap::new() });
            deal.steps.insert(nonce, step);
        }
        let deal = self.keys.deal(own, &parts, goes_on);
        if let Err(failure) = self.session.transact(Urgency::Claim, deal).await {
            log::debug!("nothing was dealt: {failure:?}");
            let end = self.keys.deal(own, &BTreeMap::new(), false);
            // Or it ends when somebody has waited for it long enough.
            let _ended = self.session.transact(Urgency::Claim, end).await;
        }
    }
}

/// To those who take a slot, and to [so many](MANY) at most: who has come last has not been told yet that it waits.
fn to_be_told(steps: Vec<(Nonce, Step)>, own: Nonce) -> impl Iterator<Item = (Nonce, Step)> {
    let others = steps.into_iter().filter(move |(nonce, step)| *nonce != own && step.turn != Turn::Unsettled);
    let (waiting, taking): (Vec<_>, Vec<_>) =
        others.partition(|(_, step)| matches!(step.turn, Turn::Wait { .. }));
    taking.into_iter().chain(waiting.into_iter().rev()).take(MANY)
}

impl Deal {
    /// As it stands in etcd.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and text are JSON")
    }

    /// From etcd; nothing if it is not what [`to_json`](Self::to_json) writes.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::etcd::order::LastTaken;

    fn nonce(number: u128) -> Nonce {
        format!("{number:032x}").parse().unwrap()
    }

    fn step(turn: Turn) -> Step {
        let last = Some(LastTaken { revision: i64::MAX, gone: Some(nonce(0)) });
        Step { turn, last, ahead: None }
    }

    #[test]
    fn a_deal_for_many_is_a_request_that_etcd_takes() {
        let steps = (0..MANY as u128).map(|number| (nonce(number), step(Turn::Take(u32::MAX)))).collect();
        let deal = Deal { revision: i64::MAX, long_ago: false, steps };
        // The rest is for what the parts begin with, and their keys.
        assert!(deal.to_json().len() < 1_400_000);
        assert_eq!(Deal::read(deal.to_json().as_bytes()), Some(deal));
    }

    #[test]
    fn who_takes_a_slot_is_told_first_and_then_who_came_last() {
        let many = MANY as u128;
        let wait = |number| (nonce(number), step(Turn::Wait { departures: 1 }));
        let unsettled = (nonce(1), step(Turn::Unsettled));
        let take = (nonce(2), step(Turn::Take(7)));
        let steps = [wait(0), unsettled, take].into_iter().chain((10..10 + many).map(wait)).collect();
        let told: Vec<Nonce> = to_be_told(steps, nonce(9 + many)).map(|(nonce, _)| nonce).collect();
        let expected = [2].into_iter().chain((10..9 + many).rev());
        assert_eq!(told, expected.map(nonce).collect::<Vec<_>>());
    }
}
