//! What only the model asks of a claimant.

use super::search::Search;
use super::{Claimant, Phase};
use crate::Time;
use crate::message::{Number, Outgoing};

impl Claimant {
    /// As [`claim`](Claimant::claim), and follows that witness.
    pub(crate) fn claim_by(&mut self, now: Time, guide: usize) {
        self.seek(now, Search::begin(now, guide));
    }

    /// Sends what is due to that witness.
    pub(crate) fn tick_only(&mut self, now: Time, witness: usize, out: &mut Vec<Outgoing>) {
        let first = out.len();
        let before = self.links.clone();
        self.tick(now, out);
        let to = self.list.witnesses()[witness];
        let kept: Vec<_> = out.drain(first..).filter(|outgoing| outgoing.to == to).collect();
        out.extend(kept);
        for (index, link) in before.into_iter().enumerate().filter(|(index, _)| *index != witness) {
            self.links[index] = link;
        }
    }

    /// Whether it tries to take a slot.
    pub(crate) fn is_taking(&self) -> bool {
        matches!(self.phase, Phase::Taking { .. })
    }

    /// Whether an answer to that request would matter.
    pub(crate) fn awaits(&self, witness: usize, number: Number) -> bool {
        self.links[witness].awaits(number)
    }
}
