//! The lines on stdout: `ready: NAME` once a name is on the wire, `lost: NAME` when it no longer is.

use std::collections::HashSet;

use crate::{claim::Event, lines, name::NodeName};

/// Names are on the wire while they are held and an interface is attached.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    held: HashSet<NodeName>,
    attached: bool,
}

impl Announcer {
    /// A claim was granted or lost.
    pub(super) fn claim(&mut self, event: Event) {
        match event {
            Event::Ready(name) => {
                if self.attached {
                    say("ready", &name);
                }
                self.held.insert(name);
            }
            Event::Lost(name) => {
                if self.attached {
                    say("lost", &name);
                }
                self.held.remove(&name);
            }
        }
    }

    /// There are interfaces now, or there are none.
    pub(super) fn interfaces(&mut self, attached: bool) {
        if self.attached != attached {
            self.attached = attached;
            for name in &self.held {
                say(if attached { "ready" } else { "lost" }, name);
            }
        }
    }
}

fn say(what: &str, name: &NodeName) {
    if !lines::STDOUT.say(format!("{what}: {name}\n")) {
        log::warn!("nobody reads stdout: `{what}: {name}` is dropped");
    }
}
