//! What stands in a pool's keys.

use serde::{Deserialize, Serialize};

use crate::store::{Holder, NodeId, Nonce};

/// The version of how a pool is kept in etcd: which keys there are, and what is in them.
pub(super) const FORMAT: u32 = 2;

/// What stands in the key that says that somebody may have left, once all who had a slot by their arrivals have put their
/// records, or have been told since that they have it no more.
pub(super) const LONG_AGO: &str = "long ago";

/// What stands in a slot: who took it last.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct SlotRecord {
    #[serde(flatten)]
    pub(super) holder: Holder,
    /// Its holder gave it back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) released: bool,
    /// The revision of the arrival by which its holder had it before it put this: the fencing token then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) arrival: Option<i64>,
}

/// What stands in a ticket.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct TicketRecord {
    pub(super) node: NodeId,
    /// The slot that it has.
    pub(super) slot: Option<u32>,
    /// The revision that it counted departures from, and that of the last, if the slot is that one's: who is behind it in
    /// line counts on from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<(i64, i64)>,
    /// Who may have the slot of its arrival's number, and has put no record yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unsettled: Option<Holder>,
}

/// That nobody of all who had ever come had left at a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Whole {
    pub(super) revision: i64,
    /// How many had arrived and taken slots by then: each has made a revision.
    pub(super) changes: i64,
}

impl Whole {
    /// Whether nobody can have left since, by a revision at which there had been so many changes: there was no other
    /// revision, and so no lease ended.
    pub(super) fn holds_at(self, revision: i64, changes: i64) -> bool {
        revision - self.revision == changes - self.changes
    }
}

impl SlotRecord {
    /// Of a slot that is being taken.
    pub(super) fn taken(holder: Holder) -> Self {
        Self { holder, released: false, arrival: None }
    }

    /// Of a slot that its holder has by its arrival at that revision.
    pub(super) fn had_since(holder: Holder, arrival: i64) -> Self {
        Self { arrival: Some(arrival), ..Self::taken(holder) }
    }

    /// Of the same slot, given back.
    pub(super) fn given_back(&self) -> Self {
        Self { released: true, ..self.clone() }
    }

    /// Whether its holder has that nonce, and has not given it back.
    pub(super) fn is_taken_by(&self, nonce: Nonce) -> bool {
        !self.released && self.holder.nonce == nonce
    }

    /// From etcd; nothing if it is not what [`to_json`](Self::to_json) writes. What a later version adds is ignored.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// As it stands in etcd.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and text are JSON")
    }
}

impl TicketRecord {
    /// Of who arrives.
    pub(super) fn of_arrival(who: &Holder) -> Self {
        Self { unsettled: Some(who.clone()), ..Self::in_line(&who.node) }
    }

    /// Of who waits.
    pub(super) fn in_line(node: &NodeId) -> Self {
        Self { node: node.clone(), slot: None, after: None, unsettled: None }
    }

    /// Of who has that slot, and how it came to it in line, if it did.
    pub(super) fn of_slot(node: &NodeId, slot: u32, after: Option<(i64, i64)>) -> Self {
        Self { slot: Some(slot), after, ..Self::in_line(node) }
    }

    /// From etcd; nothing if it is not what [`to_json`](Self::to_json) writes.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// As it stands in etcd.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and text are JSON")
    }
}

/// As it stands in etcd; nothing: when the pool was made.
pub(super) fn whole_json(whole: Option<Whole>) -> String {
    serde_json::to_string(&whole).expect("numbers are JSON")
}

/// From etcd; an error if it is not what [`whole_json`] writes.
pub(super) fn read_whole(json: &[u8]) -> serde_json::Result<Option<Whole>> {
    serde_json::from_slice(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_that_is_no_change_of_the_pool_may_be_a_departure() {
        let whole = Whole { revision: 10, changes: 3 };
        assert!(whole.holds_at(12, 5));
        assert!(!whole.holds_at(13, 5));
        // The keys that count were deleted.
        assert!(!whole.holds_at(12, 1));
    }

    #[test]
    fn a_slot_and_a_ticket_are_kept_as_documented_and_what_others_add_is_ignored() {
        let nonce: Nonce = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let node = NodeId::of("machine", "default", 0);
        let holder = Holder { nonce, node: node.clone(), host: "ns1".to_owned(), since: 7, ttl: 10_000 };
        let json = format!(r#"{{"nonce":"{nonce}","node":"{node}","host":"ns1","since":7,"ttl":10000}}"#);
        let taken = SlotRecord::taken(holder);
        assert_eq!(taken.to_json(), json);
        let given_back = json.replace('}', r#","released":true}"#);
        assert_eq!(taken.given_back().to_json(), given_back);
        let by_arrival = SlotRecord::had_since(taken.holder.clone(), 5);
        let since = json.replace('}', r#","arrival":5}"#);
        assert_eq!(by_arrival.to_json(), since);
        for (json, record) in [(json, taken.clone()), (given_back, taken.given_back()), (since, by_arrival)] {
            assert_eq!(SlotRecord::read(json.replace('{', r#"{"zone":"b","#).as_bytes()), Some(record));
        }
        assert_eq!(SlotRecord::read(b"0123456789abcdef0123456789abcdef"), None);
        for slot in [None, Some(3)] {
            let told = slot.map_or("null".to_owned(), |slot: u32| slot.to_string());
            let ticket = slot.map_or_else(
                || TicketRecord::in_line(&node),
                |slot| TicketRecord::of_slot(&node, slot, None),
            );
            assert_eq!(ticket.to_json(), format!(r#"{{"node":"{node}","slot":{told}}}"#));
            assert_eq!(TicketRecord::read(ticket.to_json().as_bytes()).unwrap().slot, slot);
        }
        let ticket = TicketRecord::of_slot(&node, 3, Some((5, 7)));
        assert_eq!(ticket.to_json(), format!(r#"{{"node":"{node}","slot":3,"after":[5,7]}}"#));
        let ticket = TicketRecord::of_arrival(&taken.holder);
        assert_eq!(
            ticket.to_json(),
            format!(r#"{{"node":"{node}","slot":null,"unsettled":{}}}"#, taken.to_json())
        );
    }
}
