//! etcd, as [`crate::etcd`] runs it.

use std::net::SocketAddr;

use serde_json::Value;

use super::{Member, Role, Taken, converse};
use crate::{etcd::Etcd, netns::Namespace, star::Node};

/// One of a cluster.
#[derive(Debug)]
struct OneOf {
    etcd: Etcd,
    /// Where another one is.
    next: SocketAddr,
}

/// Starts one at each of these nodes.
pub(super) fn start(nodes: &[Node]) -> Vec<Box<dyn Member>> {
    let places: Vec<_> = nodes.iter().map(|node| (&node.namespace, node.addresses.v4.into())).collect();
    let members = Etcd::begin_cluster(&places);
    let next: Vec<SocketAddr> =
        members.iter().cycle().skip(1).map(Etcd::endpoint).take(nodes.len()).collect();
    let members = members.into_iter().zip(next);
    members.map(|(etcd, next)| Box::new(OneOf { etcd, next }) as Box<dyn Member>).collect()
}

impl Member for OneOf {
    fn start(&mut self, namespace: &Namespace) {
        self.etcd.run(namespace);
    }

    fn kill(&mut self) {
        self.etcd.kill();
    }

    fn freeze(&self) {
        self.etcd.freeze();
    }

    fn thaw(&self) {
        self.etcd.thaw();
    }

    /// One that is cut off takes itself for the leader for up to an election time-out.
    fn role(&self, hub: &Namespace) -> Option<Role> {
        let status = status(hub, self.etcd.endpoint())?;
        match status["leader"].as_str() {
            // JSON of proto3 leaves a zero out.
            None | Some("0") => None,
            leader if leader == status["header"]["member_id"].as_str() => Some(Role::Leader),
            Some(_) => Some(Role::Follower),
        }
    }

    fn step_down(&mut self, hub: &Namespace, _: &Namespace) -> Option<()> {
        let id: u64 = status(hub, self.next)?["header"]["member_id"].as_str()?.parse().ok()?;
        self.etcd.ctl(hub, &["move-leader", &format!("{id:x}")]).map(|_| ())
    }

    fn take_away(&self, hub: &Namespace, pool: &str, slot: u32, what: Taken) -> Option<()> {
        let key = &format!("/nsid/{pool}/slots/{slot}");
        let ctl = |arguments: &[&str]| self.etcd.ctl(hub, arguments);
        match what {
            Taken::Slot => (ctl(&["del", key])?.trim() == "1").then_some(()),
            Taken::Lease => {
                let json = |text: String| serde_json::from_str::<Value>(&text).ok();
                let holder = json(ctl(&["get", "--print-value-only", key])?)?;
                let ticket = format!("/nsid/{pool}/tickets/{}", holder["nonce"].as_str()?);
                let ticket = json(ctl(&["get", "-w", "json", &ticket])?)?;
                let lease = ticket["kvs"][0]["lease"].as_u64()?;
                ctl(&["lease", "revoke", &format!("{lease:x}")]).map(|_| ())
            }
        }
    }

    fn version(&self, hub: &Namespace) -> Option<String> {
        status(hub, self.etcd.endpoint())?["version"].as_str().map(str::to_owned)
    }
}

/// What a member says of itself, over its gateway (`Maintenance.Status`, etcdserver/etcdserverpb/rpc.proto).
fn status(hub: &Namespace, endpoint: SocketAddr) -> Option<Value> {
    let request = "POST /v3/maintenance/status HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}";
    let answer = converse(hub, endpoint, request)?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}
