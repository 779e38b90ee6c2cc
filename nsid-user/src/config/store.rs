//! Where a service's name comes from.

use std::str::FromStr;

use super::etcd::{EtcdAddress, EtcdAddressError};
use super::peers::{PeersAddress, PeersAddressError};
use super::zookeeper::{ZooKeeperAddress, ZooKeeperAddressError};
use crate::name::{NameError, NodeName};

/// The store as it is given: `static:NAME`, `local`, `etcd://` or `etcds://HOST:PORT,...`, `zk://` or
/// `zks://HOST:PORT,...`, or `peers://ADDRESS:PORT,...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// A name given by hand.
    Static(NodeName),
    /// A pool of names shared by the agents of this host.
    Local,
    /// A pool of names shared by the nodes that reach an etcd.
    Etcd(EtcdAddress),
    /// The same, over TLS.
    Etcds(EtcdAddress),
    /// An etcd's address that has a password in it, of which nothing is kept. No error here: clap and toml show the
    /// text that a parser refuses.
    EtcdWithPassword,
    /// A pool of names shared by the nodes that reach a ZooKeeper.
    ZooKeeper(ZooKeeperAddress),
    /// The same, over TLS.
    ZooKeeperOverTls(ZooKeeperAddress),
    /// A ZooKeeper's address that has a password in it; see [`EtcdWithPassword`](Store::EtcdWithPassword).
    ZooKeeperWithPassword,
    /// A pool of names shared by nodes some of which are its witnesses.
    Peers(PeersAddress),
}

impl Store {
    fn etcd(address: &str, over: fn(EtcdAddress) -> Self) -> Result<Self, StoreError> {
        match address.parse() {
            Err(EtcdAddressError::Password) => Ok(Self::EtcdWithPassword),
            address => Ok(over(address?)),
        }
    }

    fn zookeeper(
        address: Result<ZooKeeperAddress, ZooKeeperAddressError>,
        over: fn(ZooKeeperAddress) -> Self,
    ) -> Result<Self, StoreError> {
        match address {
            Err(ZooKeeperAddressError::Password) => Ok(Self::ZooKeeperWithPassword),
            address => Ok(over(address?)),
        }
    }
}

impl FromStr for Store {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        if let Some(address) = text.strip_prefix("etcd://") {
            return Self::etcd(address, Self::Etcd);
        }
        if let Some(address) = text.strip_prefix("etcds://") {
            return Self::etcd(address, Self::Etcds);
        }
        if let Some(address) = text.strip_prefix("zk://") {
            return Self::zookeeper(ZooKeeperAddress::parse(address), Self::ZooKeeper);
        }
        if let Some(address) = text.strip_prefix("zks://") {
            return Self::zookeeper(ZooKeeperAddress::parse_over_tls(address), Self::ZooKeeperOverTls);
        }
        if let Some(address) = text.strip_prefix("peers://") {
            return Ok(Self::Peers(address.parse()?));
        }
        match text.split_once(':') {
            Some(("static", name)) => Ok(Self::Static(name.parse()?)),
            None if text == "local" => Ok(Self::Local),
            None if text == "static" => Err(StoreError::NoName),
            Some(_) | None => Err(StoreError::Unknown { store: text.to_owned() }),
        }
    }
}

/// Why a text is no [`Store`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// `static` alone.
    #[error("`static` needs a name; write static:NAME")]
    NoName,
    /// `static:` with something that is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// `etcd://` with something that is no cluster.
    #[error(transparent)]
    Etcd(#[from] EtcdAddressError),
    /// `zk://` with something that is no ensemble.
    #[error(transparent)]
    ZooKeeper(#[from] ZooKeeperAddressError),
    /// `peers://` with something that is no list of witnesses.
    #[error(transparent)]
    Peers(#[from] PeersAddressError),
    /// None of the stores.
    #[error(
        "unknown store {store:?}; the stores are static:NAME, local, etcd:// or etcds://HOST:PORT,..., zk:// or \
         zks://HOST:PORT,... and peers://ADDRESS:PORT,..."
    )]
    Unknown {
        /// The text.
        store: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_static_with_a_name_or_local_or_an_etcd_or_a_zookeeper_or_witnesses() {
        assert_eq!("static:ns1".parse(), Ok(Store::Static("ns1".parse().unwrap())));
        assert_eq!("local".parse(), Ok(Store::Local));
        assert_eq!("etcd://a:1,b:2".parse(), Ok(Store::Etcd("a:1,b:2".parse().unwrap())));
        assert_eq!("etcds://a:1,b:2".parse(), Ok(Store::Etcds("a:1,b:2".parse().unwrap())));
        assert_eq!("etcd://nsid:secret@a b".parse(), Ok(Store::EtcdWithPassword));
        let ensemble = || ZooKeeperAddress::parse("a:1,b:2/x").unwrap();
        assert_eq!("zk://a:1,b:2/x".parse(), Ok(Store::ZooKeeper(ensemble())));
        assert_eq!("zks://a:1,b:2/x".parse(), Ok(Store::ZooKeeperOverTls(ensemble())));
        for store in ["zk://nsid:secret@a b", "zks://nsid:secret@a b"] {
            assert_eq!(store.parse(), Ok(Store::ZooKeeperWithPassword));
        }
        assert_eq!("peers://10.0.0.1".parse(), Ok(Store::Peers("10.0.0.1".parse().unwrap())));
    }

    #[test]
    fn what_is_no_store_says_why() {
        assert_eq!("static".parse::<Store>(), Err(StoreError::NoName));
        assert_eq!("static:".parse::<Store>(), Err(StoreError::Name(NameError::Empty)));
        assert!(matches!("etcd://".parse::<Store>(), Err(StoreError::Etcd(_))));
        assert!(matches!("zk://".parse::<Store>(), Err(StoreError::ZooKeeper(_))));
        assert!(matches!("peers://".parse::<Store>(), Err(StoreError::Peers(_))));
        for store in
            ["", "Local", "local:", "etcd", "etcd:192.0.2.1:2379", "https://a", "zk", "zookeeper://a", "ns1"]
        {
            assert_eq!(store.parse::<Store>(), Err(StoreError::Unknown { store: store.to_owned() }));
        }
    }
}
