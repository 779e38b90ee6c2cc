//! Fills the clients' table: who gets an answer made in the kernel.

use std::collections::BTreeMap;

use aya::maps::{MapError, lpm_trie::Key};
use ipnet::IpNet;
use nsid_common::maps::{Address, CLIENT_ANSWERED, CLIENT_PASSED};
use thiserror::Error;

use super::maps::Maps;
use crate::host::clients::Verdict;

/// Why the table cannot be filled.
#[derive(Debug, Error)]
#[error("cannot write the table of the clients that the kernel answers: {0}; --answer off does without it")]
pub struct ClientsError(#[from] MapError);

impl Maps {
    /// Makes the table this one: additions first, so that nobody is left out meanwhile who is in both.
    pub fn set_clients(&self, table: &BTreeMap<IpNet, Verdict>) -> Result<(), ClientsError> {
        let wanted: BTreeMap<(u32, [u8; 16]), u32> =
            table.iter().filter_map(|(net, verdict)| entry(*net, *verdict)).collect();
        let mut clients = self.clients.borrow_mut();
        let found: Vec<_> = clients.keys().collect::<Result<_, _>>()?;
        for ((prefix_len, octets), value) in &wanted {
            clients.insert(&Key::new(*prefix_len, *octets), value, 0)?;
        }
        for key in found {
            if !wanted.contains_key(&(key.prefix_len(), key.data())) {
                clients.remove(&key)?;
            }
        }
        Ok(())
    }
}

/// As the kernel finds it. IPv4 is mapped into IPv6 there; what IPv6 says of mapped addresses has no entry, since the
/// programs refuse them by themselves.
fn entry(net: IpNet, verdict: Verdict) -> Option<((u32, [u8; 16]), u32)> {
    let value = match verdict {
        Verdict::Answer => CLIENT_ANSWERED,
        Verdict::Pass => CLIENT_PASSED,
    };
    let (prefix_len, address) = match net {
        IpNet::V4(net) => (96 + u32::from(net.prefix_len()), Address::v4(net.network().octets())),
        IpNet::V6(net) => (u32::from(net.prefix_len()), Address::v6(net.network().octets())),
    };
    let mapped = matches!(net, IpNet::V6(_)) && address.is_v4();
    (!mapped).then_some(((prefix_len, address.octets()), value))
}
