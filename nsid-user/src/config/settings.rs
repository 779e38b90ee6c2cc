//! The settings as a person gives them: once as long flags, once as the keys of a TOML file.
//!
//! **Invariant:** one struct is read from both, so a flag and its key have the same name and take the same values.

use std::{num::NonZeroU32, path::PathBuf};

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::{
    instance::InstanceName,
    interface::InterfaceName,
    listen::Listen,
    nsid::Nsid,
    period::Period,
    policies::{AnswerRate, MaxUdpSize, OwnNsid, Prefix},
    pool::{Limit, Ttl},
    store::Store,
    toml_text,
};
use crate::host::clients::Answer;

/// Over the flags of what can be changed while the agent runs.
pub(super) const POLICIES: &str = "Policies (`nsid set` changes them while the agent runs)";

/// What one agent does: flags of `nsid run`, or the keys at the top of the file.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The interface that the DNS server's traffic passes
    ///
    /// Required, here or in the file. For several, repeat it.
    #[arg(long, value_name = "IF", num_args = 1..)]
    #[serde(deserialize_with = "toml_text::several")]
    pub iface: Vec<InterfaceName>,

    /// Whose id.server. queries the kernel answers by itself, of those who may see the name [default: local]
    #[arg(long, value_name = "WHO", help_heading = POLICIES)]
    pub answer: Option<Answer>,

    /// A network of clients that may see the name; others may not [default: everybody may]
    ///
    /// `192.0.2.0/24`, `2001:db8::/32` or an address. For several, repeat it, or put commas between them. Where a client
    /// is in several networks of --allow and --deny, the longest prefix counts.
    #[arg(long, value_name = "PREFIX", value_delimiter = ',', help_heading = POLICIES)]
    #[serde(deserialize_with = "toml_text::several")]
    pub allow: Vec<Prefix>,

    /// A network of clients that may not see the name: their queries pass as if they had not asked
    #[arg(long, value_name = "PREFIX", value_delimiter = ',', help_heading = POLICIES)]
    #[serde(deserialize_with = "toml_text::several")]
    pub deny: Vec<Prefix>,

    /// What the NSID option holds: name, hex:DIGITS or hmac:FILE [default: name]
    ///
    /// hex: these bytes, of one service. hmac: 16 bytes of the HMAC-SHA256 of the name and the number of the period, under
    /// the key in that file (32 to 128 hexadecimal digits: `openssl rand -hex 32`), so that only who has the key can tell
    /// the names. id.server. then says the same, as hexadecimal digits, and no longer the name. For who has the key:
    /// `printf %s NAME/$(($(date +%s) / 86400)) | openssl dgst -sha256 -mac HMAC -macopt hexkey:$(cat FILE) -r | cut -c-32`
    #[arg(long, value_name = "FORM", help_heading = POLICIES)]
    #[serde(deserialize_with = "toml_text::one")]
    pub nsid: Option<Nsid>,

    /// How long an HMAC stands for a name, in whole seconds, counted from 1970 [default: 1day]
    #[arg(long, value_name = "TIME", help_heading = POLICIES)]
    #[serde(deserialize_with = "toml_text::one")]
    pub nsid_period: Option<Period>,

    /// What becomes of an NSID that the server itself says [default: replace]
    ///
    /// An empty one is filled in either case.
    #[arg(long, value_name = "WHAT", help_heading = POLICIES)]
    pub own_nsid: Option<OwnNsid>,

    /// Bytes of a message that a name is put into, at most: 512 to 65535, or off [default: off]
    ///
    /// As the server's own limit (max-udp-size of BIND and Unbound), which does not know of the name. What the requestor
    /// takes is never exceeded.
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, help_heading = POLICIES)]
    #[serde(deserialize_with = "toml_text::number_or_word")]
    pub max_udp_size: Option<MaxUdpSize>,

    /// Answers that the kernel makes for one network of clients in a second, at most, or off [default: off]
    ///
    /// Networks are of 24 bits of IPv4 and 56 of IPv6. What is more goes to the server.
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = POLICIES)]
    #[serde(deserialize_with = "toml_text::number_or_word")]
    pub answer_rate: Option<AnswerRate>,

    /// Where queries that arrive are seen [default: auto]
    #[arg(long, value_name = "MODE")]
    pub ingress: Option<Ingress>,

    /// Count what would be done, and change no packet
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true)]
    pub observe: Option<bool>,

    /// The name of this agent's own pins, control socket and state [default: default]
    ///
    /// Several agents of one host need a name each: 1 to 32 of a-z, 0-9, '_' and '-'.
    #[arg(long, value_name = "NAME")]
    #[serde(deserialize_with = "toml_text::one")]
    pub instance: Option<InstanceName>,

    /// Log what the kernel programs do with each DNS packet (slow; for diagnosis)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true)]
    pub log_packets: Option<bool>,

    /// Log more of what the agent does
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", hide_possible_values = true)]
    pub verbose: Option<bool>,

    /// The services, which only a file can list; the flags describe a single one.
    #[arg(skip)]
    pub services: Vec<ServiceSettings>,
}

