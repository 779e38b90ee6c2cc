//! Who claims: a service of an agent, from one boot of its host to the next.

use std::{fmt, fs, io, path::PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use rustix::system::uname;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{Nonce, NonceError};
use crate::hex::digits;
use crate::host::instance::Instance;

/// Where the host's identity is (machine-id(5)): made when it was installed, and the same after a reboot.
const MACHINE_ID: &str = "/etc/machine-id";

/// Who claims, as a store knows it: a nonce, which lasts until the host reboots, and a node, which lasts longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incarnation {
    /// Whose a slot is. Another one after a reboot, so that two hosts made of one image are two claimants.
    pub nonce: Nonce,
    /// Whose a slot was, before a reboot.
    pub node: NodeId,
    /// The host's name, for people.
    pub host: String,
    /// Where the agent's nonce is kept, and which of its services this is.
    kept: Option<(PathBuf, u32)>,
}

impl Incarnation {
    /// One whose nonce is kept nowhere.
    pub fn new(nonce: Nonce, node: NodeId, host: String) -> Self {
        Self { nonce, node, host, kept: None }
    }

    /// That of a service of an instance on this host: `nonce` is the one that `instance` keeps.
    pub fn here(nonce: Nonce, instance: &Instance, service: u32) -> Self {
        let nonce = nonce.of_service(service);
        let node = match machine_id() {
            Ok(machine) => NodeId::of(&machine, instance.name(), service),
            // A container without one: who cannot be recognized gets a slot like a newcomer.
            Err(error) => {
                log::debug!("{MACHINE_ID}: {error}; after a reboot this node is taken for a new one");
                NodeId(nonce.to_string())
            }
        };
        let host = uname().nodename().to_string_lossy().into_owned();
        Self { nonce, node, host, kept: Some((instance.nonce_path(), service)) }
    }

    /// A file for what else this claimant has to keep, if its nonce is kept.
    pub(super) fn beside_nonce(&self, what: &str) -> Option<PathBuf> {
        let (path, service) = self.kept.as_ref()?;
        Some(path.with_file_name(format!("{what}-{service}")))
    }

    /// Goes on under another nonce, now and after a crash: somebody else uses this one.
    pub(super) fn draw_anew(&mut self) -> Result<(), NonceError> {
        let nonce = Nonce::random()?;
        self.nonce = nonce;
        if let Some((path, service)) = &self.kept {
            self.nonce = nonce.of_service(*service);
            nonce.keep_in(path)?;
        }
        Ok(())
    }
}

fn machine_id() -> io::Result<String> {
    let id = fs::read_to_string(MACHINE_ID)?;
    let id = id.trim_end();
    if id.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(id.to_owned()) }
}

/// Which node, over reboots: 32 hex digits, made from the host's identity, which must not be shown itself (machine-id(5)).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NodeId(String);

impl NodeId {
    /// That of one service of an instance on the host with that identity.
    pub fn of(machine: &str, instance: &str, service: u32) -> Self {
        const BYTES: usize = 16;
        let mut hmac =
            Hmac::<Sha256>::new_from_slice(machine.as_bytes()).expect("HMAC takes keys of any length");
        hmac.update(format!("nsid/{instance}/{service}").as_bytes());
        Self(digits(&hmac.finalize().into_bytes()[..BYTES]))
    }

    /// As it is sent: its number, and no node's if it is none.
    pub(super) fn to_bytes(&self) -> [u8; 16] {
        u128::from_str_radix(&self.0, 16).unwrap_or_default().to_be_bytes()
    }

    /// From what [`to_bytes`](NodeId::to_bytes) makes of it.
    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(digits(&bytes))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_that_is_drawn_anew_is_the_one_that_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nonce");
        let nonce = Nonce::load_or_create(&path).unwrap();
        let node = NodeId::of("machine", "default", 1);
        let kept = Some((path.clone(), 1));
        let mut incarnation = Incarnation { nonce: nonce.of_service(1), node, host: String::new(), kept };
        incarnation.draw_anew().unwrap();
        let next = Nonce::load_or_create(&path).unwrap();
        assert_ne!(next, nonce);
        assert_eq!(incarnation.nonce, next.of_service(1));
    }

    /// `printf nsid/default/0 | openssl dgst -sha256 -mac HMAC -macopt key:$(cat /etc/machine-id) -r | cut -c-32`
    #[test]
    fn a_node_is_known_by_what_openssl_makes_of_its_machine_id() {
        let machine = "0123456789abcdef0123456789abcdef";
        assert_eq!(NodeId::of(machine, "default", 0).to_string(), "989925599a681b4dc18cfdec42c21ca8");
        for (instance, service) in [("default", 1), ("other", 0)] {
            assert_ne!(NodeId::of(machine, instance, service), NodeId::of(machine, "default", 0));
        }
    }
}
