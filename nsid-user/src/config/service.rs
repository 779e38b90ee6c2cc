//! One DNS service of this host: what it is named, and where it listens.

use std::{
    env,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::system::uname;

use super::apart;
use super::etcd::{EtcdAddress, EtcdAddressError};
use super::peers::PeersAddress;
use super::zookeeper::{ZooKeeperAddress, ZooKeeperAddressError};
use super::{
    ConfigError, GivenAt, Limit, Listen, SERVICES_MAX, ServiceSettings, Store, Ttl, without_repeats,
};
use crate::host::text_file;
use crate::name::{NodeName, Pattern};
use crate::store::{
    Agreement, AnyStore, Cluster, ClusterKey, Credentials, Ensemble, Incarnation, Password, Place, Quorum,
    Tls, TlsError, etcd, peers::is_near, zookeeper,
};

/// A DNS service that gets a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Where its name comes from.
    pub store: StoreConfig,
    /// Where it listens: at least one, none twice. An address of its own beats one that stands for all.
    pub listen: Vec<Listen>,
}

/// Where a name comes from, with all that this needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    /// Given by hand: no claim, no deadline.
    Static(NodeName),
    /// A free slot of a pool.
    Pool(Pool),
}

/// Names of which each claimant gets one, and on what terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Where it is kept.
    pub place: Place,
    /// Its names, and how many slots it has.
    pub pattern: Pattern,
    /// How long a claim lasts that is not renewed.
    pub ttl: Duration,
}

impl StoreConfig {
    /// The pool; nothing for a name given by hand.
    pub fn pool(&self) -> Option<&Pool> {
        match self {
            Self::Static(_) => None,
            Self::Pool(pool) => Some(pool),
        }
    }

    /// Where a name comes from, in a word that stays the same from run to run.
    pub fn source(&self) -> String {
        match self {
            Self::Static(name) => format!("static:{name}"),
            Self::Pool(pool) => pool.source(),
        }
    }
}

impl Pool {
    /// Which pool it is, in a word that stays the same from run to run.
    pub fn source(&self) -> String {
        self.place.source(&self.pattern.to_string())
    }

    /// A claimant of it.
    pub fn claimant(&self, incarnation: Incarnation) -> AnyStore {
        self.place.clone().claimant(incarnation, Agreement::new(&self.pattern), self.ttl)
    }

    /// Who only looks at it.
    pub fn onlooker(&self, incarnation: Incarnation) -> AnyStore {
        self.place.clone().onlooker(incarnation, Agreement::new(&self.pattern), self.ttl)
    }
}

/// The services of the file, or the single one that the flags describe or change.
pub(super) fn all(
    flags: ServiceSettings,
    mut keys: Vec<ServiceSettings>,
    file: Option<&Path>,
) -> Result<Vec<Service>, ConfigError> {
    let several = file.filter(|_| keys.len() > 1);
    let Some(file) = several else {
        let keys = keys.pop().unwrap_or_default();
        return Ok(vec![Layers { flags, keys, file, number: 1 }.service()?]);
    };
    if let Some((flag, _)) = flags.given().into_iter().find(|(_, given)| *given) {
        return Err(ConfigError::WhichService { flag, file: file.to_owned(), services: keys.len() });
    }
    if keys.len() > SERVICES_MAX {
        return Err(ConfigError::ManyServices { file: file.to_owned(), services: keys.len() });
    }
    let services = keys
        .into_iter()
        .zip(1..)
        .map(|(keys, number)| {
            Layers { flags: ServiceSettings::default(), keys, file: Some(file), number }.service()
        })
        .collect::<Result<Vec<_>, _>>()?;
    apart::check(&services, file)?;
    Ok(services)
}

