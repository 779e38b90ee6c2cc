//! What came of it: which names were said by two, by nobody, and by another one after how long.

use std::time::Duration;

use super::{
    conduct::Done,
    fault::Kind,
    members::Software,
    plan::Plan,
    site::Whom,
    stretch::{Collision, Stretch, collisions},
    watch::{Seen, Span},
};

/// All of it.
#[derive(Debug)]
pub struct Outcome {
    /// What was to happen.
    pub plan: Plan,
    /// The names that two nodes had at once, for certain.
    pub collisions: Vec<Collision>,
    /// The same, of names that a person took from their holders in the store, for no longer than a lease after that.
    pub by_hand: Vec<Collision>,
    /// What was not well again after a minute, and agents that ended by themselves.
    pub problems: Vec<String>,
    pub(super) software: (Software, String),
    /// From when to when, since boot.
    pub(super) start: Duration,
    pub(super) end: Duration,
    pub(super) done: Vec<Done>,
    pub(super) seen: Seen,
}

/// A name that nobody said.
#[derive(Clone, Debug)]
pub(super) struct Silence {
    pub(super) name: String,
    pub(super) span: Span,
}

/// A name that an agent gave up.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    pub(super) at: Duration,
    pub(super) node: usize,
    pub(super) name: String,
}

/// What became of the names of those whom a kind of fault has befallen.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate {
    pub(super) faults: usize,
    /// After how long another node said it.
    pub(super) handed_on: Vec<Duration>,
    /// The same node said it on.
    pub(super) kept: usize,
}

impl Outcome {
    pub(super) fn new(
        plan: Plan,
        software: (Software, String),
        (start, end): (Duration, Duration),
        mut done: Vec<Done>,
        seen: Seen,
        problems: Vec<String>,
    ) -> Self {
        done.sort_by_key(|done| done.began);
        let by_hand = |collision: &Collision| {
            done.iter().any(|done| {
                let time = done.began..=done.began + plan.ttl;
                done.kind.is_by_hand()
                    && done.name.as_ref() == Some(&collision.name)
                    && time.contains(&collision.from)
                    && time.contains(&collision.to)
            })
        };
        let (by_hand, collisions) = collisions(&seen.stretches).into_iter().partition(by_hand);
        Self { plan, collisions, by_hand, problems, software, start, end, done, seen }
    }

    /// How many faults of a kind there were.
    pub fn count(&self, kind: Kind) -> usize {
        self.done.iter().filter(|done| done.kind == kind).count()
    }

    /// How many questions were asked, and how many of them answered.
    pub fn answered(&self) -> (usize, usize) {
        (self.seen.asked, self.seen.answers)
    }

    /// What became of names.
    pub(super) fn fate(&self, kind: Kind) -> Fate {
        let mut fate = Fate::default();
        for done in self.done.iter().filter(|done| done.kind == kind) {
            fate.faults += 1;
            let (Some(name), Whom::Agent(node)) = (&done.name, done.whom) else { continue };
            let next = self.done.iter().find(|next| next.began > done.began && next.concerns_agents());
            let until = next.map_or(self.end, |next| next.began);
            let by_another = |stretch: &&Stretch| {
                stretch.name == *name
                    && stretch.node != node
                    && (done.began..until).contains(&stretch.first.at)
            };
            match self.seen.stretches.iter().filter(by_another).map(|stretch| stretch.first.at).min() {
                Some(at) => fate.handed_on.push(at.saturating_sub(done.began)),
                None => fate.kept += 1,
            }
        }
        fate.handed_on.sort();
        fate
    }

    /// The times in which nobody said a name, but for those that lie in a time without a majority of members.
    pub(super) fn silences(&self) -> Vec<Silence> {
        let of_name = |(name, spans): (&String, &Vec<Span>)| {
            let gaps = spans.windows(2).map(|pair| Span { from: pair[0].to, to: pair[1].from });
            gaps.map(|span| Silence { name: name.clone(), span }).collect::<Vec<_>>()
        };
        let all = self.seen.heard.iter().flat_map(of_name);
        all.filter(|silence| !self.without_majority(silence.span)).collect()
    }

    /// The names that agents gave up without a fault of their own, while there was a majority; and how many while there
    /// was none.
    pub(super) fn lost(&self) -> (Vec<Lost>, usize) {
        let told = self.seen.told.iter().filter_map(|told| {
            let name = told.line.strip_prefix("lost: ")?.to_owned();
            Some(Lost { at: told.at, node: told.node, name })
        });
        let during = |lost: &Lost, done: &Done| (done.began..=done.well + self.plan.ttl).contains(&lost.at);
        let own = |lost: &Lost| {
            self.done.iter().any(|done| done.whom == Whom::Agent(lost.node) && during(lost, done))
        };
        let ran = |lost: &Lost| (self.start..self.end).contains(&lost.at);
        let others: Vec<Lost> = told.filter(|lost| ran(lost) && !own(lost)).collect();
        let no_majority =
            |lost: &Lost| self.done.iter().any(|done| done.kind.takes_the_majority() && during(lost, done));
        let (without, with): (Vec<Lost>, Vec<Lost>) = others.into_iter().partition(no_majority);
        (with, without.len())
    }

    /// The faults that went on at some instant of a time, or of a lease before it.
    pub(super) fn meanwhile(&self, span: Span) -> Vec<&Done> {
        let concerns = |done: &&Done| done.began <= span.to && span.from <= done.well + self.plan.ttl;
        self.done.iter().filter(concerns).collect()
    }

    fn without_majority(&self, span: Span) -> bool {
        self.meanwhile(span).iter().any(|done| done.kind.takes_the_majority())
    }
}

impl Done {
    fn concerns_agents(&self) -> bool {
        Kind::OF_AGENTS.contains(&self.kind)
    }
}
