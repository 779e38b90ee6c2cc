//! The witnesses of `peers://`. None of them leads; the first one is taken for who does.

use std::{path::Path, time::Duration};

use super::{Member, Role, Taken};
use crate::{agent::nsid, netns::Namespace, star::Node, witness::Witness};

/// Starts one at each of these nodes.
pub(super) fn start(nodes: &[Node], address: &str, binary: &Path, ttl: Duration) -> Vec<Box<dyn Member>> {
    let member = |(index, witness)| Box::new(Peer { witness, is_first: index == 0 }) as Box<dyn Member>;
    Witness::start_at(nodes, address, binary, ttl).into_iter().enumerate().map(member).collect()
}

/// One of them.
#[derive(Debug)]
struct Peer {
    witness: Witness,
    is_first: bool,
}

impl Member for Peer {
    fn start(&mut self, namespace: &Namespace) {
        self.witness.start(namespace);
    }

    fn kill(&mut self) {
        self.witness.kill();
    }

    fn freeze(&self) {
        self.witness.freeze();
    }

    fn thaw(&self) {
        self.witness.thaw();
    }

    fn role(&self, _: &Namespace) -> Option<Role> {
        self.witness.serves().then_some(if self.is_first { Role::Leader } else { Role::Follower })
    }

    fn step_down(&mut self, _: &Namespace, _: &Namespace) -> Option<()> {
        None
    }

    fn take_away(&self, _: &Namespace, _: &str, _: u32, _: Taken) -> Option<()> {
        None
    }

    fn version(&self, _: &Namespace) -> Option<String> {
        let version = String::from_utf8(nsid(&["--version"]).stdout).ok()?;
        Some(version.trim().strip_prefix("nsid ").unwrap_or(version.trim()).to_owned())
    }
}
