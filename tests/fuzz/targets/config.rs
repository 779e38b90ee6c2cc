//! Any flags over any file: never a panic, an error is at most three lines, and what is taken keeps what it promises.
//!
//! Input: arguments of `nsid run`, one on a line, to a line `---`; then the file.
#![no_main]

use std::{
    collections::HashSet,
    ffi::OsString,
    fmt::{Debug, Display},
    fs::{self, File},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Parser as _;
use libfuzzer_sys::fuzz_target;
use nsid_user::{
    cli::{Cli, Verb, usage},
    config::{
        Config, ConfigError, Listen, Pool, SERVICES_MAX, Service, ServiceSettings, Settings, Store,
        StoreConfig,
    },
    name::{NAME_MAX, NodeName, Pattern},
    store::Place,
};

thread_local!(static FILE: (PathBuf, File) = file());

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (flags, keys) = text.split_once("---\n").unwrap_or(("", text));
    // Which file it is, is not for the input to say.
    if flags.lines().any(|flag| flag.starts_with("--config")) {
        return;
    }
    FILE.with(|(path, _)| {
        fs::write(path, keys).expect("memory takes it");
        let config = if flags.is_empty() {
            // Without clap, which takes longer than all the rest.
            Config::load(Settings::default(), ServiceSettings::default(), Some(path)).map_err(refused).ok()
        } else {
            config(path, flags)
        };
        config.iter().for_each(kept);
    });
});

/// A file in memory, which is gone with the process.
fn file() -> (PathBuf, File) {
    let file = rustix::fs::memfd_create("config", rustix::fs::MemfdFlags::empty()).expect("memory");
    (format!("/proc/self/fd/{}", file.as_raw_fd()).into(), file.into())
}

fn config(path: &Path, flags: &str) -> Option<Config> {
    let arguments = ["nsid", "run", "--config"].into_iter().map(OsString::from).chain([path.into()]);
    let arguments: Vec<_> = arguments.chain(flags.lines().map(OsString::from)).collect();
    match Cli::try_parse_from(&arguments) {
        Ok(Cli { verb: Verb::Run(run) }) => run.into_source().load().map_err(refused).ok(),
        Ok(Cli { verb }) => panic!("{verb:?}"),
        Err(error) => {
            // Not where help was asked for.
            if error.use_stderr() {
                told_in_three_lines(&usage::explain(&error, &arguments));
            }
            None
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` calls")]
fn refused(error: ConfigError) {
    told_in_three_lines(&error.to_string());
}

fn told_in_three_lines(error: &str) {
    assert!((1..=3).contains(&error.lines().count()), "{error:?}");
}

fn kept(Config { instance, interfaces, services, .. }: &Config) {
    reads_back(instance);
    assert!(!interfaces.is_empty() && (1..=SERVICES_MAX).contains(&services.len()));
    for (at, interface) in interfaces.iter().enumerate() {
        reads_back(interface);
        assert!(!interfaces[..at].contains(interface));
    }
    let mut listens: HashSet<Listen> = HashSet::new();
    for Service { store, listen, .. } in services {
        assert!(!listen.is_empty());
        for listen in listen {
            reads_back(listen);
            assert!(listens.insert(*listen), "{listen} twice");
        }
        store_kept(store);
    }
}

fn store_kept(store: &StoreConfig) {
    match store {
        StoreConfig::Static(name) => {
            node_name(name);
            let store: Store = store.source().parse().expect("what was taken is taken again");
            assert_eq!(store, Store::Static(name.clone()));
        }
        StoreConfig::Pool(Pool { place, pattern, .. }) => {
            names(pattern);
            place_kept(place);
        }
    }
}

fn place_kept(place: &Place) {
    match place {
        Place::Local => {}
        Place::Etcd(cluster) => {
            let address = format!("etcd://{}", cluster.endpoints.join(","));
            let Ok(Store::Etcd(etcd)) = address.parse() else { panic!("{address}") };
            assert_eq!(etcd.endpoints, cluster.endpoints);
        }
        Place::Peers(quorum) => {
            let address = format!("peers://{}", quorum.list);
            let Ok(Store::Peers(peers)) = address.parse() else { panic!("{address}") };
            assert_eq!(peers.list, quorum.list);
        }
        Place::ZooKeeper(ensemble) => {
            let address = format!("zk://{}{}", ensemble.endpoints.join(","), ensemble.path);
            let Ok(Store::ZooKeeper(zookeeper)) = address.parse() else { panic!("{address}") };
            assert_eq!((&zookeeper.endpoints, &zookeeper.path), (&ensemble.endpoints, &ensemble.path));
        }
    }
}

fn names(pattern: &Pattern) {
    assert_eq!(Pattern::parse(&pattern.to_string(), pattern.limit()).as_ref(), Ok(pattern));
    let last = pattern.limit().get() - 1;
    for slot in [0, last / 2, last] {
        node_name(&pattern.name(slot));
    }
}

fn node_name(name: &NodeName) {
    reads_back(name);
    assert!((1..=NAME_MAX).contains(&name.as_str().len()));
}

fn reads_back<T: Display + FromStr<Err: Debug> + Debug + PartialEq>(value: &T) {
    assert_eq!(&value.to_string().parse::<T>().expect("what was taken is taken again"), value);
}
