//! What stands in a slot: who has it, or had it last.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Incarnation, NodeId, Nonce};
use crate::clock;

/// Who has a slot. What a later version of nsid adds is ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Which claimant.
    pub nonce: Nonce,
    /// Which node.
    pub node: NodeId,
    /// The name of its host, as it told it.
    pub host: String,
    /// Since when, by its host's clock: in milliseconds since 1970.
    pub since: u64,
    /// For how long it asks at a time: milliseconds.
    pub ttl: u64,
}

impl Holder {
    /// Who claims, from now on.
    pub fn new(incarnation: &Incarnation, ttl: Duration) -> Self {
        let Incarnation { nonce, node, host, .. } = incarnation.clone();
        let ttl = ttl.as_millis().try_into().unwrap_or(u64::MAX);
        Self { nonce, node, host, since: clock::millis_since_1970(), ttl }
    }

    /// As it stands in a store.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and text are JSON")
    }

    /// From a store; nothing if it is not what [`to_json`](Holder::to_json) writes.
    pub fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_kept_as_documented_and_what_others_add_is_ignored() {
        let nonce: Nonce = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let node = NodeId::of("machine", "default", 0);
        let holder = Holder { nonce, node: node.clone(), host: "ns1".to_owned(), since: 7, ttl: 10_000 };
        let json = format!(r#"{{"nonce":"{nonce}","node":"{node}","host":"ns1","since":7,"ttl":10000}}"#);
        assert_eq!(holder.to_json(), json);
        let later = json.replace('{', r#"{"zone":"b","#);
        assert_eq!(Holder::read(later.as_bytes()), Some(holder));
        assert_eq!(Holder::read(b"0123456789abcdef0123456789abcdef"), None);
    }
}