impl ServiceSettings {
    /// Each of them by its name, and whether it was given.
    fn given(&self) -> [(&'static str, bool); 11] {
        let Self {
            store,
            ca,
            cert,
            key,
            password_file,
            cluster_key_file,
            expect,
            pattern,
            limit,
            ttl,
            listen,
        } = self;
        [
            ("store", store.is_some()),
            ("listen", !listen.is_empty()),
            ("pattern", pattern.is_some()),
            ("limit", limit.is_some()),
            ("ttl", ttl.is_some()),
            ("ca", ca.is_some()),
            ("cert", cert.is_some()),
            ("key", key.is_some()),
            ("password-file", password_file.is_some()),
            ("cluster-key-file", cluster_key_file.is_some()),
            ("expect", expect.is_some()),
        ]
    }
}

/// The settings of a service whose name is given by hand: all others are for a pool.
const BY_HAND: [&str; 2] = ["store", "listen"];

/// What certificates are for.
const OVER_TLS: &str = "a store over TLS (etcds://HOST:PORT or zks://HOST:PORT)";

/// The two sources of one service's settings.
struct Layers<'a> {
    flags: ServiceSettings,
    keys: ServiceSettings,
    file: Option<&'a Path>,
    /// Which of the file's services this is, counted from 1.
    number: usize,
}

