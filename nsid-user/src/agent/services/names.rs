//! `nsid names`, the agent's side: asks the stores who has which name.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use tokio::{task::spawn_local, time::timeout};

use super::{Services, etcd, local};
use crate::{
    agent::requests::tell,
    config::StoreConfig,
    host::control,
    name::Pattern,
    names::{HeldName, LOOK_LIMIT, NamesReply, NamesRequest, PoolNames},
    store::{Agreement, Directory, Entry, Etcd, Incarnation, Local, Nonce, Roll, Unreachable, ZooKeeper},
};

/// A pool that this agent claims from, and who asks.
#[derive(Clone)]
struct Asked {
    store: StoreConfig,
    pattern: Pattern,
    incarnation: Incarnation,
}

/// Connections of their own to the stores that were asked, by their sources: who waits for names asks every second, and a
/// login costs a store more than an answer.
#[derive(Clone, Default)]
pub(super) struct Directories(Rc<RefCell<BTreeMap<String, Open>>>);

enum Open {
    Local(Box<Local>),
    Etcd(Box<Etcd>),
    ZooKeeper(Box<ZooKeeper>),
}

impl Services {
    /// Asks the stores who has which name, and answers when they have told.
    pub(in crate::agent) fn begin_names(&self, wanted: &NamesRequest, request: control::Request) {
        let mut pools: Vec<Asked> = Vec::new();
        for (index, service) in (0..).zip(&self.configured) {
            let Some(pattern) = service.store.pattern() else { continue };
            // Two services can claim from one pool.
            if pools.iter().all(|asked| asked.store.source() != service.store.source()) {
                let (store, pattern) = (service.store.clone(), pattern.clone());
                pools.push(Asked { store, pattern, incarnation: self.claimant.of_service(index) });
            }
        }
        let all = pools.iter().map(|asked| asked.pattern.to_string()).collect::<Vec<_>>().join(", ");
        let is = |wanted: &str, pattern: &Pattern| pattern.to_string().eq_ignore_ascii_case(wanted);
        let wanted = &wanted.pools;
        pools.retain(|asked| wanted.is_empty() || wanted.iter().any(|name| is(name, &asked.pattern)));
        if pools.is_empty() {
            let why = if all.is_empty() {
                "this agent claims from no pool: its names are given by hand".to_owned()
            } else {
                format!("this agent claims from no such pool; its pools are {all}")
            };
            return tell(request, &NamesReply::Refused(why));
        }
        let ours = (0..).zip(&self.configured).map(|(index, _)| self.claimant.of_service(index).nonce);
        let (ours, directories) = (ours.collect::<Vec<_>>(), self.directories.clone());
        spawn_local(async move { tell(request, &look(pools, &ours, &directories).await) });
    }
}

async fn look(pools: Vec<Asked>, ours: &[Nonce], directories: &Directories) -> NamesReply {
    let all = async {
        let mut told = Vec::new();
        for asked in &pools {
            let source = asked.store.source();
            match directories.roll(&source, asked).await {
                Ok(roll) => told.push(pool(source, &asked.pattern, roll, ours)),
                Err(reason) => return Err(format!("{source}: the store does not answer ({reason})")),
            }
        }
        Ok(told)
    };
    match timeout(LOOK_LIMIT, all).await {
        Ok(Ok(pools)) => NamesReply::Names(pools),
        Ok(Err(why)) => NamesReply::Unreachable(why),
        Err(_) => NamesReply::Unreachable(format!("the store does not answer (nothing in {LOOK_LIMIT:?})")),
    }
}

impl Directories {
    /// By the connection that there is, or by a new one: what was not used for long may be over.
    async fn roll(&self, source: &str, asked: &Asked) -> Result<Roll, Unreachable> {
        let kept = self.0.borrow_mut().remove(source);
        if let Some(mut open) = kept
            && let Ok(roll) = open.names().await
        {
            self.0.borrow_mut().insert(source.to_owned(), open);
            return Ok(roll);
        }
        let mut open = Open::new(asked.clone()).ok_or_else(|| Unreachable::new("it is no store"))?;
        let roll = open.names().await?;
        self.0.borrow_mut().insert(source.to_owned(), open);
        Ok(roll)
    }
}

impl Open {
    /// Nothing: a name that was given by hand is in no store.
    fn new(Asked { store, pattern: _, incarnation }: Asked) -> Option<Self> {
        match store {
            StoreConfig::Static(_) => None,
            StoreConfig::Local { pattern, ttl } => {
                Some(Self::Local(Box::new(local(&pattern, incarnation, ttl))))
            }
            StoreConfig::Etcd { cluster, pattern, ttl } => {
                Some(Self::Etcd(Box::new(etcd(cluster, &pattern, incarnation, ttl))))
            }
            StoreConfig::ZooKeeper { ensemble, pattern, ttl } => {
                // By a session that is kept nowhere: it is not the claim's.
                let agreement = Agreement::new(&pattern);
                let zookeeper = ZooKeeper::keeping(None, ensemble, incarnation, agreement, ttl);
                Some(Self::ZooKeeper(Box::new(zookeeper)))
            }
        }
    }

    async fn names(&mut self) -> Result<Roll, Unreachable> {
        match self {
            Self::Local(local) => local.names().await,
            Self::Etcd(etcd) => etcd.names().await,
            Self::ZooKeeper(zookeeper) => zookeeper.names().await,
        }
    }
}

fn pool(source: String, pattern: &Pattern, roll: Roll, ours: &[Nonce]) -> PoolNames {
    let Roll { holders, waiting, agreement } = roll;
    // Whatever somebody else wrote there.
    let holders = holders.into_iter().filter(|entry| entry.slot < pattern.limit().get());
    let names = holders.map(|Entry { slot, token, holder }| HeldName {
        name: pattern.name(slot).to_string(),
        slot,
        token,
        ours: ours.contains(&holder.nonce),
        host: holder.host,
        since_ms: holder.since,
    });
    PoolNames {
        source,
        limit: agreement.map_or(pattern.limit().get(), |agreement| agreement.limit()),
        names: names.collect(),
        waiting,
    }
}
