//! What a claimant is doing, for `nsid status` and the log.

use std::fmt;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{ClaimError, Grant, Unreachable};

/// Where a service's name stands: the claim's part of `nsid status --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimStatus {
    /// The store and what it is asked for.
    pub store: StoreStatus,
    /// The place in the pool; none without a pool.
    pub slot: Option<u32>,
    /// The fencing token.
    pub token: Option<u64>,
}

/// A store, and what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// Which one.
    pub kind: Kind,
    /// What for.
    pub state: State,
    /// Why it is [unreachable](State::Unreachable), for people.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The kinds of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A name given by hand.
    Static,
    /// The slots of a directory on this host.
    Local,
    /// The slots of a pool in etcd.
    Etcd,
    /// The slots of a pool in ZooKeeper.
    #[serde(rename = "zookeeper")]
    ZooKeeper,
    /// The slots of a pool that some of the nodes are witnesses of.
    Peers,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static => "static",
            Self::Local => "local",
            Self::Etcd => "etcd",
            Self::ZooKeeper => "zookeeper",
            Self::Peers => "peers",
        })
    }
}

/// What a claimant is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Asking for a slot.
    Claiming,
    /// Every slot is taken: in line for the next free one.
    Waiting,
    /// Has a slot.
    Held,
    /// The store does not answer. A slot that was held still is, until its deadline.
    Unreachable,
    /// Gave its slot back, and asks for none; after `nsid release`, soon for another.
    Released,
}

/// The way by which a claim reports. Each change of state is logged, once.
#[derive(Debug)]
pub struct Progress {
    label: String,
    status: watch::Sender<ClaimStatus>,
}

impl Progress {
    /// Reports on one service's claim, called `label` in the log.
    pub fn new(kind: Kind, label: impl Into<String>) -> (Self, watch::Receiver<ClaimStatus>) {
        let store = StoreStatus { kind, state: State::Claiming, reason: None };
        let (status, receiver) = watch::channel(ClaimStatus { store, slot: None, token: None });
        (Self { label: label.into(), status }, receiver)
    }

    /// The store answers, and is being asked for a slot.
    pub fn claiming(&self) {
        if self.turn(State::Claiming, |_| None) {
            log::debug!("{self}: asking for a slot");
        }
    }

    /// The store answers, and every slot is taken.
    pub fn waiting(&self) {
        if self.turn(State::Waiting, |_| None) {
            log::info!("{self}: every slot is taken; waiting in line");
        }
    }

    /// The store does not answer, and is asked again.
    pub fn unreachable(&self, reason: &Unreachable) {
        if self.turn_for(Some(reason.to_string()), State::Unreachable, |held| held) {
            log::warn!("{self}: the store does not answer ({reason}); asking it again until it does");
        } else {
            log::debug!("{self}: {reason}");
        }
    }

    /// The store will not let this claimant have a slot any more, which it did before, and is asked again.
    pub(crate) fn refused(&self, why: &ClaimError) {
        let reason = why.to_string();
        let is_told = self.status.borrow().store.reason.as_ref() == Some(&reason);
        self.turn_for(Some(reason), State::Unreachable, |_| None);
        if !is_told {
            log::error!("{self}: {why}; asking for a slot again until that is mended");
        }
    }

    /// The claim was granted; a name given by hand needs no grant.
    pub(crate) fn held(&self, grant: Option<&Grant>) {
        let granted = grant.map(|grant| (grant.slot, grant.token));
        if self.turn(State::Held, |_| granted)
            && let Some((slot, token)) = granted
        {
            log::info!("{self}: slot {slot} is ours, token {token}");
        }
    }

    /// The lease was renewed.
    pub(crate) fn renewed(&self) {
        if self.turn(State::Held, |held| held) {
            log::info!("{self}: the store answers again, and the slot is still ours");
        }
    }

    /// The lease is over, and a slot is asked for again. A store that does not answer still does not: that was told.
    pub(crate) fn lapsed(&self) {
        let StoreStatus { state, reason, .. } = self.status.borrow().store.clone();
        let state = if state == State::Unreachable { state } else { State::Claiming };
        self.turn_for(reason, state, |_| None);
    }

    /// The slot was given back.
    pub(crate) fn released(&self) {
        self.turn(State::Released, |_| None);
    }

    /// Goes over to `state` with what is held then; whether that is another state than before.
    fn turn(&self, state: State, held: impl FnOnce(Option<(u32, u64)>) -> Option<(u32, u64)>) -> bool {
        self.turn_for(None, state, held)
    }

    /// For that reason.
    fn turn_for(
        &self,
        reason: Option<String>,
        state: State,
        held: impl FnOnce(Option<(u32, u64)>) -> Option<(u32, u64)>,
    ) -> bool {
        let mut turned = false;
        self.status.send_if_modified(|status| {
            let (slot, token) = held(status.slot.zip(status.token)).unzip();
            let now =
                ClaimStatus { store: StoreStatus { kind: status.store.kind, state, reason }, slot, token };
            turned = status.store.state != state;
            let is_other = *status != now;
            *status = now;
            is_other
        });
        turned
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_spelt_as_documented() {
        let status = ClaimStatus {
            store: StoreStatus {
                kind: Kind::Static,
                state: State::Unreachable,
                reason: Some("gone".to_owned()),
            },
            slot: None,
            token: Some(7),
        };
        let json =
            r#"{"store":{"kind":"static","state":"unreachable","reason":"gone"},"slot":null,"token":7}"#;
        assert_eq!(serde_json::to_string(&status).unwrap(), json);
        assert_eq!(serde_json::from_str::<ClaimStatus>(json).unwrap(), status);
    }

    #[test]
    fn a_store_that_falls_silent_takes_no_slot_away_but_a_new_claim_does() {
        let (progress, status) = Progress::new(Kind::Local, "pool");
        progress.turn(State::Held, |_| Some((3, 9)));
        progress.unreachable(&Unreachable::new("gone"));
        assert_eq!((status.borrow().store.state, status.borrow().slot), (State::Unreachable, Some(3)));
        assert_eq!(status.borrow().store.reason.as_deref(), Some("gone"));
        progress.renewed();
        assert_eq!(status.borrow().store.reason, None);
        assert_eq!((status.borrow().store.state, status.borrow().token), (State::Held, Some(9)));
        progress.claiming();
        assert_eq!((status.borrow().store.state, status.borrow().slot), (State::Claiming, None));
    }
}
