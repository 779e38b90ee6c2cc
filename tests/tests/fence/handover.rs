//! How a name goes from an agent that no longer renews it to the next in line, and what must not happen meanwhile.

use std::{path::PathBuf, thread, time::Duration};

use nsid_tests::{
    agent::{Agent, Instance},
    cluster::{Cluster, Store},
    patience::until,
    prober::{Heard, PERIOD, Prober},
};

/// The shortest time that every store grants.
const TTL: Duration = Duration::from_secs(2);
const ARGUMENTS: [&str; 4] = ["--limit", "1", "--ttl", "2s"];

/// What a deadline is set early, at most: 2 % of the lease, and six jiffies of the slowest kernel (`CONFIG_HZ=100`).
const MARGIN: Duration = Duration::from_millis(40 + 60);

/// How long after the end of its lease a name may be said by nobody. etcd looks for leases that are over twice a
/// second.
const HANDED_ON: Duration = Duration::from_secs(1);

const PATIENCE: Duration = Duration::from_secs(10);

/// How an agent stops renewing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Killed,
    /// And thawed once another one has the name.
    Frozen,
}

/// What must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// The old node said the name more than a period after its deadline.
    SaidPastTheDeadline,
    /// The new node said it before the old one's deadline.
    SaidByAnotherBeforeTheDeadline,
    /// The new node said it before the old one's last question was asked.
    SaidByTwo,
    /// The old node answered without a name before the deadline.
    SilentBeforeTheDeadline,
    /// The new node said it only after the lease had been over for long.
    SaidByAnotherLate,
}

/// What was heard of both nodes.
#[derive(Debug)]
pub(crate) struct Handover {
    name: String,
    /// Bounds of the deadline.
    deadline: (Duration, Duration),
    old: Vec<Heard>,
    new: Vec<Heard>,
}

impl Handover {
    /// One agent holds the pool's only name and stops renewing it; another one waits for the name.
    pub(crate) fn observe(binary: PathBuf, store: Store, fault: Fault) -> Self {
        let mut cluster = Cluster::with_servers(store, 2);
        cluster.binary = binary;
        let mut old = cluster.spawn(0, &ARGUMENTS);
        let name = old.ready();
        let mut new = cluster.spawn(1, &ARGUMENTS);
        let probers = [0, 1].map(|node| cluster.prober(node));
        new.until_claim_is("waiting");
        // A renewal, at least.
        thread::sleep(TTL / 2);

        let faulty = Faulty::new(old, fault);
        let deadline = deadline(faulty.instance());
        assert_eq!(new.ready(), name);
        if let Faulty::Frozen(old) = &faulty {
            old.thaw();
            let lost = format!("ready: {name}\nlost: {name}\n");
            until(PATIENCE, "the old agent to say `lost`", || old.stdout() == lost);
            old.until_claim_is("waiting");
        }
        thread::sleep(10 * PERIOD);
        assert_eq!(new.is_ready().as_ref(), Some(&name), "the new agent lost it again");
        let [old, new] = probers.map(Prober::stop);
        let answers = old.last().is_some_and(|heard| heard.at > deadline.1);
        assert!(answers, "what would say the name past its deadline, the old node's server, does not answer");
        Self { name, deadline, old, new }
    }

    /// What happened of that which must not.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        let (earliest, latest) = self.deadline;
        let (last, first) = (self.last(), self.first());
        let too_early = |heard: &Heard| heard.at < earliest.saturating_sub(PERIOD) && heard.name.is_none();
        [
            (last.at > latest + PERIOD, Violation::SaidPastTheDeadline),
            (first.at <= earliest, Violation::SaidByAnotherBeforeTheDeadline),
            (first.at <= last.asked, Violation::SaidByTwo),
            (self.old.iter().any(too_early), Violation::SilentBeforeTheDeadline),
            (first.at > latest + MARGIN + HANDED_ON + PERIOD, Violation::SaidByAnotherLate),
        ]
        .into_iter()
        .filter_map(|(happened, violation)| happened.then_some(violation))
        .collect()
    }

    /// When the name was said, for a person.
    pub(crate) fn times(&self) -> String {
        format!("last {:?}, first {:?}, deadline {:?}", self.last(), self.first(), self.deadline)
    }

    fn last(&self) -> &Heard {
        said(&self.old, &self.name).last().expect("the old node said the name")
    }

    fn first(&self) -> &Heard {
        said(&self.new, &self.name).next().expect("the new node says the name")
    }
}

/// The answers that have that name in them.
pub(crate) fn said<'a>(heard: &'a [Heard], name: &str) -> impl DoubleEndedIterator<Item = &'a Heard> {
    heard.iter().filter(move |heard| heard.name.as_deref() == Some(name))
}

/// Bounds of the deadline, since boot, of an agent that no longer moves it: `nsid status` tells what was left at some
/// moment of its run, so several runs tell more.
fn deadline(instance: &Instance) -> (Duration, Duration) {
    (0..5).map(|_| instance.deadline()).fold((Duration::ZERO, Duration::MAX), |(earliest, latest), told| {
        (earliest.max(*told.start()), latest.min(*told.end()))
    })
}

/// The agent after the fault: what is left of it is kept.
enum Faulty {
    Killed(Instance),
    Frozen(Agent),
}

impl Faulty {
    fn new(agent: Agent, fault: Fault) -> Self {
        match fault {
            Fault::Killed => Self::Killed(agent.kill()),
            Fault::Frozen => {
                agent.freeze();
                Self::Frozen(agent)
            }
        }
    }

    fn instance(&self) -> &Instance {
        match self {
            Self::Killed(instance) => instance,
            Self::Frozen(agent) => agent.instance(),
        }
    }
}
