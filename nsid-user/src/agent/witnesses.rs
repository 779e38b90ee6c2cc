//! The witnesses that this node is: one for each list that has an address of this host in it, for as long as it has that.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::{self, JoinHandle},
    time,
};

use super::services::forward;
use crate::{
    config::Service,
    host::addresses::Address,
    store::{
        Quorum,
        peers::{Witness, WitnessError, WitnessStatus},
    },
};

/// How long a datagram of this host to itself takes at most, on a busy one.
const LAST: Duration = Duration::from_millis(50);

/// Those that serve, and the lists that have or may get one.
pub(super) struct Witnesses {
    /// With the longest lease that a service of this node asks for.
    lists: Vec<(Quorum, Duration)>,
    serving: BTreeMap<SocketAddr, Serving>,
    /// Addresses of this host at which there is none, and why.
    missing: BTreeMap<SocketAddr, String>,
    instance: String,
    changed: Rc<Notify>,
}

/// A witness at work.
struct Serving {
    /// When its address was given to this host: one that was away meanwhile, and perhaps another's, has another witness.
    given: BTreeSet<u32>,
    status: watch::Receiver<WitnessStatus>,
    task: JoinHandle<()>,
}

impl Witnesses {
    /// None yet.
    pub(super) fn of(services: &[Service], instance: &str) -> Self {
        let mut lists: Vec<(Quorum, Duration)> = Vec::new();
        for pool in services.iter().filter_map(|service| service.store.pool()) {
            let Some(quorum) = pool.place.quorum() else { continue };
            match lists.iter_mut().find(|(other, _)| other.list == quorum.list) {
                Some((_, lease)) => *lease = pool.ttl.max(*lease),
                None => lists.push((quorum.clone(), pool.ttl)),
            }
        }
        for (quorum, _) in lists.iter().filter(|(quorum, _)| quorum.key.is_none()) {
            if quorum.list.witnesses().iter().any(|witness| !witness.ip().is_loopback()) {
                log::warn!(
                    "peers://{}: whoever reaches the witnesses can claim names: messages are not sealed without \
                     --cluster-key-file",
                    quorum.list
                );
            }
        }
        Self {
            lists,
            serving: BTreeMap::new(),
            missing: BTreeMap::new(),
            instance: instance.to_owned(),
            changed: Rc::default(),
        }
    }

    /// Has this node be a witness wherever a list has one of these addresses, from now on, and nowhere else. An address that
    /// may be free later is looked at again; what no waiting mends is an error.
    pub(super) async fn follow(&mut self, addresses: &[Address]) -> Result<(), WitnessError> {
        let mut gone: Vec<SocketAddr> = self.serving.keys().copied().collect();
        gone.retain(|witness| self.serving[witness].given.is_disjoint(&given(addresses, witness.ip())));
        for witness in gone {
            log::info!("witness {witness}: ends: its address is gone, or was");
            self.end(witness).await;
        }
        let is_own = |witness: &SocketAddr| !given(addresses, witness.ip()).is_empty();
        self.missing.retain(|witness, _| is_own(witness));
        let mut failed = Ok(());
        for (quorum, lease) in &self.lists {
            for witness in quorum.list.witnesses().iter().filter(|witness| is_own(witness)) {
                if self.serving.contains_key(witness) {
                    continue;
                }
                match Witness::open(quorum.clone(), *witness, *lease, &self.instance) {
                    Ok(opened) => {
                        self.missing.remove(witness);
                        let status = opened.status();
                        task::spawn_local(forward(status.clone(), Rc::clone(&self.changed)));
                        let task = task::spawn_local(opened.serve());
                        let given = given(addresses, witness.ip());
                        self.serving.insert(*witness, Serving { given, status, task });
                    }
                    Err(error) => {
                        let why = why(&error);
                        let is_known = self.missing.insert(*witness, why.clone()).as_ref() == Some(&why);
                        if !may_pass(&error) {
                            failed = Err(error);
                        } else if !is_known {
                            log::warn!("no witness at {witness}: {why}");
                        }
                    }
                }
            }
        }
        failed
    }

    /// What each of them does.
    pub(super) fn states(&self) -> Vec<WitnessStatus> {
        let serving = self.serving.values().map(|serving| serving.status.borrow().clone());
        let missing = self.missing.iter().map(|(witness, why)| WitnessStatus::none(*witness, why.clone()));
        serving.chain(missing).collect()
    }

    /// Notified when one of them does something else.
    pub(super) fn changed(&self) -> Rc<Notify> {
        Rc::clone(&self.changed)
    }

    /// Ends all of them, once they have dealt with what was given back to them last: whose turn it is hears of it from them.
    pub(super) async fn leave(&mut self) {
        if !self.serving.is_empty() {
            time::sleep(LAST).await;
        }
        while let Some(witness) = self.serving.keys().next().copied() {
            self.end(witness).await;
        }
    }

    /// Once this returns, its record is left and its port free.
    async fn end(&mut self, witness: SocketAddr) {
        if let Some(Serving { mut task, .. }) = self.serving.remove(&witness) {
            task.abort();
            let _aborted = (&mut task).await;
        }
    }
}

/// When the host was given that address, on each interface that has it; nothing if none has.
fn given(addresses: &[Address], ip: IpAddr) -> BTreeSet<u32> {
    // Of a range all of which is the host's own.
    let loopback = ip.is_loopback().then_some(0);
    addresses.iter().filter(|address| address.ip == ip).map(|address| address.given).chain(loopback).collect()
}

/// Whether the address may be had later: another agent of this host that is its witness ends, or the kernel is done looking
/// for who else has it (RFC 4862 section 5.4).
fn may_pass(error: &WitnessError) -> bool {
    let WitnessError::Bind { source, .. } = error else { return false };
    matches!(source.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable)
}

/// For people.
fn why(error: &WitnessError) -> String {
    match error {
        WitnessError::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
            "another program of this host has that port, or another agent is the witness".to_owned()
        }
        WitnessError::Bind { source, .. } => source.to_string(),
        error => error.to_string(),
    }
}
