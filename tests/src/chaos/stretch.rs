//! What was heard, put together to what is certain.

use std::time::Duration;

use super::watch::SILENCE;

/// A question and its answer, since boot. What is in the answer was said at some instant between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) asked: Duration,
    pub(super) at: Duration,
}

/// By what one claim of an agent is told apart from the next: they have not the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    /// Which run of an agent at that node.
    pub(super) run: u32,
    /// How many bytes it had told (`ready: NAME`, `lost: NAME`).
    pub(super) told: u64,
}

/// Answers of one node, all of one claim and with one name: from the first to the last, the name was that claim's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) node: usize,
    pub(super) name: String,
    pub(super) epoch: Epoch,
    pub(super) first: Said,
    pub(super) last: Said,
}

/// A name that two nodes had at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// The name.
    pub name: String,
    /// The nodes.
    pub nodes: [usize; 2],
    /// From when to when that is certain, since boot.
    pub from: Duration,
    /// The end of that.
    pub to: Duration,
}

impl Stretch {
    /// When both had the name for certain, if they had.
    fn both(&self, other: &Self) -> Option<(Duration, Duration)> {
        let from = self.first.at.max(other.first.at);
        let to = self.last.asked.min(other.last.asked);
        if from <= to {
            return Some((from, to));
        }
        // Of one answer alone nothing is certain but that it was given between question and arrival.
        [(self, other), (other, self)].into_iter().find_map(|(long, short)| {
            let Said { asked, at } = short.first;
            (long.first.at <= asked && at <= long.last.asked).then_some((asked, at))
        })
    }
}

/// The names that two nodes had at once.
pub(super) fn collisions(stretches: &[Stretch]) -> Vec<Collision> {
    let pairs = stretches
        .iter()
        .enumerate()
        .flat_map(|(index, one)| stretches[..index].iter().map(move |other| (other, one)));
    let of_two = pairs.filter(|(one, other)| one.node != other.node && one.name == other.name);
    let certain = of_two.filter_map(|(one, other)| {
        let (from, to) = one.both(other)?;
        let nodes = [one.node.min(other.node), one.node.max(other.node)];
        Some(Collision { name: one.name.clone(), nodes, from, to })
    });
    let mut certain: Vec<Collision> = certain.collect();
    certain
        .sort_by(|one, other| (&one.name, one.nodes, one.from).cmp(&(&other.name, other.nodes, other.from)));
    // A claim of which the watch was not certain for a moment is in several stretches.
    certain.dedup_by(|next, last| {
        let one = (&next.name, next.nodes) == (&last.name, last.nodes) && next.from <= last.to + SILENCE;
        if one {
            last.to = last.to.max(next.to);
        }
        one
    });
    certain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(asked: u64, at: u64) -> Said {
        Said { asked: Duration::from_millis(asked), at: Duration::from_millis(at) }
    }

    fn stretch(node: usize, first: (u64, u64), last: (u64, u64)) -> Stretch {
        Stretch {
            node,
            name: "worker0".to_owned(),
            epoch: Epoch { run: 1, told: 15 },
            first: said(first.0, first.1),
            last: said(last.0, last.1),
        }
    }

    fn certain(one: &Stretch, other: &Stretch) -> Option<(u64, u64)> {
        let found = collisions(&[one.clone(), other.clone()]);
        assert_eq!(found.len(), collisions(&[other.clone(), one.clone()]).len());
        let millis = |time: Duration| u64::try_from(time.as_millis()).expect("it is short");
        found.first().map(|collision| (millis(collision.from), millis(collision.to)))
    }

    #[test]
    fn a_name_said_by_another_between_two_answers_of_one_claim_is_a_collision() {
        let old = stretch(0, (0, 1), (40, 41));
        assert_eq!(certain(&old, &stretch(1, (20, 21), (60, 61))), Some((21, 40)));
        assert_eq!(certain(&old, &stretch(1, (10, 11), (30, 31))), Some((11, 30)));
    }

    #[test]
    fn one_answer_of_another_between_two_is_enough() {
        let old = stretch(0, (0, 1), (40, 41));
        assert_eq!(certain(&old, &stretch(1, (20, 25), (20, 25))), Some((20, 25)));
    }

    #[test]
    fn several_answers_in_a_row_are_one_collision() {
        let old = stretch(0, (0, 1), (90, 91));
        let new = [(10, 11), (30, 31), (50, 51)].map(|said| stretch(1, said, said));
        let found = collisions(&[&[old][..], &new].concat());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].from.as_millis(), found[0].to.as_millis()), (10, 51));
    }

    #[test]
    fn what_may_have_been_said_before_or_after_is_none() {
        let old = stretch(0, (0, 1), (40, 45));
        // The new one may have begun after the old one's last answer was given.
        assert_eq!(certain(&old, &stretch(1, (40, 44), (60, 61))), None);
        assert_eq!(certain(&old, &stretch(1, (35, 44), (35, 44))), None);
        assert_eq!(certain(&old, &stretch(1, (46, 47), (60, 61))), None);
        let one = stretch(0, (0, 9), (0, 9));
        assert_eq!(certain(&one, &stretch(1, (2, 3), (2, 3))), None);
    }

    #[test]
    fn another_name_or_the_same_node_is_none() {
        let one = stretch(0, (0, 1), (40, 41));
        assert_eq!(certain(&one, &stretch(0, (10, 11), (30, 31))), None);
        let other = Stretch { name: "worker1".to_owned(), ..stretch(1, (10, 11), (30, 31)) };
        assert_eq!(certain(&one, &other), None);
    }
}
