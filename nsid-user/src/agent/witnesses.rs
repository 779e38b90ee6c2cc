//! The witnesses that this node is: one for each list that has an address of this host in it.

use std::{collections::BTreeSet, io, net::SocketAddr, time::Duration};

use tokio::task::JoinSet;

use crate::{
    config::Service,
    host::addresses::Address,
    store::{
        Place, Quorum,
        peers::{Witness, WitnessError},
    },
};

/// Those that serve, and the lists that have or may get one.
pub(super) struct Witnesses {
    /// With the longest lease that a service of this node asks for.
    lists: Vec<(Quorum, Duration)>,
    serving: BTreeSet<SocketAddr>,
    instance: String,
    tasks: JoinSet<()>,
}

impl Witnesses {
    /// None yet.
    pub(super) fn of(services: &[Service], instance: &str) -> Self {
        let mut lists: Vec<(Quorum, Duration)> = Vec::new();
        for pool in services.iter().filter_map(|service| service.store.pool()) {
            let Place::Peers(quorum) = &pool.place else { continue };
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
        Self { lists, serving: BTreeSet::new(), instance: instance.to_owned(), tasks: JoinSet::new() }
    }

    /// Has this node be a witness wherever a list has one of these addresses, from now on.
    pub(super) fn follow(&mut self, addresses: &[Address]) -> Result<(), WitnessError> {
        for (quorum, lease) in &self.lists {
            let is_own = |witness: &&SocketAddr| {
                let ip = witness.ip();
                ip.is_loopback() || addresses.iter().any(|address| address.ip == ip)
            };
            for witness in quorum.list.witnesses().iter().filter(is_own) {
                if self.serving.contains(witness) {
                    continue;
                }
                match Witness::open(quorum.clone(), *witness, *lease, &self.instance) {
                    Ok(opened) => {
                        self.serving.insert(*witness);
                        self.tasks.spawn_local(opened.serve());
                    }
                    // Another agent of this host is that witness; it may end before this one does.
                    Err(WitnessError::Bind { source, .. }) if source.kind() == io::ErrorKind::AddrInUse => {
                        log::debug!("{witness}: another agent of this host is the witness");
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Ends all of them.
    pub(super) async fn leave(&mut self) {
        self.tasks.shutdown().await;
    }
}
