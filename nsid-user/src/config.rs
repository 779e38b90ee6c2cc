//! The configuration of one agent: the command line over a file, checked once and then beyond doubt.

mod settings;

mod file;
mod toml_text;

mod apart;
mod service;

mod nsid;
mod period;
mod policies;

mod change;
mod source;

mod error;

mod endpoint;
mod etcd;
mod instance;
mod interface;
mod listen;
mod peers;
mod pool;
mod store;
mod zookeeper;

use std::path::Path;

pub use self::{
    change::{Change, ChangeError},
    error::{ConfigError, GivenAt},
    etcd::{EtcdAddress, EtcdAddressError},
    file::FileError,
    instance::{InstanceName, InstanceNameError},
    interface::{InterfaceName, InterfaceNameError},
    listen::{DNS_PORT, Listen, ListenError},
    nsid::{Nsid, NsidError},
    peers::{PeersAddress, PeersAddressError},
    period::{Period, PeriodError},
    policies::{
        AnswerRate, AnswerRateError, MaxUdpSize, MaxUdpSizeError, OwnNsid, Policies, Prefix, PrefixError,
    },
    pool::{Limit, LimitError, Ttl, TtlError},
    service::{Pool, Service, StoreConfig},
    settings::{Ingress, ServiceSettings, Settings},
    source::Source,
    store::{Store, StoreError},
    zookeeper::{ZooKeeperAddress, ZooKeeperAddressError},
};

pub(crate) use self::change::changed;

/// Services that one agent can name; the kernel's maps have room for as many.
pub const SERVICES_MAX: usize = nsid_common::maps::MAX_SERVICES as usize;

/// What one agent does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The name of this agent's pins, control socket and state.
    pub instance: InstanceName,
    /// The interfaces to attach to: at least one, none twice.
    pub interfaces: Vec<InterfaceName>,
    /// The services to name: 1 to [`SERVICES_MAX`], no two of which listen on the same address and port, or
    /// have a witness in common and not all else that its list is.
    pub services: Vec<Service>,
    /// What may be changed while it runs.
    pub policies: Policies,
    /// Where queries that arrive are seen.
    pub ingress: Ingress,
    /// Count what would be done, change nothing.
    pub observe: bool,
    /// Log what the kernel programs do with each DNS packet.
    pub log_packets: bool,
    /// Log more of what the agent does.
    pub verbose: bool,
}

impl Config {
    /// The flags over the keys of the file. The file is read first, so whatever is required may stand there.
    pub fn load(flags: Settings, service: ServiceSettings, file: Option<&Path>) -> Result<Self, ConfigError> {
        let keys = file.map(file::read).transpose()?.unwrap_or_default();
        let policies = Policies::of(&flags, &keys)?;
        let interfaces = if flags.iface.is_empty() { keys.iface } else { flags.iface };
        if interfaces.is_empty() {
            return Err(ConfigError::NoInterface { file: file.map(Path::to_owned) });
        }
        let services = service::all(service, keys.services, file)?;
        policies.fit(&services)?;
        Ok(Self {
            instance: flags.instance.or(keys.instance).unwrap_or_default(),
            interfaces: without_repeats(interfaces),
            services,
            policies,
            ingress: flags.ingress.or(keys.ingress).unwrap_or_default(),
            observe: flags.observe.or(keys.observe).unwrap_or_default(),
            log_packets: flags.log_packets.or(keys.log_packets).unwrap_or_default(),
            verbose: flags.verbose.or(keys.verbose).unwrap_or_default(),
        })
    }

    /// The first key by which another one differs in what stays as it is while the agent runs.
    pub fn differs_in(&self, other: &Self) -> Option<&'static str> {
        let Self {
            instance,
            interfaces,
            services,
            policies: _may_change,
            ingress,
            observe,
            log_packets,
            verbose,
        } = self;
        [
            ("instance", *instance == other.instance),
            ("iface", *interfaces == other.interfaces),
            ("services", *services == other.services),
            ("ingress", *ingress == other.ingress),
            ("observe", *observe == other.observe),
            ("log-packets", *log_packets == other.log_packets),
            ("verbose", *verbose == other.verbose),
        ]
        .into_iter()
        .find_map(|(key, same)| (!same).then_some(key))
    }
}

/// The values in the order in which they first came.
fn without_repeats<T: PartialEq>(values: Vec<T>) -> Vec<T> {
    values.into_iter().fold(Vec::new(), |mut kept, value| {
        if !kept.contains(&value) {
            kept.push(value);
        }
        kept
    })
}

#[cfg(test)]
mod tests;
