//! What a claimant waits for that has no slot, for people.

use std::sync::Arc;
use std::time::Duration;

use super::Claimant;
use super::search::place;
use crate::link::Link;
use crate::message::{Place, Verdict};
use crate::state::{Problem, Waits};

impl Claimant {
    pub(super) fn waits_for(&self) -> Waits {
        let witness = |index: usize| self.list.witnesses()[index];
        let others = |says: &Verdict| matches!(says, Verdict::OtherTerms(_));
        let by_majority = self.saying(others) >= self.majority();
        let problem = |(index, link): (usize, &Link)| match link.says()? {
            Verdict::OtherList(list) => {
                Some(Problem::OtherList { witness: witness(index), list: list.clone() })
            }
            Verdict::OtherTerms(terms) => {
                Some(Problem::OtherTerms { witness: witness(index), terms: Arc::clone(terms), by_majority })
            }
            Verdict::Gone => Some(Problem::OtherProcess { witness: witness(index) }),
            Verdict::Full => Some(Problem::Full { witness: witness(index) }),
            _ => None,
        };
        let places: Vec<Place> = self.links.iter().filter_map(place).map(|(_, place)| place).collect();
        if places.len() >= self.majority() {
            return match places.into_iter().min_by_key(|place| matches!(place, Place::Early { .. })) {
                Some(Place::Early { seen }) => Waits::Claimants(seen),
                Some(Place::Waits { before }) => Waits::Slot(before),
                Some(Place::Has { .. } | Place::Offered { .. }) | None => Waits::Grants,
            };
        }
        if let Some(problem) = self.links.iter().enumerate().find_map(problem) {
            return Waits::Problem(problem);
        }
        let silent = |link: &Link| match link.says() {
            Some(Verdict::Silent { left }) => Some(Duration::from_millis((*left).into())),
            _ => None,
        };
        match self.links.iter().filter_map(silent).max() {
            Some(left) if self.saying(|_| true) >= self.majority() => Waits::Silence(left),
            _ => {
                let deaf = |(index, link): (usize, &Link)| link.is_deaf().then(|| witness(index));
                let deaf: Vec<_> = self.links.iter().enumerate().filter_map(deaf).collect();
                // As long as enough of them may answer yet, it is a matter of waiting.
                let may_be_granted = self.links.len() - deaf.len() >= self.majority();
                if may_be_granted { Waits::Grants } else { Waits::Answers(deaf) }
            }
        }
    }
}
