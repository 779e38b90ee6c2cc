//! Which addresses and ports belong to which service.

use std::{collections::BTreeMap, net::IpAddr};

use thiserror::Error;

use crate::{
    config::{Listen, Service},
    host::addresses::{Address, served_addresses},
};

/// Addresses and ports, each with the index of its service.
pub(super) type Endpoints = BTreeMap<(IpAddr, u16), u32>;

/// Nothing to serve.
#[derive(Debug, Error)]
#[error(
    "there is no address to serve: this network namespace has none but loopback addresses; give it one, or name one \
     with --listen ADDR:PORT"
)]
pub(super) struct NothingToServe;

/// What the services listen on, on a host with these addresses. An address of its own beats one that stands for all.
pub(super) fn endpoints(services: &[Service], addresses: &[Address]) -> Result<Endpoints, NothingToServe> {
    let local = served_addresses(addresses);
    let mut endpoints = Endpoints::new();
    let listens = || {
        (0..).zip(services).flat_map(|(index, service)| service.listen.iter().map(move |one| (one, index)))
    };
    for (listen, index) in listens() {
        if let Listen::One { address, port } = *listen {
            endpoints.insert((address, port), index);
        }
    }
    for (listen, index) in listens() {
        let (of_family, port): (fn(&IpAddr) -> bool, u16) = match *listen {
            Listen::One { .. } => continue,
            Listen::EveryIpv4 { port } => (IpAddr::is_ipv4, port),
            Listen::EveryIpv6 { port } => (IpAddr::is_ipv6, port),
        };
        for ip in local.iter().filter(|ip| of_family(ip)) {
            endpoints.entry((*ip, port)).or_insert(index);
        }
    }
    if endpoints.is_empty() { Err(NothingToServe) } else { Ok(endpoints) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreConfig;

    fn address(ip: &str) -> Address {
        let ip: IpAddr = ip.parse().unwrap();
        Address { ifindex: 2, ip, on_link: ip.into(), broadcast: None, given: 0 }
    }

    fn service(listen: &[&str]) -> Service {
        let listen = listen.iter().map(|listen| listen.parse().unwrap()).collect();
        Service { store: StoreConfig::Static("ns1.example.net".parse().unwrap()), listen }
    }

    fn of(services: &[Service], addresses: &[&str]) -> Vec<(String, u16, u32)> {
        let addresses: Vec<_> = addresses.iter().map(|ip| address(ip)).collect();
        let endpoints = endpoints(services, &addresses).unwrap();
        endpoints.into_iter().map(|((ip, port), service)| (ip.to_string(), port, service)).collect()
    }

    #[test]
    fn every_address_of_a_family_is_served_but_loopback() {
        let found =
            of(&[service(&["0.0.0.0:53", "[::]:53"])], &["127.0.0.1", "192.0.2.1", "::1", "2001:db8::1"]);
        assert_eq!(found, [("192.0.2.1".to_owned(), 53, 0), ("2001:db8::1".to_owned(), 53, 0)]);
    }

    #[test]
    fn an_address_of_its_own_beats_one_that_stands_for_all_whichever_comes_first() {
        let (one, all) = (service(&["192.0.2.1:53"]), service(&["0.0.0.0:53"]));
        let addresses = ["192.0.2.1", "192.0.2.2"];
        let found = of(&[one.clone(), all.clone()], &addresses);
        assert_eq!(found, [("192.0.2.1".to_owned(), 53, 0), ("192.0.2.2".to_owned(), 53, 1)]);
        let found = of(&[all, one], &addresses);
        assert_eq!(found, [("192.0.2.1".to_owned(), 53, 1), ("192.0.2.2".to_owned(), 53, 0)]);
    }

    #[test]
    fn a_host_with_loopback_addresses_alone_has_nothing_to_serve() {
        assert!(endpoints(&[service(&["0.0.0.0:53"])], &[address("127.0.0.1")]).is_err());
    }
}