/// What one DNS service is named, and where it listens: flags of `nsid run`, or the keys of one `[[services]]`.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[command(next_help_heading = "The service (in the file: keys of one [[services]])")]
pub struct ServiceSettings {
    /// Where the name comes from: static:NAME, local, `etcd://HOST,...`, etcds://, zk://, zks:// or peers:// [default: static:
    /// and this host's name]
    ///
    /// static:NAME is that name, for as long as the agent is not stopped. All others give one name of a pool, and need
    /// --pattern. With local, the agents of this host share the pool.
    ///
    /// With etcd://, the nodes that reach an etcd share it; with etcds://, over TLS. Give every member of the cluster, HOST or
    /// HOST:PORT (2379). For an etcd with access control write `etcd://USER@HOST,...` (a user that may read and write below
    /// /nsid/), and give its password by --password-file or in the environment as `NSID_ETCD_PASSWORD`. Another prefix of
    /// all keys than /nsid stands behind the members: `etcd://HOST,HOST/dns/nsid`.
    ///
    /// With zk://, the nodes that reach a ZooKeeper share it; with zks://, over TLS. Write `zk://[USER@]HOST,.../PATH` with
    /// all servers of the ensemble (port 2181, of zks:// 2281); pools are below PATH, /nsid if none is given, which is made
    /// if it is not there. What a user makes, only that user may use; its password is in the same file, or
    /// `NSID_ZOOKEEPER_PASSWORD`.
    ///
    /// With peers://, the nodes share it without any store. Write `peers://ADDRESS,...` (port 7400), the addresses of 1, 3 or
    /// 5 of the nodes, the same on every node. These are the witnesses: a name is had by the grants of more than half of them,
    /// which they keep in memory, and which messages between the nodes (UDP) are about.
    #[arg(long, value_name = "STORE")]
    #[serde(deserialize_with = "toml_text::one")]
    pub store: Option<Store>,

    /// The certificates, in a file in PEM, of who may sign those of the servers of an etcds:// or zks:// store
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// This node's certificate towards the store, in a file in PEM; with --key
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,

    /// The private key of --cert, in a file in PEM
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// A file that has the password of the store's user [default: what the environment has]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// A file that has the key of a cluster of peers://, the same on every node: `openssl rand -hex 32`
    ///
    /// All messages between the nodes are sealed under it. Without one, they are sent and taken in the open, to and from
    /// private addresses alone.
    #[arg(long, value_name = "FILE")]
    pub cluster_key_file: Option<PathBuf>,

    /// Nodes that start together: names of peers:// are given out, the oldest first, when so many are there [default: at once]
    ///
    /// Or after half a minute, if they are fewer. The same on every node.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub expect: Option<NonZeroU32>,

    /// The names of a pool, with {id} where the slot's number goes: 'worker{id}.tf.local'
    ///
    /// No digit may stand beside {id}. Agents that give the same pattern share its pool. Who spells it in another case, or
    /// makes a name of another pool of the same host or store, is refused.
    #[arg(long, value_name = "PATTERN")]
    pub pattern: Option<String>,

    /// How many names a pool has: slots 0 to N-1 [default: 64]
    ///
    /// The same for all agents of a pool. With more nodes than that, the others wait in line, and say no name until one is
    /// free.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[serde(deserialize_with = "toml_text::number")]
    pub limit: Option<Limit>,

    /// How long a claim of a pool's name lasts unless renewed, 1s to 1day [default: 10s]
    ///
    /// A node that dies or loses its store is silent after that long, and its name free for another (in etcd, at the next
    /// whole second, and after 2 s at least).
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    #[serde(deserialize_with = "toml_text::one")]
    pub ttl: Option<Ttl>,

    /// Where the DNS server listens [default: every local address, port 53]
    ///
    /// `192.0.2.1:53` or `[2001:db8::1]:53`; the port is mandatory. `0.0.0.0` and `[::]` stand for every local address of
    /// their kind, as they come and go. For several, repeat it.
    #[arg(long, value_name = "ADDR:PORT")]
    #[serde(deserialize_with = "toml_text::several")]
    pub listen: Vec<Listen>,
}

/// Where queries that arrive are seen.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Ingress {
    /// At XDP in the driver; at tc where the driver has none, somebody else's program is there, or the link is a veth
    #[default]
    Auto,
    /// Native XDP, or fail; can reset the link of a NIC
    Native,
    /// Generic XDP: works on every driver, slower
    Generic,
    /// At tc, and never XDP
    Tc,
}
