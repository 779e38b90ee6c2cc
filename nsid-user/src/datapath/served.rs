//! Fills the served set; see [`nsid_common::served`].

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    thread,
};

use nsid_common::{
    maps::Address,
    served::{Endpoint, MAX_ENDPOINTS, PLACES, Table, tag},
};
use thiserror::Error;

use super::maps::{Maps, random};
use crate::clock::jiffy;

/// Why a set of endpoints cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Too many.
    #[error(
        "{found} addresses and ports to serve, but one instance serves at most {MAX_ENDPOINTS}: name those that matter with --listen"
    )]
    TooMany {
        /// How many.
        found: usize,
    },
}

/// Whether so many endpoints can be served.
pub fn fits(endpoints: &BTreeMap<(IpAddr, u16), u32>) -> Result<(), ServeError> {
    let found = endpoints.len();
    if found > MAX_ENDPOINTS { Err(ServeError::TooMany { found }) } else { Ok(()) }
}

impl Maps {
    /// Serves these endpoints, and none other, from now on.
    pub fn serve(&self, endpoints: &BTreeMap<(IpAddr, u16), u32>) -> Result<(), ServeError> {
        fits(endpoints)?;
        // By what the programs see: an IPv4 address and the same one mapped into IPv6 are one endpoint.
        let endpoints: BTreeMap<_, _> =
            endpoints.iter().map(|((ip, port), service)| (endpoint(*ip, *port), *service)).collect();
        let endpoints: Vec<_> = endpoints.into_iter().collect();
        let control = self.control();
        let table = without_collisions(Table::from_word(control.served.get()), &endpoints);
        // A packet that chose this table before the last change is done with it by now.
        thread::sleep(jiffy());
        self.clear(table);
        for (endpoint, service) in &endpoints {
            let place = &self.served[table.place(endpoint) as usize];
            place.high.set(endpoint.address.high);
            place.low.set(endpoint.address.low);
            place.tag.set(tag(endpoint.port, *service));
        }
        control.served.set(table.word());
        self.set_ports(&endpoints);
        Ok(())
    }

    fn clear(&self, table: Table) {
        let first = table.first_place() as usize;
        for place in &self.served[first..first + PLACES as usize] {
            place.tag.set(0);
        }
    }

    fn set_ports(&self, endpoints: &[(Endpoint, u32)]) {
        let ports: BTreeSet<u16> =
            endpoints.iter().map(|(endpoint, _)| u16::from_be_bytes(endpoint.port)).collect();
        for (index, bits) in (0_u16..).zip(self.ports.iter()) {
            let first = index * 64;
            bits.set(ports.range(first..=first + 63).fold(0, |bits, port| bits | 1 << (port - first)));
        }
    }
}

/// An endpoint as the programs look it up.
pub(super) fn endpoint(ip: IpAddr, port: u16) -> Endpoint {
    let address = match ip {
        IpAddr::V4(ip) => Address::v4(ip.octets()),
        IpAddr::V6(ip) => Address::v6(ip.octets()),
    };
    Endpoint { address, port: port.to_be_bytes() }
}

/// The table that is not in use, with a seed under which no two endpoints have one place.
fn without_collisions(used: Table, endpoints: &[(Endpoint, u32)]) -> Table {
    loop {
        let table = used.other(random());
        let mut places = BTreeSet::new();
        if endpoints.iter().all(|(endpoint, _)| places.insert(table.place(endpoint))) {
            return table;
        }
    }
}
