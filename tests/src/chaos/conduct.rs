//! Has the faults happen: those of the members one after another, and beside them those of the agents.

use std::{
    collections::VecDeque,
    path::PathBuf,
    thread,
    time::{Duration, SystemTime},
};

use super::{
    fault::Kind,
    members::Software,
    outcome::Outcome,
    plan::{Fault, Plan},
    site::{Harmed, Site, Whom},
    watch::SILENCE,
};
use crate::boot_clock;

/// How often to look what is due.
const LOOK: Duration = Duration::from_millis(25);

/// How soon to try again what could not be done.
const AGAIN: Duration = Duration::from_millis(250);

/// How soon after a fault all can be well: what was said until then has been said since.
const SETTLED: Duration = SILENCE.saturating_mul(2);

/// How long it may take until all is well again after a fault, or somebody is there whom one can befall.
const PATIENCE: Duration = Duration::from_mins(1);

/// A fault that is over.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) kind: Kind,
    pub(super) whom: Whom,
    /// The name that the agent had.
    pub(super) name: Option<String>,
    pub(super) began: Duration,
    pub(super) ended: Duration,
    /// When all was well again but for whom another one had befallen.
    pub(super) well: Duration,
}

/// Where the faults of one kind of victim stand.
struct Lane {
    number: usize,
    ahead: VecDeque<Fault>,
    phase: Phase,
}

enum Phase {
    /// All is well; the next one from then on.
    Pausing {
        since: Duration,
        until: Duration,
    },
    Suffering(Harmed),
    Recovering(Done),
}

/// What is going on, to be shown to who waits.
struct Stage<'a> {
    site: Site,
    done: Vec<Done>,
    problems: Vec<String>,
    start: Duration,
    tell: &'a mut dyn FnMut(&str),
}

/// Has the faults of a plan befall agents of that binary and their store, and tells what came of it. Each is told of, in
/// a line, when it begins.
pub fn chaos(plan: &Plan, software: Software, binary: PathBuf, tell: &mut dyn FnMut(&str)) -> Outcome {
    tell(&format!("starting three members of {software}, name servers and agents"));
    let site = Site::build(software, binary, plan.ttl);
    let version = site.version();
    let start = boot_clock::now();
    // Logs tell that.
    tell(&format!("{:7.1} s  {}", 0.0, humantime::format_rfc3339_millis(SystemTime::now())));
    let mut stage = Stage { site, done: Vec::new(), problems: Vec::new(), start, tell };
    stage.wait_until_all_is_well();
    let mut number = 0;
    let mut lanes = plan.lanes().map(|ahead| {
        let lane = Lane { number, ahead, phase: Phase::Pausing { since: start, until: start } };
        number += 1;
        lane
    });
    while lanes.iter().any(|lane| !lane.is_over()) {
        for lane in &mut lanes {
            lane.step(&mut stage);
        }
        thread::sleep(LOOK);
    }
    stage.wait_until_all_is_well();
    let end = boot_clock::now();
    let Stage { site, done, problems, .. } = stage;
    Outcome::new(plan.clone(), (software, version), (start, end), done, site.end(), problems)
}

impl Lane {
    fn is_over(&self) -> bool {
        self.ahead.is_empty() && matches!(self.phase, Phase::Pausing { .. })
    }

    /// Does what is due.
    fn step(&mut self, stage: &mut Stage<'_>) {
        let now = boot_clock::now();
        match &mut self.phase {
            Phase::Pausing { since, until } if now >= *until => {
                let Some(&fault) = self.ahead.front() else { return };
                if let Some(harmed) = stage.site.begin(self.number, fault) {
                    self.ahead.pop_front();
                    stage.show(&harmed);
                    self.phase = Phase::Suffering(harmed);
                } else if now > *since + PATIENCE {
                    self.ahead.pop_front();
                    stage.problem(format!("nobody whom it could befall in {PATIENCE:?}: {}", fault.kind));
                    *since = now;
                } else {
                    *until = now + AGAIN;
                }
            }
            Phase::Suffering(harmed) if now >= harmed.began + harmed.fault.lasts => {
                stage.site.heal(self.number, harmed);
                let Harmed { fault, whom, name, began, .. } = harmed.clone();
                let ended = boot_clock::now();
                self.phase =
                    Phase::Recovering(Done { kind: fault.kind, whom, name, began, ended, well: ended });
            }
            Phase::Recovering(done) => {
                let well = now >= done.ended + SETTLED && stage.is_well(done.kind);
                if !well && now < done.ended + PATIENCE {
                    return;
                }
                if !well {
                    stage.problem(format!("not well {PATIENCE:?} after: {}", done.kind));
                }
                stage.done.push(Done { well: now, ..done.clone() });
                let pause = self.ahead.front().map_or(Duration::ZERO, |next| next.pause);
                self.phase = Phase::Pausing { since: now, until: now + pause };
            }
            Phase::Pausing { .. } | Phase::Suffering(_) => {}
        }
    }
}

impl Stage<'_> {
    /// Whether all names are said, and those are well whom that kind of fault befalls.
    fn is_well(&mut self, kind: Kind) -> bool {
        for log in self.site.replace_ended() {
            self.problem(log);
        }
        let members_too = Kind::OF_MEMBERS.contains(&kind);
        self.site.missing().is_empty() && (!members_too || self.site.is_whole())
    }

    fn wait_until_all_is_well(&mut self) {
        let start = boot_clock::now();
        while !(self.site.is_whole() && self.site.missing().is_empty()) {
            if boot_clock::now() > start + PATIENCE {
                let missing = self.site.missing();
                self.problem(format!("not well after {PATIENCE:?}; nobody says {missing:?}"));
                return;
            }
            thread::sleep(LOOK);
        }
    }

    fn show(&mut self, Harmed { fault, whom, name, began, .. }: &Harmed) {
        let at = began.saturating_sub(self.start).as_secs_f64();
        let whom = match whom {
            Whom::Member(member) => format!("member {member}"),
            Whom::Members => "each member".to_owned(),
            Whom::Agent(node) => format!("node {node}"),
        };
        let name = name.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
        let lasts = fault.lasts.as_secs_f64();
        (self.tell)(&format!("{at:7.1} s  {}: {whom}{name}, for {lasts:.1} s", fault.kind));
    }

    fn problem(&mut self, problem: String) {
        (self.tell)(&problem);
        self.problems.push(problem);
    }
}
