//! `nsid release`, the agent's side: has names handed on.

use tokio::{sync::oneshot, task::spawn_local};

use super::Services;
use crate::{
    agent::requests::tell,
    claim::HandedOn,
    host::control,
    name::NodeName,
    release::{ReleaseReply, ReleaseRequest},
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
        let claims = self.statuses.iter().map(|status| status.borrow().clone());
        self.configured.iter().zip(claims).enumerate().filter_map(|(index, (service, claim))| {
            Some((index, service.store.pool()?.pattern.name(claim.slot?)))
        })
    }
}

/// What came of it: of several names, some may be handed on and others not.
async fn outcome(told: Vec<oneshot::Receiver<HandedOn>>) -> ReleaseReply {
    let (mut released, mut failed) = (Vec::new(), Vec::new());
    for outcome in told {
        match outcome.await {
            Ok(Ok(name)) => released.extend(name.map(|name| name.to_string())),
            Ok(Err(reason)) => failed.push(reason.to_string()),
            Err(_) => failed.push("the agent is ending".to_owned()),
        }
    }
    if failed.is_empty() {
        return ReleaseReply::Released(released);
    }
    let released = if released.is_empty() { "none".to_owned() } else { released.join(", ") };
    ReleaseReply::Refused(format!(
        "not all could be given back ({}); what could not is off the wire, and this agent's to claim again once the store \
         answers, or another's when the claim is over; handed on: {released}",
        failed.join("; ")
    ))
}
