//! Names from a real etcd: who gets which, who waits, and whom etcd refuses.

use std::{fs, path::PathBuf, thread, time::Duration};

use nsid_tests::{
    agent::{Agent, Instance, binary, run_command, run_refused},
    authority::Authority,
    boot_clock,
    cluster::{Cluster, Store},
    etcd::Etcd,
    patience::{until, within},
    pool::Pool,
    star::Star,
    unique::Prefix,
    wire::INTERFACE,
};
use tempfile::TempDir;

#[test]
fn who_gets_no_slot_waits_in_line_says_so_once_and_takes_the_next_free_one() {
    let cluster = Cluster::new(Store::Etcd, 3);
    let arguments = ["--limit", "1", "--ttl", "2s"];
    let mut holder = cluster.spawn(0, &arguments);
    let name = holder.ready();
    let mut waiting: Vec<Agent> = [1, 2].map(|node| cluster.spawn(node, &arguments)).into();
    for agent in &waiting {
        agent.until_claim_is("waiting");
    }
    // Longer than a lease: who waits keeps its place.
    thread::sleep(Duration::from_secs(3));
    while !waiting.is_empty() {
        for agent in &waiting {
            let status = agent.status();
            let service = &status["services"][0];
            assert_eq!(service["store"]["state"], "waiting", "{status}");
            assert!(service["name"].is_null() && service["slot"].is_null(), "{status}");
            assert_eq!(agent.logged("waiting in line"), 1, "{}", agent.stderr());
            assert_eq!(agent.stdout(), "");
        }
        let (status, _instance) = holder.terminate();
        assert!(status.success(), "{status}");
        let next = within(Duration::from_secs(1), "one of those in line to have the name", || {
            waiting.iter().position(|agent| agent.is_ready().is_some())
        });
        holder = waiting.remove(next);
        assert_eq!(holder.ready(), name);
    }
}

#[test]
fn a_slot_whose_record_cannot_be_read_is_out_of_use_and_told_once() {
    let cluster = Cluster::new(Store::Etcd, 1);
    let key = format!("/nsid/{}/slots/0", cluster.pool.pattern());
    cluster.etcd().ctl(&cluster.star.hub, &["put", &key, "somebody's"]).expect("etcd answers");
    let mut agent = cluster.spawn(0, &["--limit", "3"]);
    assert_eq!(agent.ready(), cluster.pool.name(1));
    assert_eq!(agent.logged("is no record of this version"), 1, "{}", agent.stderr());
    assert_eq!(agent.logged(&key), 1, "{}", agent.stderr());
}

#[test]
fn an_agent_with_a_name_from_etcd_takes_at_most_12_mb_of_memory() {
    let cluster = Cluster::new(Store::Etcd, 1);
    let mut agent = cluster.spawn(0, &["--ttl", "2s"]);
    agent.ready();
    // Some renewals.
    thread::sleep(Duration::from_secs(3));
    assert_eq!(agent.is_ready(), Some(cluster.pool.name(0)));
    let kib = agent.resident_kib();
    assert!(kib <= 12 * 1024, "{kib} KiB");
}

