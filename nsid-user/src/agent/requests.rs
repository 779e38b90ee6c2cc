//! What the verbs ask of a running agent.

use serde::{Deserialize, Serialize};

use super::Agent;
use crate::{
    host::{control, lock::InstanceLock},
    names::NamesRequest,
    release::ReleaseRequest,
    set::{SetReply, SetRequest},
    upgrade::UpgradeRequest,
};

/// Each is told by its keys.
#[derive(Deserialize)]
#[serde(untagged)]
enum Asked {
    Set(SetRequest),
    Upgrade(UpgradeRequest),
    Release(ReleaseRequest),
    Names(NamesRequest),
}

/// What an answer changed in how the agent goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Something,
    Nothing,
}

impl Agent {
    /// Answers a verb, or has it answered by a task of its own, which may take its time.
    pub(super) async fn answer(&mut self, request: control::Request, lock: &InstanceLock) -> Changed {
        match serde_json::from_slice(&request.text) {
            Ok(Asked::Set(set)) => {
                let reply = self.set(set).await;
                tell(request, &reply);
                return Changed::Something;
            }
            Ok(Asked::Upgrade(upgrade)) => self.begin_upgrade(upgrade, request, lock),
            Ok(Asked::Release(release)) => self.services.begin_release(&release, request),
            Ok(Asked::Names(names)) => self.services.begin_names(&names, request),
            Err(_) => {
                let why = "the agent is of another version of nsid; restart it".to_owned();
                tell(request, &SetReply::Refused(why));
            }
        }
        Changed::Nothing
    }
}

/// Tells who asked, unless nobody waits any more.
pub(super) fn tell(control::Request { answer, .. }: control::Request, reply: &impl Serialize) {
    let _ = answer.send(serde_json::to_vec(reply).unwrap_or_default());
}
