//! What flags and files mean together.

use std::{fs, time::Duration};

use clap::Parser;

use super::*;
use crate::{
    cli::{Cli, Verb},
    form::Form,
    host::clients::Answer,
    name::Pattern,
    store::{Credentials, Password, Place},
};

/// The configuration of `nsid run` with these flags, and with a file if it is not empty.
fn load(flags: &str, file: &str) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nsid.toml");
    let mut args = format!("nsid run {flags}");
    if !file.is_empty() {
        fs::write(&path, file).unwrap();
        args = format!("{args} --config {}", path.display());
    }
    match Cli::try_parse_from(args.split_whitespace()).unwrap().verb {
        Verb::Run(run) => run.into_source().load(),
        verb => unreachable!("{verb:?}"),
    }
}

fn local(pattern: &str, limit: u32, ttl: u64) -> StoreConfig {
    let pattern = Pattern::parse(pattern, limit.try_into().unwrap()).unwrap();
    StoreConfig::Pool(Pool { place: Place::Local, pattern, ttl: Duration::from_secs(ttl) })
}

fn by_hand(name: &str) -> StoreConfig {
    StoreConfig::Static(name.parse().unwrap())
}

#[test]
fn one_interface_is_enough_and_the_rest_has_defaults() {
    let config = load("--iface eth0 --store static:ns1", "").unwrap();
    assert_eq!(
        config,
        Config {
            instance: "default".parse().unwrap(),
            interfaces: vec!["eth0".parse().unwrap()],
            services: vec![Service { store: by_hand("ns1"), listen: Listen::DEFAULT.to_vec() }],
            policies: Policies {
                answer: Answer::Local,
                allow: vec![],
                deny: vec![],
                nsid: Nsid::Name,
                nsid_period: Period::default(),
                max_udp_size: MaxUdpSize::default(),
                own_nsid: OwnNsid::Replace,
                answer_rate: AnswerRate::default(),
                form: Form::Name,
            },
            ingress: Ingress::Auto,
            observe: false,
            log_packets: false,
            verbose: false,
        }
    );
}

#[test]
fn a_pool_has_64_slots_and_claims_of_10_seconds_unless_told() {
    let config = load("--iface eth0 --store local --pattern w{id}", "").unwrap();
    assert_eq!(config.services[0].store, local("w{id}", 64, 10));
}

#[test]
fn a_file_can_say_all_that_flags_can() {
    let flags = "--iface eth0 --iface eth1 --answer any --ingress native --observe --instance one --log-packets \
                 --allow 10.0.0.0/8,fd00::/8 --deny 10.1.0.0/16 --nsid hex:00ff --nsid-period 1h --own-nsid keep \
                 --max-udp-size 1232 --answer-rate 100 \
                 -v --store local --pattern w{id}.x --limit 8 --ttl 1m --listen 192.0.2.1:53 --listen [::1]:5353";
    let file = r#"
        iface = ["eth0", "eth1"]
        answer = "any"
        ingress = "native"
        observe = true
        instance = "one"
        log-packets = true
        verbose = true
        allow = ["10.0.0.0/8", "fd00::/8"]
        deny = "10.1.0.0/16"
        nsid = "hex:00ff"
        nsid-period = "1h"
        own-nsid = "keep"
        max-udp-size = 1232
        answer-rate = 100
        [[services]]
        store = "local"
        pattern = "w{id}.x"
        limit = 8
        ttl = "1m"
        listen = ["192.0.2.1:53", "[::1]:5353"]
    "#;
    let config = load("", file).unwrap();
    assert_eq!(config, load(flags, "").unwrap());
    assert_eq!(config.services[0].store, local("w{id}.x", 8, 60));
    assert!(config.observe && config.log_packets && config.verbose);
}