#[test]
fn a_malformed_address_is_a_usage_error_that_tells_how_to_write_one() {
    let cluster = Cluster::new(Store::Local, 1);
    let instance = Instance::new(Prefix::Test);
    for (store, at_fault, fix) in [
        ("etcd://10.77.0.1:port", "10.77.0.1:port", "etcd://HOST:PORT"),
        ("etcd://", "\"\"", "etcd://HOST:PORT"),
        ("etcd://10.77.0.1:2379,http://10.77.0.2", "http://10.77.0.2", "etcd://HOST:PORT"),
        ("etcd://@10.77.0.1", "the user stands", "etcd://USER@HOST:PORT"),
        // Nothing has put it into the environment.
        ("etcd://nsid@10.77.0.1", "no password", "NSID_ETCD_PASSWORD"),
    ] {
        let arguments = ["--iface", INTERFACE, "--store", store, "--pattern", "worker{id}.test"];
        let output = run_refused(&cluster.star.nodes[0].namespace, &instance, &arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{store}: {stderr}");
        assert!(stderr.contains(at_fault) && stderr.contains(fix), "{store}: {stderr}");
        assert!((1..=3).contains(&stderr.lines().count()), "{store}: {stderr}");
    }
}

#[test]
fn a_password_in_an_address_is_refused_and_not_repeated() {
    let cluster = Cluster::new(Store::Local, 1);
    let namespace = &cluster.star.nodes[0].namespace;
    let instance = Instance::new(Prefix::Test);
    let store = "etcd://nsid:secret@10.77.0.1";
    let directory = namespace.scratch();
    let file = directory.path().join("nsid.toml");
    let text = format!(
        "iface = [\"{INTERFACE}\"]\n[[services]]\nstore = \"{store}\"\npattern = \"worker{{id}}.test\"\n"
    );
    fs::write(&file, text).expect("a temporary file");
    let file = file.to_str().expect("a path in UTF-8");
    for arguments in
        [&["--iface", INTERFACE, "--store", store, "--pattern", "worker{id}.test"][..], &["--config", file]]
    {
        let output = run_refused(namespace, &instance, arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("NSID_ETCD_PASSWORD"), "{stderr}");
        assert!(!stderr.contains("secret"), "{arguments:?}: {stderr}");
    }
}

const PASSWORD: &str = "correct-horse";

/// An etcd with access control, whose user `nsid` may do what is needed, and `stranger` may not.
fn guarded() -> Cluster {
    let cluster = Cluster::new(Store::Etcd, 1);
    guard(cluster.etcd(), &cluster.star);
    cluster
}

fn guard(etcd: &Etcd, star: &Star) {
    let password = format!("nsid:{PASSWORD}");
    for arguments in [
        &["user", "add", "root:root's"][..],
        &["user", "grant-role", "root", "root"],
        &["role", "add", "names"],
        &["role", "grant-permission", "names", "--prefix=true", "readwrite", "/nsid/"],
        &["user", "add", &password],
        &["user", "grant-role", "nsid", "names"],
        &["user", "add", "stranger:stranger's"],
        &["auth", "enable"],
    ] {
        let done = etcd.ctl(&star.hub, arguments);
        assert!(done.is_some(), "etcdctl {arguments:?}");
    }
}

fn spawn_as_user(cluster: &Cluster, user_at: &str, password: Option<&str>) -> Agent {
    let instance = Instance::new(Prefix::Test);
    let store = format!("etcd://{user_at}{}", cluster.etcd().endpoint());
    let pattern = cluster.pool.pattern();
    let arguments =
        ["--verbose", "--iface", INTERFACE, "--store", &store, "--pattern", &pattern, "--ttl", "2s"];
    let namespace = &cluster.star.nodes[0].namespace;
    let mut command = run_command(&binary(), &instance, namespace, &arguments);
    if let Some(password) = password {
        command.env("NSID_ETCD_PASSWORD", password);
    }
    Agent::spawn_command(instance, namespace, command)
}

#[test]
fn credentials_that_etcd_refuses_end_the_agent_at_once_and_the_error_tells_what_to_do() {
    let cluster = guarded();
    for (user_at, password, reason) in [
        ("", None, "user name is empty"),
        ("nsid@", Some("wrong"), "authentication failed"),
        ("nobody@", Some(PASSWORD), "authentication failed"),
        ("stranger@", Some("stranger's"), "permission denied"),
    ] {
        let start = boot_clock::now();
        let mut agent = spawn_as_user(&cluster, user_at, password);
        let status = agent.wait();
        let took = boot_clock::now().saturating_sub(start);
        let stderr = agent.stderr();
        assert_eq!(status.code(), Some(1), "{user_at}: {stderr}");
        assert!(took < Duration::from_secs(3), "{user_at}: {took:?}");
        let error = stderr.lines().find(|line| line.starts_with("error: ")).expect("an error");
        for part in [reason, "etcd://USER@HOST:PORT", "NSID_ETCD_PASSWORD"] {
            assert!(error.contains(part), "{user_at}: no {part:?}: {error}");
        }
        assert_eq!(agent.stdout(), "");
    }
}

#[test]
fn the_right_credentials_are_taken_and_the_password_is_told_to_nobody() {
    let cluster = guarded();
    let mut agent = spawn_as_user(&cluster, "nsid@", Some(PASSWORD));
    assert_eq!(agent.ready(), cluster.pool.name(0));
    // The log is written beside.
    until(Duration::from_secs(1), "the log to tell of the slot", || agent.stderr().contains("is ours"));
    for text in agent.told() {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    let (ended, _instance) = agent.terminate();
    assert!(ended.success(), "{ended}");
}

#[test]
fn a_holder_whose_rights_were_taken_away_has_its_name_again_once_it_has_them() {
    let cluster = guarded();
    let mut agent = spawn_as_user(&cluster, "nsid@", Some(PASSWORD));
    let name = agent.ready();
    let root = |arguments: &[&str]| {
        let done = cluster.etcd().ctl(&cluster.star.hub, &[&["--user", "root:root's"], arguments].concat());
        assert!(done.is_some(), "etcdctl {arguments:?}");
    };
    root(&["role", "revoke-permission", "names", "--prefix=true", "/nsid/"]);
    until(Duration::from_secs(10), "the agent to tell", || {
        agent.logged("permission denied); name a user") == 1
    });
    agent.until_claim_is("unreachable");
    assert_eq!(agent.stdout(), format!("ready: {name}\nlost: {name}\n"));
    assert!(agent.ended().is_none(), "{}", agent.stderr());
    root(&["role", "grant-permission", "names", "--prefix=true", "readwrite", "/nsid/"]);
    assert_eq!(agent.ready(), name);
}

/// An etcd that speaks TLS alone, wants certificates of its clients, and has access control.
struct OverTls {
    etcd: Etcd,
    pool: Pool,
    authority: Authority,
    stranger: Authority,
    directory: TempDir,
    /// Of whom its agents believe.
    believed: PathBuf,
    star: Star,
}

impl OverTls {
    fn new() -> Self {
        let star = Star::new(Prefix::Test, 1);
        let address = star.addresses.v4.into();
        let [authority, stranger] = [(); 2].map(|()| Authority::new(&star.hub, address));
        let etcd = Etcd::start_over_tls(&star.hub, address, &authority);
        guard(&etcd, &star);
        let directory = star.hub.scratch();
        let believed = directory.path().join("ca");
        Self { etcd, pool: Pool::new(Prefix::Test), authority, stranger, directory, believed, star }
    }

    /// An agent that believes one authority, has a certificate of another, and gives that password.
    fn spawn(&self, believed: &Authority, own: &Authority, password: &str) -> Agent {
        let file = self.directory.path().join("password");
        fs::write(&file, format!("{password}\n")).expect("room for a password");
        fs::copy(believed.ca(), &self.believed).expect("room for a certificate");
        let [ca, cert, key, file] =
            [self.believed.clone(), own.cert(), own.key(), file].map(|path| path.display().to_string());
        let store = format!("etcds://nsid@{}", self.etcd.endpoint());
        let pattern = self.pool.pattern();
        let name = ["--verbose", "--iface", INTERFACE, "--store", &store, "--pattern", &pattern];
        let files = ["--ca", &ca, "--cert", &cert, "--key", &key, "--password-file", &file];
        let namespace = &self.star.nodes[0].namespace;
        let instance = Instance::new(Prefix::Test);
        let command = run_command(&binary(), &instance, namespace, &[&name[..], &files].concat());
        Agent::spawn_command(instance, namespace, command)
    }
}

#[test]
fn over_tls_with_a_certificate_and_a_password_from_a_file_an_agent_gets_its_name_and_tells_no_secret() {
    let site = OverTls::new();
    let OverTls { authority, .. } = &site;
    let mut agent = site.spawn(authority, authority, PASSWORD);
    assert_eq!(agent.ready(), site.pool.name(0));
    // The log is written beside.
    until(Duration::from_secs(1), "the log to tell of the slot", || agent.stderr().contains("is ours"));
    let key = fs::read_to_string(authority.key()).expect("a key");
    let secret = key.lines().nth(1).expect("a line of the key");
    for text in agent.told() {
        assert!(!text.contains(PASSWORD) && !text.contains(secret), "{text}");
    }
    let (ended, _instance) = agent.terminate();
    assert!(ended.success(), "{ended}");
}

#[test]
fn certificates_that_were_exchanged_are_taken_by_an_upgrade_in_place_which_sighup_advises() {
    let site = OverTls::new();
    let mut agent = site.spawn(&site.authority, &site.authority, PASSWORD);
    let name = agent.ready();
    let [now, next] = [&site.authority, &site.stranger].map(|of| fs::read(of.ca()).expect("a certificate"));
    fs::write(&site.believed, [now, next].concat()).expect("room for both");
    agent.hang_up();
    until(Duration::from_secs(5), "the log to tell what to do", || agent.logged("nsid upgrade") == 1);
    let output = agent.instance().upgrade(&binary());
    assert!(output.status.success(), "{output:?}");
    agent.hang_up();
    until(Duration::from_secs(5), "SIGHUP to change nothing", || {
        agent.logged("configuration read again") == 2
    });
    assert_eq!(agent.logged("nothing is changed"), 1, "{}", agent.stderr());
    assert_eq!(agent.is_ready(), Some(name));
    assert_eq!(agent.logged("no longer ours"), 0, "{}", agent.stderr());
}

#[test]
fn a_wrong_authority_certificate_or_password_is_told_apart_and_names_nobody() {
    let site = OverTls::new();
    let OverTls { authority, stranger, .. } = &site;
    // What waiting may mend is waited for: certificates are renewed.
    for (believed, own, reason) in [(stranger, authority, "--ca"), (authority, stranger, "--cert")] {
        let agent = site.spawn(believed, own, PASSWORD);
        agent.until_claim_is("unreachable");
        // Who refuses a certificate says so and hangs up: not each time is that read before a write fails.
        until(Duration::from_secs(20), "the log to tell why", || agent.logged(reason) > 0);
        assert_eq!(agent.logged("does not answer"), 1, "{}", agent.stderr());
        assert_eq!(agent.stdout(), "");
    }
    let mut agent = site.spawn(authority, authority, "wrong");
    let status = agent.wait();
    let stderr = agent.stderr();
    assert_eq!(status.code(), Some(1), "{stderr}");
    let error = stderr.lines().find(|line| line.starts_with("error: ")).expect("an error");
    for part in ["authentication failed", "--password-file"] {
        assert!(error.contains(part), "no {part:?}: {error}");
    }
    assert_eq!(agent.stdout(), "");
}
