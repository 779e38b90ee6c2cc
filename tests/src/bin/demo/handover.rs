//! A name that goes from one node to another, as a client hears it that asks both without a pause.

use std::{ops::RangeInclusive, time::Duration};

use nsid_tests::prober::Heard;

use crate::table::Fact;

/// Instants are since boot, and shown from `start`.
#[derive(Debug)]
pub(crate) struct Handover<'a> {
    pub(crate) name: &'a str,
    pub(crate) start: Duration,
    /// What the old node answered, from before until after.
    pub(crate) old: Vec<Heard>,
    /// What the new one did.
    pub(crate) new: Vec<Heard>,
}

impl Handover<'_> {
    /// When the old node was last heard with the name. It must be then, and no answer before that without the name.
    pub(crate) fn last_heard(&self, when: RangeInclusive<Duration>) -> Fact {
        let Some(last) = self.last() else { return never() };
        let (at, before) = (self.old[last].at, &self.old[..last]);
        self.instant(at, when.contains(&at) && before.iter().all(|heard| self.says(heard)))
    }

    /// From when on it answers without a name. That must be so to the end.
    pub(crate) fn nameless(&self) -> Fact {
        let after = self.last().map_or(&[][..], |last| &self.old[last + 1..]);
        let Some(first) = after.first() else { return never() };
        self.instant(first.at, after.iter().all(|heard| heard.name.is_none()))
    }

    /// When the new node was first heard with the name. It must be then; before it there must be no name, and from
    /// then on always this one.
    pub(crate) fn first_heard(&self, when: RangeInclusive<Duration>) -> Fact {
        let Some(first) = self.first() else { return never() };
        let (before, after) = self.new.split_at(first);
        let at = after[0].at;
        let one_change =
            before.iter().all(|heard| heard.name.is_none()) && after.iter().all(|heard| self.says(heard));
        self.instant(at, when.contains(&at) && one_change)
    }

    /// For how long it was heard from neither. The one must have fallen silent before the other was even asked.
    pub(crate) fn gap(&self) -> Fact {
        let (Some(last), Some(first)) = (self.last(), self.first()) else { return never() };
        let (last, first) = (&self.old[last], &self.new[first]);
        Fact { shown: milliseconds(last.at, first.at), holds: first.asked > last.at }
    }

    /// An instant.
    pub(crate) fn instant(&self, at: Duration, holds: bool) -> Fact {
        Fact { shown: milliseconds(self.start, at), holds }
    }

    fn last(&self) -> Option<usize> {
        self.old.iter().rposition(|heard| self.says(heard))
    }

    fn first(&self) -> Option<usize> {
        self.new.iter().position(|heard| self.says(heard))
    }

    fn says(&self, heard: &Heard) -> bool {
        heard.name.as_deref() == Some(self.name)
    }
}

/// From one instant to another, which may be before it.
fn milliseconds(from: Duration, to: Duration) -> String {
    let since_boot = |instant: Duration| instant.as_millis().cast_signed();
    format!("{:>6} ms", since_boot(to) - since_boot(from))
}

fn never() -> Fact {
    Fact { shown: "never".to_owned(), holds: false }
}
