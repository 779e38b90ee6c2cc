//! What is measured, in order.

use std::{fmt, time::Duration};

use nsid_user::store::Kind;

/// How long after their leases' end a crowd may be replaced, and etcd has forgotten all of them.
pub(super) const AFTER_THE_LEASE: Duration = Duration::from_millis(2500);

/// What an agent asks for by default.
pub(super) const TTL: Duration = Duration::from_secs(10);

/// So many claimants of one pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) store: Kind,
    pub(super) count: u32,
    pub(super) way: Way,
    /// How often.
    pub(super) rounds: usize,
    pub(super) target: Option<Target>,
}

/// What they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Claim as agents do, all at once.
    AtOnce,
    /// The same, evenly spread over that time.
    Spread(Duration),
    /// Claim as newcomers, all at once, in a pool that as many have left.
    InUse,
    /// Claim again what they had until their leases ended, all at once, in a pool that somebody has left.
    Again,
    /// Put what each has been told beforehand, all at once: the least that a claim with a lease can be in etcd.
    Told,
    /// Renew what they hold, all at once: a write each, the least that a claim can be in `ZooKeeper`.
    Renew,
    /// Claim by a global lock, all at once.
    GlobalLock,
    /// Claim by a look and a put, all at once.
    GetThenPut,
    /// Keep leases alive and do nothing else: the least that a holder can do in etcd.
    KeepAlive,
    /// Hold their names.
    Hold,
    /// The same, for what that has each of them send and be sent.
    Talk,
    /// Wait in line for as many holders to die.
    Replace,
}

/// What a row's figure should be at most.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Time(Duration),
    /// Of the store's work.
    Cores(f64),
}

impl Target {
    pub(super) fn time(self) -> Option<Duration> {
        if let Self::Time(time) = self { Some(time) } else { None }
    }

    pub(super) fn cores(self) -> Option<f64> {
        if let Self::Cores(cores) = self { Some(cores) } else { None }
    }
}

/// All that are measured of a store.
pub(super) fn rows(store: Kind) -> Vec<Row> {
    if store == Kind::Peers {
        let row = |(count, way, rounds)| Row { store, count, way, rounds, target: None };
        let crowds = [(100, Way::AtOnce, 5), (1000, Way::AtOnce, 5)];
        let holders = [Way::Hold, Way::Talk, Way::Replace].map(|way| (1000, way, 1));
        return crowds.into_iter().chain(holders).map(row).collect();
    }
    let within = |millis| Some(Target::Time(Duration::from_millis(millis)));
    let of_etcd = |target| if store == Kind::Etcd { target } else { None };
    let mut rows = Vec::new();
    let mut add = |count, way, rounds, target| rows.push(Row { store, count, way, rounds, target });
    let at_once = [
        (100, 5, None),
        (1000, 5, within(500)),
        (5000, 3, of_etcd(within(2000))),
        (10_000, 3, of_etcd(within(7000))),
    ];
    let least = if store == Kind::Etcd { Way::Told } else { Way::Renew };
    for (count, rounds, target) in at_once {
        add(count, least, rounds, None);
        add(count, Way::AtOnce, rounds, target);
    }
    for count in [1000, 10_000] {
        for seconds in [1, 5, 20] {
            add(count, Way::Spread(Duration::from_secs(seconds)), 1, None);
        }
    }
    if store == Kind::Etcd {
        for count in [100, 1000] {
            add(count, Way::GlobalLock, 1, None);
            add(count, Way::GetThenPut, 1, None);
        }
        add(1000, Way::KeepAlive, 1, None);
        add(10_000, Way::InUse, 1, None);
    }
    for count in [1000, 5000] {
        add(count, Way::InUse, 1, None);
        add(count, Way::Again, 1, None);
    }
    add(1000, Way::Hold, 1, of_etcd(Some(Target::Cores(0.15))));
    add(1000, Way::Replace, 1, of_etcd(Some(Target::Time(TTL + AFTER_THE_LEASE))));
    rows
}

impl Row {
    /// Whether it is our claims that are measured.
    pub(super) fn is_ours(&self) -> bool {
        !matches!(self.way, Way::Told | Way::Renew | Way::GlobalLock | Way::GetThenPut)
    }

    /// Whether it is one of a bench of everything.
    pub(super) fn is_small(&self) -> bool {
        matches!(self.way, Way::Told | Way::AtOnce) && self.count <= 1000
    }

    /// Whether so many are on their way at the same time.
    pub(super) fn is_at_once(&self) -> bool {
        !matches!(self.way, Way::Spread(_) | Way::KeepAlive | Way::Hold | Way::Talk | Way::Replace)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, count, .. } = self;
        match self.way {
            Way::AtOnce => write!(f, "{store}: {count} claims at once"),
            Way::Told => write!(f, "{store}: {count} claims at once, told their slots beforehand"),
            Way::Renew => write!(f, "{store}: {count} renewals at once"),
            Way::InUse => write!(f, "{store}: {count} claims at once in a pool that as many left"),
            Way::Again => write!(f, "{store}: {count} claims at once of what they had before"),
            Way::Spread(time) => write!(f, "{store}: {count} claims in {time:?}, the longest"),
            Way::GlobalLock => write!(f, "{store}: {count} claims at once, by a global lock"),
            Way::GetThenPut => write!(f, "{store}: {count} claims at once, by Get-then-Put"),
            Way::KeepAlive => write!(f, "{store}: cores for {count} leases that are kept alive"),
            Way::Hold => write!(f, "{store}: cores for {count} holders"),
            Way::Talk => write!(f, "{store}: bytes a second for each of {count} holders"),
            Way::Replace => write!(f, "{store}: {count} replacements of {count} dead"),
        }
    }
}
