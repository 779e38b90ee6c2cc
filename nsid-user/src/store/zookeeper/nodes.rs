//! The nodes of a pool, and what their names say.
//!
//! Below `PATH/POOL/`, where POOL is the pattern in lower case:
//!
//! | node | data | there until |
//! | --- | --- | --- |
//! | `agreement` | pattern, limit and format, as JSON; made by the first claimant, with all else | removed by hand |
//! | `line/NONCE-LAST-NUMBER` | nothing; in line is who has one, in the order of the numbers | its slot is given, or the session ends |
//! | `slots/SLOT` | who has it, as JSON; the change that made the node is the fencing token | given back, or the session ends |
//! | `held/SLOT` | nothing: while it is there, a slot whose node somebody removed is not free | the same |
//! | `last/NODE` | the slot that a node had last, and is given again if it is free: LAST of its ticket | removed by hand |
//!
//! A slot is made in one go with the removal of its claimant's ticket. So while as many claimants are in line or have a
//! slot as ever came, none has left, and a ticket's number is its claimant's slot: nobody has to look at the pool.

use super::line::Ticket;
use super::protocol::Stat;
use crate::store::{Agreement, Incarnation, Nonce};

/// The nodes that one claimant has to do with.
#[derive(Clone, Debug)]
pub(super) struct Nodes {
    /// The pool's.
    pub(super) root: String,
    /// What is in the way to it, the outermost first.
    pub(super) above: Vec<String>,
    pub(super) agreement: String,
    pub(super) line: String,
    pub(super) slots: String,
    pub(super) held: String,
    lasts: String,
    nonce: Nonce,
    /// The node's own in `lasts`.
    pub(super) last: String,
}

impl Nodes {
    /// Of the claimant `incarnation`, below the node `path`.
    pub(super) fn new(path: &str, agreement: &Agreement, incarnation: &Incarnation) -> Self {
        let root = format!("{path}/{}", agreement.pool());
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        Self {
            above: ends.map(|end| path[..end].to_owned()).collect(),
            agreement: agreement_of(&root),
            line: format!("{root}/line"),
            slots: format!("{root}/slots"),
            held: format!("{root}/held"),
            last: format!("{root}/last/{}", incarnation.node),
            lasts: format!("{root}/last"),
            nonce: incarnation.nonce,
            root,
        }
    }

    /// What a pool has before it has claimants.
    pub(super) fn to_be_made(&self) -> impl Iterator<Item = &String> {
        self.above.iter().chain([&self.root, &self.line, &self.slots, &self.held, &self.lasts])
    }

    /// What ZooKeeper puts the number of a ticket behind.
    pub(super) fn new_ticket(&self, last: Option<u32>) -> String {
        let last = last.map_or(String::new(), |slot| slot.to_string());
        format!("{}/{}-{last}-", self.line, self.nonce)
    }

    /// A slot's.
    pub(super) fn slot(&self, slot: u32) -> String {
        format!("{}/{slot}", self.slots)
    }

    /// What keeps a slot from being free without its node.
    pub(super) fn held(&self, slot: u32) -> String {
        format!("{}/{slot}", self.held)
    }

    /// The slot that who has the node at this path has.
    pub(super) fn slot_of(&self, path: &str) -> Option<u32> {
        let (parent, name) = path.rsplit_once('/')?;
        if parent == self.slots || parent == self.held { slot_called(name) } else { None }
    }

    /// The ticket that a path is of.
    pub(super) fn ticket_at(&self, path: &str) -> Option<Ticket> {
        Ticket::called(path.strip_prefix(&self.line)?.strip_prefix('/')?)
    }
}

/// What the claimants of the pool at that path are given alike.
pub(super) fn agreement_of(root: &str) -> String {
    format!("{root}/agreement")
}

/// The slot whose node is called so; `01` is somebody's, but not slot 1.
pub(super) fn slot_called(name: &str) -> Option<u32> {
    name.parse().ok().filter(|slot: &u32| slot.to_string() == name)
}

/// Whether everybody is still there who ever had a ticket: in line, or with a slot.
pub(super) fn nobody_left(line: &Stat, slots: &Stat) -> bool {
    line.children_ever() == i64::from(line.children) + i64::from(slots.children)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::name::Pattern;
    use crate::store::NodeId;

    fn nodes(path: &str) -> Nodes {
        let pattern = Pattern::parse("Worker{id}.test", NonZeroU32::new(4).unwrap()).unwrap();
        let node = NodeId::of("host", "default", 0);
        let incarnation = Incarnation::new(Nonce::random().unwrap(), node, "host".to_owned());
        Nodes::new(path, &Agreement::new(&pattern), &incarnation)
    }

    #[test]
    fn a_pool_is_below_its_path_and_the_way_to_it_is_made_from_outside_in() {
        let nodes = nodes("/a/b");
        let made: Vec<&str> = nodes.to_be_made().map(String::as_str).collect();
        let pool = "/a/b/worker{id}.test";
        let inside = ["", "/line", "/slots", "/held", "/last"].map(|inside| format!("{pool}{inside}"));
        assert_eq!(made[..2], ["/a", "/a/b"]);
        assert_eq!(made[2..], inside);
    }

    #[test]
    fn a_path_tells_what_it_is_and_what_only_looks_like_it_is_nothing() {
        let nodes = nodes("/nsid");
        for path in [nodes.slot(7), nodes.held(7)] {
            assert_eq!(nodes.slot_of(&path), Some(7));
        }
        for name in ["01", "+1", "-1", "99999999999", "", "1/2", "x"] {
            assert_eq!(nodes.slot_of(&format!("{}/{name}", nodes.slots)), None, "{name}");
        }
        assert_eq!(nodes.slot_of("/nsid/worker{id}.test/slots1"), None);
        let ticket = format!("{}0000000012", nodes.new_ticket(Some(3)));
        let Some(Ticket { number: 12, last: Some(3), .. }) = nodes.ticket_at(&ticket) else {
            panic!("{ticket}")
        };
    }
}
