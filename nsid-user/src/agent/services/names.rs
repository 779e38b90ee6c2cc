//! `nsid names`, the agent's side: asks the stores who has which name.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use tokio::{task::spawn_local, time::timeout};

use super::Services;
use crate::{
    agent::requests::tell,
    config::Pool,
    host::control,
    name::Pattern,
    names::{HeldName, LOOK_LIMIT, NamesReply, NamesRequest, PoolNames},
    store::{AnyStore, Directory, Entry, Incarnation, Nonce, Roll, Unreachable},
};

/// A pool that this agent claims from, and who asks.
struct Asked {
    pool: Pool,
    incarnation: Incarnation,
}

/// Connections of their own to the stores that were asked, by their sources: who waits for names asks every second, and a
/// login costs a store more than an answer.
#[derive(Clone, Default)]
pub(super) struct Directories(Rc<RefCell<BTreeMap<String, AnyStore>>>);

impl Services {
    /// Asks the stores who has which name, and answers when they have told.
    pub(in crate::agent) fn begin_names(&self, wanted: &NamesRequest, request: control::Request) {
        let mut pools: Vec<Asked> = Vec::new();
        for (index, service) in (0..).zip(&self.configured) {
            let Some(pool) = service.store.pool() else { continue };
            // Two services can claim from one pool.
            if pools.iter().all(|asked| asked.pool.source() != pool.source()) {
                pools.push(Asked { pool: pool.clone(), incarnation: self.claimant.of_service(index) });
            }
        }
        let all = pools.iter().map(|asked| asked.pool.pattern.to_string()).collect::<Vec<_>>().join(", ");
        let is = |wanted: &str, pattern: &Pattern| pattern.to_string().eq_ignore_ascii_case(wanted);
        let wanted = &wanted.pools;
        pools.retain(|asked| wanted.is_empty() || wanted.iter().any(|name| is(name, &asked.pool.pattern)));
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
            let source = asked.pool.source();
            match directories.roll(&source, asked).await {
                Ok(roll) => told.push(pool(source, &asked.pool.pattern, roll, ours)),
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
        let mut open = asked.pool.onlooker(asked.incarnation.clone());
        let roll = open.names().await?;
        self.0.borrow_mut().insert(source.to_owned(), open);
        Ok(roll)
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
