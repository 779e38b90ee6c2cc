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

/// What a deadline is set early, at most: 2 % of the lease, and six jiffies of the slowest kernel (`CONFIG_HZ=100`).
const MARGIN: Duration = Duration::from_millis(40 + 60);

/// How long after the end of its lease a name may be said by nobody. etcd looks for leases that are over twice a
/// second; a witness keeps a name for 2 % longer than the lease, and 0.25 s.
fn handed_on(store: Store) -> Duration {
    const MOST: Duration = Duration::from_secs(1);
    match store {
        Store::Local | Store::Etcd | Store::ZooKeeper => MOST,
        Store::Peers | Store::Witnesses => TTL / 50 + MOST,
    }
}

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
    store: Store,
    name: String,
    /// Bounds of the deadline.
    deadline: (Duration, Duration),
    old: Vec<Heard>,
    new: Vec<Heard>,
}

impl Handover {
    /// Agents hold all names of a pool, as few as there can be, and one of them stops renewing its own; another one waits
    /// for a name.
    pub(crate) fn observe(binary: PathBuf, store: Store, fault: Fault) -> Self {
        let holders = store.founders();
        let limit = holders.to_string();
        let arguments = ["--limit", &limit, "--ttl", "2s"];
        let mut cluster = Cluster::with_servers(store, holders + 1);
        cluster.binary = binary;
        let new = usize::from(holders);
        let mut agents: Vec<Agent> = (0..new).map(|node| cluster.spawn(node, &arguments)).collect();
        for agent in &mut agents {
            agent.ready();
        }
        let mut old = agents.swap_remove(0);
        let name = old.ready();
        let probers = [0, new].map(|node| cluster.prober(node));
        let mut new = cluster.spawn(new, &arguments);
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
        Self { store, name, deadline, old, new }
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
            (first.at > latest + MARGIN + handed_on(self.store) + PERIOD, Violation::SaidByAnotherLate),
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
