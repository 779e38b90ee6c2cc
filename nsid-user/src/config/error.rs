//! Settings that are right one by one and wrong together.

use std::{fmt, net::SocketAddr, path::PathBuf};

use super::{
    SERVICES_MAX, etcd::EtcdAddressError, file::FileError, listen::Listen, policies::Prefix,
    zookeeper::ZooKeeperAddressError,
};
use crate::{
    form::FormError,
    host::text_file::TextFileError,
    name::{NameError, PatternError},
    store::{ClusterKeyError, TlsError},
};

/// Where a setting of a service was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenAt {
    /// On the command line.
    Flag {
        /// The long flag without its dashes.
        name: &'static str,
    },
    /// In the file.
    Key {
        /// The key, which has the flag's name.
        name: &'static str,
        /// The file.
        file: PathBuf,
        /// Which of the file's services, counted from 1.
        service: usize,
    },
}

impl fmt::Display for GivenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag { name } => write!(f, "--{name}"),
            Self::Key { name, file, service } => {
                write!(f, "{}: `{name}` of [[services]] number {service}", file.display())
            }
        }
    }
}

/// Why flags and file make no [`super::Config`].
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file gives no settings.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nowhere to attach.
    #[error(
        "no interface; add --iface IF{}",
        file.as_ref().map_or_else(
            || ", one of those that `ip link` shows".to_owned(),
            |file| format!(", or a line `iface = [\"IF\"]` at the top of {}", file.display())
        )
    )]
    NoInterface {
        /// The file, if there was one.
        file: Option<PathBuf>,
    },
    /// No key for an NSID that hides the name.
    #[error(transparent)]
    Form(#[from] FormError),
    /// One NSID for several services.
    #[error("nsid: hex: would have {services} services say the same; give each an instance of its own")]
    OneNsid {
        /// How many.
        services: usize,
    },
    /// One network on both lists.
    #[error("{prefix} is both in allow and in deny; take it out of one of them")]
    AllowedAndDenied {
        /// The network.
        prefix: Prefix,
    },
    /// A flag that would belong to one of several services.
    #[error(
        "--{flag} describes a single service, and {} lists {services}; drop the flag and set `{flag}` under the \
         [[services]] that it is meant for",
        file.display()
    )]
    WhichService {
        /// The long flag without its dashes.
        flag: &'static str,
        /// The file.
        file: PathBuf,
        /// How many services it lists.
        services: usize,
    },
    /// More services than the kernel's maps have room for.
    #[error(
        "{} lists {services} [[services]]; an agent takes {SERVICES_MAX}: give the others to another instance",
        file.display()
    )]
    ManyServices {
        /// The file.
        file: PathBuf,
        /// How many services it lists.
        services: usize,
    },
    /// A setting of a pool, beside a name given by hand.
    #[error(
        "{place} is for a pool of names, and this service's store is static; drop it, or set the store to `local`, \
         etcd://HOST:PORT, zk://HOST:PORT or peers://ADDRESS:PORT"
    )]
    NoPool {
        /// Where the setting was given.
        place: GivenAt,
    },
    /// A pool without names.
    #[error("{store} is a pool of names, and no pattern says which; add {}", match store {
        GivenAt::Flag { .. } => "--pattern 'worker{id}.example.net'",
        GivenAt::Key { .. } => "`pattern = \"worker{id}.example.net\"` there",
    })]
    NoPattern {
        /// Where the store was given.
        store: GivenAt,
    },
    /// An etcd's address that must not be repeated.
    #[error("{place}: {source}")]
    Etcd {
        /// Where it was given.
        place: GivenAt,
        /// What is wrong with it.
        source: EtcdAddressError,
    },
    /// A ZooKeeper's address that must not be repeated.
    #[error("{place}: {source}")]
    ZooKeeper {
        /// Where it was given.
        place: GivenAt,
        /// What is wrong with it.
        source: ZooKeeperAddressError,
    },
    /// A user of a store with access control, and nothing to prove that we are that user.
    #[error(
        "there is no password (in UTF-8) for the user {user:?}; put it into a file (--password-file) or into the environment \
         as {variable}"
    )]
    NoPassword {
        /// The user.
        user: String,
        /// The environment variable.
        variable: &'static str,
    },
    /// A setting of something that there is not.
    #[error("{place} is for {what_for}, which this service does not have; drop it, or change its store")]
    Unused {
        /// Where the setting was given.
        place: GivenAt,
        /// What it is for.
        what_for: &'static str,
    },
    /// A file of the store's settings.
    #[error("{place} {}: {source}; name a file that this user may read", path.display())]
    StoreFile {
        /// Where it was given.
        place: GivenAt,
        /// The file.
        path: PathBuf,
        /// Why it is not read.
        source: TextFileError,
    },
    /// A file that is no certificate, or no key.
    #[error("{place} {}: {source}", path.display())]
    Pem {
        /// Where it was given.
        place: GivenAt,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TlsError,
    },
    /// No key for the messages between nodes.
    #[error("{place} {source}")]
    ClusterKey {
        /// Where it was given.
        place: GivenAt,
        /// What is wrong with it.
        source: ClusterKeyError,
    },
    /// Nodes that strangers reach, and nothing that keeps them out.
    #[error(
        "{place}: {witness} is no private address, and whoever reaches it could claim names; seal the messages between the \
         nodes: --cluster-key-file FILE (or `cluster-key-file`), the same file on every node, made by `openssl rand -hex 32`"
    )]
    NoClusterKey {
        /// Where the list was given.
        place: GivenAt,
        /// The first such witness.
        witness: SocketAddr,
    },
    /// Nobody to vouch for the store.
    #[error(
        "{store} is over TLS, and nothing says whom to believe; add {}, the certificate of the authority that signed the \
         servers'", match store {
        GivenAt::Flag { .. } => "--ca FILE",
        GivenAt::Key { .. } => "`ca = \"FILE\"` there",
    })]
    NoAuthority {
        /// Where the store was given.
        store: GivenAt,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("{place} has no use alone; give both --cert and --key (or `cert` and `key`), or neither")]
    HalfIdentity {
        /// Where the one was given.
        place: GivenAt,
    },
    /// A pattern that does not make names.
    #[error("{place}: {source}")]
    Pattern {
        /// Where it was given.
        place: GivenAt,
        /// What is wrong with it.
        source: PatternError,
    },
    /// No store, and a host name that nobody could tell this node by.
    #[error(
        "no store is set, and every host may be called {hostname:?}; set one to static:NAME (--store, or the key \
         under [[services]])"
    )]
    NamelessHost {
        /// The host's name.
        hostname: String,
    },
    /// No store, and a host name that is no name of a node.
    #[error(
        "no store is set, and this host's own name will not do: {source}, or set one to static:NAME (--store, or \
         the key under [[services]])"
    )]
    HostName {
        /// What is wrong with it.
        source: NameError,
    },
    /// Two services for the same traffic.
    #[error(
        "{}: [[services]] number {first} and number {second} both listen on {listen}; give each a `listen` of its \
         own (without one, it is every local address, port 53)",
        file.display()
    )]
    SameListen {
        /// The file.
        file: PathBuf,
        /// The one, counted from 1.
        first: usize,
        /// The other.
        second: usize,
        /// Where both listen.
        listen: Listen,
    },
    /// One address for the witnesses of two lists.
    #[error(
        "{}: [[services]] number {first} and number {second} both have the witness {witness}, and not the same list; give \
         both one list, or other ports to one of them",
        file.display()
    )]
    OtherWitnesses {
        /// The file.
        file: PathBuf,
        /// The one, counted from 1.
        first: usize,
        /// The other.
        second: usize,
        /// Whom both have.
        witness: SocketAddr,
    },
    /// Two keys for the witnesses of one list.
    #[error(
        "{}: [[services]] number {first} and number {second} have one list of witnesses, and not the same cluster-key-file; \
         give both the same",
        file.display()
    )]
    OtherClusterKey {
        /// The file.
        file: PathBuf,
        /// The one, counted from 1.
        first: usize,
        /// The other.
        second: usize,
    },
}