#[test]
fn each_flag_wins_over_its_key() {
    let file = r#"
        iface = "eth0"
        answer = "any"
        ingress = "native"
        observe = true
        instance = "one"
        log-packets = true
        verbose = true
        allow = "10.0.0.0/8"
        deny = "fd00::/8"
        nsid = "hex:00ff"
        nsid-period = "1h"
        own-nsid = "keep"
        max-udp-size = 1232
        answer-rate = 100
        [[services]]
        store = "static:ns1"
        listen = "192.0.2.1:53"
    "#;
    let flags = "--iface eth9 --answer off --ingress generic --observe=false --instance two --log-packets=false \
                 --allow 10.0.0.0/9 --deny fd00::/9 --nsid name --nsid-period 2h --own-nsid replace \
                 --max-udp-size off --answer-rate off \
                 --verbose=false --store local --pattern v{id}.y --limit 9 --ttl 2m --listen 192.0.2.2:53";
    let config = load(flags, file).unwrap();
    assert_eq!(config, load(flags, "").unwrap());
    assert_eq!(config.services[0].store, local("v{id}.y", 9, 120));
    assert!(!config.observe && !config.log_packets && !config.verbose);
}

#[test]
fn a_flag_changes_its_own_key_alone() {
    let file = "[[services]]\nstore = 'local'\npattern = 'w{id}.x'\nlimit = 8\nttl = '1m'";
    let store = |flags: &str| load(&format!("--iface eth0 {flags}"), file).unwrap().services[0].store.clone();
    assert_eq!(store("--limit 9"), local("w{id}.x", 9, 60));
    assert_eq!(store("--ttl 2m"), local("w{id}.x", 8, 120));
    assert_eq!(store("--pattern v{id}"), local("v{id}", 8, 60));
}

#[test]
fn a_static_name_by_flag_replaces_the_pool_of_the_file_and_keeps_its_addresses() {
    let file = "[[services]]\nstore = 'local'\npattern = 'w{id}.x'\nlimit = 8\nlisten = '192.0.2.1:53'";
    let config = load("--iface eth0 --store static:ns1", file).unwrap();
    assert_eq!(config.services[0].store, by_hand("ns1"));
    assert_eq!(config.services[0].listen, ["192.0.2.1:53".parse().unwrap()]);
}

#[test]
fn several_services_share_an_agent_where_they_listen_apart() {
    let file = "iface = 'eth0'\n[[services]]\nstore = 'static:a'\n\
                [[services]]\nstore = 'static:b'\nlisten = '192.0.2.1:53'";
    let stores = load("", file).unwrap().services.into_iter().map(|service| service.store);
    assert_eq!(stores.collect::<Vec<_>>(), [by_hand("a"), by_hand("b")]);
}

#[test]
fn there_are_as_many_services_as_the_maps_hold_and_no_more() {
    let file = |count: usize| {
        (0..count).fold("iface = 'eth0'\n".to_owned(), |file, i| {
            format!("{file}[[services]]\nstore = 'static:a'\nlisten = '192.0.2.{i}:53'\n")
        })
    };
    assert_eq!(load("", &file(SERVICES_MAX)).unwrap().services.len(), SERVICES_MAX);
    assert!(matches!(load("", &file(SERVICES_MAX + 1)), Err(ConfigError::ManyServices { services: 17, .. })));
}

#[test]
fn services_share_a_witness_only_if_they_share_its_list_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = |digit: &str| {
        let path = dir.path().join(digit);
        fs::write(&path, digit.repeat(64)).unwrap();
        path.display().to_string()
    };
    let (key, other_key) = (key("1"), key("2"));
    let service = |list: &str, key: &str, port: u16| {
        format!(
            "[[services]]\nstore = 'peers://{list}'\ncluster-key-file = '{key}'\npattern = 'w{{id}}.{port}'\n\
             listen = '192.0.2.1:{port}'\n"
        )
    };
    let two = |list: &str, key_of_second: &str| {
        let (first, second) = (service("10.0.0.1", &key, 53), service(list, key_of_second, 5353));
        load("", &format!("iface = 'eth0'\n{first}{second}")).map(|config| config.services.len())
    };
    assert_eq!(two("10.0.0.1", &key).unwrap(), 2);
    assert_eq!(two("10.0.0.1:7401", &other_key).unwrap(), 2);
    for (list, key, told) in [
        ("10.0.0.2,10.0.0.1,10.0.0.3", &key, "both have the witness 10.0.0.1:7400"),
        ("10.0.0.1", &other_key, "not the same cluster-key-file"),
    ] {
        let error = two(list, key).unwrap_err().to_string();
        assert!(error.contains("number 1 and number 2") && error.contains(told), "{error}");
    }
}

