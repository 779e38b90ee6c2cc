//! What the verbs ask about the pools that this agent claims from.

use tokio::{sync::oneshot, task::spawn_local, time::timeout};

use super::{Services, etcd, local};
use crate::{
    agent::requests::tell,
    claim::HandedOn,
    config::StoreConfig,
    host::control,
    name::{NodeName, Pattern},
    names::{Held, LOOK_LIMIT, NamesReply, NamesRequest, Pool},
    release::{ReleaseReply, ReleaseRequest},
    store::{Agreement, Directory as _, Entry, Incarnation, Nonce, Roll, Store as _, Unreachable, ZooKeeper},
};

impl Services {
    /// Has names handed on, and answers once nobody says them.
    pub(in crate::agent) fn begin_release(&self, wanted: &ReleaseRequest, request: control::Request) {
        let told = match self.hand_on(&wanted.release) {
            Ok(told) => told,
            Err(why) => return tell(request, &ReleaseReply::Refused(why)),
        };
        spawn_local(async move { tell(request, &outcome(told).await) });
    }

    /// Tells the claims of these names, or of all, to hand them on.
    fn hand_on(&self, wanted: &[String]) -> Result<Vec<oneshot::Receiver<HandedOn>>, String> {
        let held: Vec<_> = self.held().collect();
        let names = || held.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", ");
        if held.is_empty() {
            return Err("this agent holds no name of a pool".to_owned());
        }
        let is = |wanted: &String, (_, name): &(usize, NodeName)| name.as_str().eq_ignore_ascii_case(wanted);
        if let Some(unknown) = wanted.iter().find(|wanted| !held.iter().any(|held| is(wanted, held))) {
            return Err(format!("this agent does not hold {unknown}; it holds {}", names()));
        }
        let chosen = held.iter().filter(|held| wanted.is_empty() || wanted.iter().any(|name| is(name, held)));
        Ok(chosen
            .map(|(index, _)| {
                let (told, outcome) = oneshot::channel();
                // Fails if the claim has ended, and then its outcome never comes.
                let _ = self.hand_on[*index].send(told);
                outcome
            })
            .collect())
    }

    /// The names of pools that are held, each with its service's place.
    fn held(&self) -> impl Iterator<Item = (usize, NodeName)> {
        let claims = self.statuses.iter().map(|status| *status.borrow());
        self.configured
            .iter()
            .zip(claims)
            .enumerate()
            .filter_map(|(index, (service, claim))| Some((index, service.store.pattern()?.name(claim.slot?))))
    }

    /// Asks the stores who has which name, and answers when they have.
    pub(in crate::agent) fn begin_names(&self, wanted: &NamesRequest, request: control::Request) {
        let mut pools: Vec<(StoreConfig, Pattern, Incarnation)> = Vec::new();
        for (index, service) in (0..).zip(&self.configured) {
            let Some(pattern) = service.store.pattern() else { continue };
            // Two services can claim from one pool.
            if pools.iter().all(|(store, ..)| store.source() != service.store.source()) {
                pools.push((service.store.clone(), pattern.clone(), self.claimant.of_service(index)));
            }
        }
        let all = pools.iter().map(|(_, pattern, _)| pattern.to_string()).collect::<Vec<_>>().join(", ");
        let is = |wanted: &str, pattern: &Pattern| pattern.to_string().eq_ignore_ascii_case(wanted);
        let wanted = &wanted.names;
        pools.retain(|(_, pattern, _)| wanted.is_empty() || wanted.iter().any(|name| is(name, pattern)));
        if pools.is_empty() {
            let why = if all.is_empty() {
                "this agent claims from no pool: its names are given by hand".to_owned()
            } else {
                format!("this agent claims from no such pool; its pools are {all}")
            };
            return tell(request, &NamesReply::Refused(why));
        }
        let ours = (0..).zip(&self.configured).map(|(index, _)| self.claimant.of_service(index).nonce);
        let ours: Vec<_> = ours.collect();
        spawn_local(async move { tell(request, &look(pools, &ours).await) });
    }
}

async fn outcome(told: Vec<oneshot::Receiver<HandedOn>>) -> ReleaseReply {
    let mut released = Vec::new();
    for outcome in told {
        match outcome.await {
            Ok(Ok(name)) => released.extend(name.map(|name| name.to_string())),
            Ok(Err(reason)) => {
                return ReleaseReply::Refused(format!(
                    "the name is off the wire, but the store could not be told ({reason}): \
                     others can have it when the claim is over"
                ));
            }
            Err(_) => return ReleaseReply::Refused("the agent is ending".to_owned()),
        }
    }
    ReleaseReply::Released(released)
}

async fn look(pools: Vec<(StoreConfig, Pattern, Incarnation)>, ours: &[Nonce]) -> NamesReply {
    let mut told = Vec::new();
    for (store, pattern, incarnation) in pools {
        let source = store.source();
        let roll = match timeout(LOOK_LIMIT, roll(store, incarnation)).await {
            Ok(Some(Ok(roll))) => roll,
            Ok(Some(Err(reason))) => {
                return NamesReply::Refused(format!("{source}: the store does not answer ({reason})"));
            }
            Ok(None) => continue,
            Err(_) => {
                return NamesReply::Refused(format!(
                    "{source}: the store does not answer (nothing in {LOOK_LIMIT:?})"
                ));
            }
        };
        told.push(pool(source, &pattern, roll, ours));
    }
    NamesReply::Names(told)
}

/// Nothing: there is no pool.
async fn roll(store: StoreConfig, incarnation: Incarnation) -> Option<Result<Roll, Unreachable>> {
    match store {
        StoreConfig::Static(_) => None,
        StoreConfig::Local { pattern, ttl } => Some(local(&pattern, incarnation, ttl).names().await),
        StoreConfig::Etcd { cluster, pattern, ttl } => {
            Some(Box::pin(async { etcd(cluster, &pattern, incarnation, ttl).names().await }).await)
        }
        StoreConfig::ZooKeeper { ensemble, pattern, ttl } => {
            // By a session of its own, which ends when that is told.
            let mut zookeeper =
                ZooKeeper::keeping(None, ensemble, incarnation, Agreement::new(&pattern), ttl);
            let roll = zookeeper.names().await;
            if let Err(reason) = zookeeper.release().await {
                log::debug!("{pattern}: {reason}");
            }
            Some(roll)
        }
    }
}

fn pool(source: String, pattern: &Pattern, roll: Roll, ours: &[Nonce]) -> Pool {
    let Roll { holders, waiting, agreement } = roll;
    let names = holders.into_iter().map(|Entry { slot, token, holder }| Held {
        name: pattern.name(slot).to_string(),
        slot,
        token,
        ours: ours.contains(&holder.nonce),
        host: holder.host,
        since_ms: holder.since,
    });
    Pool {
        source,
        limit: agreement.map_or(pattern.limit().get(), |agreement| agreement.limit()),
        names: names.collect(),
        waiting,
    }
}