impl Layers<'_> {
    fn service(mut self) -> Result<Service, ConfigError> {
        // A name given by hand on the command line replaces the file's pool, of which these are only parts.
        if let Some(Store::Static(_)) = self.flags.store {
            self.keys = ServiceSettings { listen: self.keys.listen, ..ServiceSettings::default() };
        }
        let store = match self.pick("store", self.flags.store.clone(), self.keys.store.clone()) {
            Some((Store::Local, place)) => {
                unused(
                    [self.ca(), self.cert(), self.key(), self.password_file()],
                    "a store that is reached over a network",
                )?;
                self.pool(Place::Local, place)?
            }
            Some((Store::Etcd(address), place)) => {
                unused([self.ca(), self.cert(), self.key()], OVER_TLS)?;
                self.etcd(address, place, None)?
            }
            Some((Store::Etcds(address), place)) => {
                let tls = self.tls(&place)?;
                self.etcd(address, place, Some(tls))?
            }
            Some((Store::EtcdWithPassword, place)) => {
                return Err(ConfigError::Etcd { place, source: EtcdAddressError::Password });
            }
            Some((Store::ZooKeeper(address), place)) => {
                unused([self.ca(), self.cert(), self.key()], OVER_TLS)?;
                self.zookeeper(address, place, None)?
            }
            Some((Store::ZooKeeperOverTls(address), place)) => {
                let tls = self.tls(&place)?;
                self.zookeeper(address, place, Some(tls))?
            }
            Some((Store::ZooKeeperWithPassword, place)) => {
                return Err(ConfigError::ZooKeeper { place, source: ZooKeeperAddressError::Password });
            }
            Some((Store::Peers(address), place)) => self.peers(address, place)?,
            Some((Store::Static(name), _)) => self.by_hand(name)?,
            None => self.by_hand(host_name(&uname().nodename().to_string_lossy())?)?,
        };
        let listen = if self.flags.listen.is_empty() { self.keys.listen } else { self.flags.listen };
        let listen = if listen.is_empty() { Listen::DEFAULT.to_vec() } else { without_repeats(listen) };
        Ok(Service { store, listen })
    }

    fn pool(&self, in_place: Place, store: GivenAt) -> Result<StoreConfig, ConfigError> {
        let (text, place) = self.pattern().ok_or(ConfigError::NoPattern { store })?;
        let limit = self.limit().map_or_else(Limit::default, |(limit, _)| limit);
        let pattern =
            Pattern::parse(&text, limit.get()).map_err(|source| ConfigError::Pattern { place, source })?;
        let ttl = self.ttl().map_or_else(Ttl::default, |(ttl, _)| ttl);
        if !matches!(in_place, Place::Peers(_)) {
            self.no_witnesses()?;
        }
        Ok(StoreConfig::Pool(Pool { place: in_place, pattern, ttl: ttl.get() }))
    }

    fn etcd(
        &self,
        address: EtcdAddress,
        store: GivenAt,
        tls: Option<Tls>,
    ) -> Result<StoreConfig, ConfigError> {
        let EtcdAddress { endpoints, user, prefix } = address;
        let variable = etcd::PASSWORD_VARIABLE;
        let credentials = self.credentials(user, variable, "a user (etcd://USER@HOST:PORT)")?;
        self.pool(Place::Etcd(Cluster { endpoints, prefix, credentials, tls }), store)
    }

    fn peers(&self, PeersAddress { list }: PeersAddress, store: GivenAt) -> Result<StoreConfig, ConfigError> {
        unused([self.ca(), self.cert(), self.key()], OVER_TLS)?;
        unused([self.password_file()], "a store with users")?;
        let key = match self.cluster_key_file() {
            Some((path, place)) => {
                Some(ClusterKey::load(&path).map_err(|source| ConfigError::ClusterKey { place, source })?)
            }
            None => None,
        };
        if let Some(far) = list.witnesses().iter().find(|witness| key.is_none() && !is_near(witness.ip())) {
            return Err(ConfigError::NoClusterKey { place: store, witness: *far });
        }
        let expected = self.expect().map_or(0, |(expected, _)| expected.get());
        self.pool(Place::Peers(Quorum { list, key, expected }), store)
    }

    /// That nothing was given which only nodes without a store have.
    fn no_witnesses(&self) -> Result<(), ConfigError> {
        const WHAT_FOR: &str = "nodes without a store (peers://ADDRESS:PORT,...)";
        unused([self.cluster_key_file()], WHAT_FOR)?;
        unused([self.expect()], WHAT_FOR)
    }

    fn zookeeper(
        &self,
        address: ZooKeeperAddress,
        store: GivenAt,
        tls: Option<Tls>,
    ) -> Result<StoreConfig, ConfigError> {
        let ZooKeeperAddress { endpoints, path, user } = address;
        let variable = zookeeper::PASSWORD_VARIABLE;
        let credentials = self.credentials(user, variable, "a user (zk://USER@HOST:PORT)")?;
        self.pool(Place::ZooKeeper(Ensemble { endpoints, path, credentials, tls }), store)
    }

    /// Whom to believe to be the store, and what to prove by who we are.
    fn tls(&self, store: &GivenAt) -> Result<Tls, ConfigError> {
        let Some(ca) = self.ca() else { return Err(ConfigError::NoAuthority { store: store.clone() }) };
        let authorities = read(&ca)?;
        let identity = match (self.cert(), self.key()) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((read(&cert)?, read(&key)?, cert)),
            (Some(alone), None) | (None, Some(alone)) => {
                return Err(ConfigError::HalfIdentity { place: alone.1 });
            }
        };
        let pem = identity.as_ref().map(|(cert, key, _)| (&**cert, &**key));
        Tls::new(&authorities, pem).map_err(|source| {
            let (path, place) = match (&source, identity) {
                (TlsError::NoIdentity { .. }, Some((_, _, cert))) => cert,
                (TlsError::NoIdentity { .. } | TlsError::NoAuthority, _) => ca,
            };
            ConfigError::Pem { place, path, source }
        })
    }

    /// Who this node is to the store, if it is anybody. The file of a password is for that alone.
    fn credentials(
        &self,
        user: Option<String>,
        variable: &'static str,
        what_for: &'static str,
    ) -> Result<Option<Credentials>, ConfigError> {
        if user.is_none() {
            unused([self.password_file()], what_for)?;
        }
        user.map(|user| self.with_password(user, variable)).transpose()
    }

    /// The user, and the password that the file or the environment has for it as `variable`.
    fn with_password(&self, user: String, variable: &'static str) -> Result<Credentials, ConfigError> {
        let password = match self.password_file() {
            Some(file) => String::from_utf8(read(&file)?).ok(),
            None => env::var(variable).ok(),
        };
        let password = password.as_deref().map(|password| password.trim_end_matches(['\r', '\n']));
        match password {
            Some(password) if !password.is_empty() => {
                Ok(Credentials { user, password: Password::new(password.to_owned()) })
            }
            Some(_) | None => Err(ConfigError::NoPassword { user, variable }),
        }
    }

    fn by_hand(&self, name: NodeName) -> Result<StoreConfig, ConfigError> {
        let settings = self.flags.given().into_iter().zip(self.keys.given());
        let for_a_pool = settings.filter(|((name, _), _)| !BY_HAND.contains(name));
        for ((name, flag), (_, key)) in for_a_pool {
            if let Some(((), place)) = self.pick(name, flag.then_some(()), key.then_some(())) {
                return Err(ConfigError::NoPool { place });
            }
        }
        Ok(StoreConfig::Static(name))
    }

    fn ca(&self) -> Option<(PathBuf, GivenAt)> {
        self.pick("ca", self.flags.ca.clone(), self.keys.ca.clone())
    }

    fn cert(&self) -> Option<(PathBuf, GivenAt)> {
        self.pick("cert", self.flags.cert.clone(), self.keys.cert.clone())
    }

    fn key(&self) -> Option<(PathBuf, GivenAt)> {
        self.pick("key", self.flags.key.clone(), self.keys.key.clone())
    }

    fn password_file(&self) -> Option<(PathBuf, GivenAt)> {
        self.pick("password-file", self.flags.password_file.clone(), self.keys.password_file.clone())
    }

    fn cluster_key_file(&self) -> Option<(PathBuf, GivenAt)> {
        self.pick("cluster-key-file", self.flags.cluster_key_file.clone(), self.keys.cluster_key_file.clone())
    }

    fn expect(&self) -> Option<(NonZeroU32, GivenAt)> {
        self.pick("expect", self.flags.expect, self.keys.expect)
    }

    fn pattern(&self) -> Option<(String, GivenAt)> {
        self.pick("pattern", self.flags.pattern.clone(), self.keys.pattern.clone())
    }

    fn limit(&self) -> Option<(Limit, GivenAt)> {
        self.pick("limit", self.flags.limit, self.keys.limit)
    }

    fn ttl(&self) -> Option<(Ttl, GivenAt)> {
        self.pick("ttl", self.flags.ttl, self.keys.ttl)
    }

    /// The flag's value before the key's.
    fn pick<T>(&self, name: &'static str, flag: Option<T>, key: Option<T>) -> Option<(T, GivenAt)> {
        let flag = flag.map(|value| (value, GivenAt::Flag { name }));
        flag.or_else(|| {
            let (value, file) = key.zip(self.file)?;
            Some((value, GivenAt::Key { name, file: file.to_owned(), service: self.number }))
        })
    }
}