#[test]
fn whatever_is_for_a_pool_is_refused_beside_a_name_given_by_hand() {
    for setting in [
        "pattern=w{id}",
        "limit=3",
        "ttl=5s",
        "ca=f",
        "cert=f",
        "key=f",
        "password-file=f",
        "cluster-key-file=f",
        "expect=3",
    ] {
        let error = load(&format!("--iface eth0 --store static:ns1 --{setting}"), "").unwrap_err();
        assert!(matches!(error, ConfigError::NoPool { .. }), "{setting}: {error}");
    }
}

/// One that nobody writes to would keep its reader waiting.
#[test]
fn a_configuration_is_a_regular_file() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("nsid.toml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    for (path, what) in
        [(fifo.as_path(), "a FIFO"), (directory.path(), "a directory"), ("/dev/zero".as_ref(), "a device")]
    {
        let error = load(&format!("--iface eth0 --config {}", path.display()), "").unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()) && error.contains(what), "{error}");
    }
}

#[test]
fn what_is_given_twice_counts_once() {
    let flags =
        "--iface eth0 eth1 eth0 --store static:a --listen [::]:53 --listen 192.0.2.1:53 --listen [::]:53";
    let config = load(flags, "").unwrap();
    assert_eq!(config.interfaces.len(), 2);
    assert_eq!(config.services[0].listen, [Listen::EveryIpv6 { port: 53 }, "192.0.2.1:53".parse().unwrap()]);
}

#[test]
fn what_tls_and_a_password_need_is_asked_for_and_what_nothing_needs_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (text, password) = (file("text", "no certificate"), file("password", "secret\n"));
    let flags = |flags: &str| format!("--iface eth0 --pattern w{{id}} {flags}");
    for (wrong, told) in [
        ("--store etcds://a".to_owned(), "--ca FILE"),
        (format!("--store etcds://a --ca {text}"), "no certificate in it"),
        ("--store etcds://a --ca /nowhere".to_owned(), "--ca /nowhere: No such file"),
        (format!("--store etcds://a --ca {text} --cert {text}"), "give both --cert and --key"),
        (format!("--store etcd://a --ca {text}"), "--ca is for a store over TLS"),
        (format!("--store etcd://a --password-file {password}"), "--password-file is for a user"),
        ("--store zks://a".to_owned(), "--ca FILE"),
        (format!("--store zk://a --cert {text}"), "--cert is for a store over TLS"),
        (format!("--store zk://a --password-file {password}"), "--password-file is for a user"),
        (format!("--store local --key {text}"), "--key is for a store that is reached over a network"),
        ("--store etcd://u@a --password-file /nowhere".to_owned(), "--password-file /nowhere: No such file"),
    ] {
        let error = load(&flags(&wrong), "").unwrap_err().to_string();
        assert!(error.contains(told), "{wrong}: {error}");
    }
    let config = load(&flags(&format!("--store etcd://u@a/dns --password-file {password}")), "").unwrap();
    let StoreConfig::Pool(Pool { place: Place::Etcd(cluster), .. }) = &config.services[0].store else {
        panic!("{config:?}")
    };
    let expected = Credentials { user: "u".into(), password: Password::new("secret".into()) };
    assert_eq!((&*cluster.prefix, &cluster.credentials), ("/dns", &Some(expected)));
    assert_eq!(config.services[0].store.source(), "etcd://a:2379/dns/w{id}");
    assert!(!format!("{config:?}").contains("secret"));
}
