//! `ZooKeeper`, as [`crate::zookeeper`] runs it.

use std::time::Duration;

use super::{Member, Role, Taken, converse};
use crate::{
    netns::Namespace,
    star::Node,
    zookeeper::{Mode, ZooKeeper},
};

/// Of a lease, a tick is this part: as README has it for the shortest lease that no server's death takes away, 0.5 s of 5 s.
const TICKS: u32 = 10;

/// Starts one at each of these nodes, for leases of `ttl`.
pub(super) fn start(nodes: &[Node], ttl: Duration) -> Vec<Box<dyn Member>> {
    let places: Vec<_> = nodes.iter().map(|node| (&node.namespace, node.addresses.v4.into())).collect();
    let members = ZooKeeper::start_ensemble(&places, ttl / TICKS).into_iter();
    members.map(|member| Box::new(member) as Box<dyn Member>).collect()
}

impl Member for ZooKeeper {
    fn start(&mut self, namespace: &Namespace) {
        self.run(namespace);
    }

    fn kill(&mut self) {
        self.kill();
    }

    fn freeze(&self) {
        self.freeze();
    }

    fn thaw(&self) {
        self.thaw();
    }

    fn role(&self, hub: &Namespace) -> Option<Role> {
        match self.mode(hub)? {
            Mode::Leader => Some(Role::Leader),
            Mode::Follower => Some(Role::Follower),
            Mode::Standalone => None,
        }
    }

    /// There is no word for it: it is started anew, and by then another one leads.
    fn step_down(&mut self, _: &Namespace, namespace: &Namespace) -> Option<()> {
        self.run(namespace);
        Some(())
    }

    /// A slot is all that its holder has.
    fn take_away(&self, hub: &Namespace, pool: &str, slot: u32, _: Taken) -> Option<()> {
        self.delete(hub, &format!("/nsid/{pool}/slots/{slot}")).then_some(())
    }

    fn version(&self, hub: &Namespace) -> Option<String> {
        // `Zookeeper version: 3.8.0-0123abc, built on ...`
        let answer = converse(hub, self.endpoint(), "srvr")?;
        let version = answer.lines().next()?.strip_prefix("Zookeeper version: ")?;
        version.split(['-', ',']).next().map(str::to_owned)
    }
}