/// That none of these settings was given, which are for something that there is not.
fn unused<T, const N: usize>(
    given: [Option<(T, GivenAt)>; N],
    what_for: &'static str,
) -> Result<(), ConfigError> {
    match given.into_iter().flatten().next() {
        Some((_, place)) => Err(ConfigError::Unused { place, what_for }),
        None => Ok(()),
    }
}

/// What is in a file of the store's settings.
fn read((path, place): &(PathBuf, GivenAt)) -> Result<Vec<u8>, ConfigError> {
    /// As many as the authorities of all the world have.
    const MOST: u64 = 1 << 20;
    text_file::read(path, MOST).map_err(|source| ConfigError::StoreFile {
        place: place.clone(),
        path: path.clone(),
        source,
    })
}

/// The name of this host, if a node can be told by it.
fn host_name(hostname: &str) -> Result<NodeName, ConfigError> {
    let name = hostname.parse::<NodeName>().map_err(|source| ConfigError::HostName { source })?;
    match name.as_str().split('.').next() {
        Some("localhost") => Err(ConfigError::NamelessHost { hostname: hostname.to_owned() }),
        Some(_) | None => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_that_many_hosts_have_or_that_is_invalid_is_no_name_of_a_node() {
        assert_eq!(host_name("ns1.example.net").unwrap().as_str(), "ns1.example.net");
        for hostname in ["localhost", "localhost.localdomain"] {
            assert!(matches!(host_name(hostname), Err(ConfigError::NamelessHost { .. })), "{hostname}");
        }
        for hostname in ["(none)", "", &"h".repeat(64)] {
            assert!(matches!(host_name(hostname), Err(ConfigError::HostName { .. })), "{hostname}");
        }
    }
}
