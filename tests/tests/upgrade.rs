//! `nsid upgrade`: an agent goes on as another version, and nobody who asks notices.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use nsid_tests::{
    agent::{Agent, Instance, binary, binary_without_fence, nsid, run_command},
    asker::{Asker, Asks, Tally},
    attached::{Attached, attached, directories},
    boot_clock,
    cluster::{Cluster, Store},
    held_up::{HeldUp, has_thread},
    message::Query,
    patience::{until, within},
    servers::{PRESENT, Software},
    site::Site,
    unique::Prefix,
    wire::{INTERFACE, Wire},
};
use serde_json::Value;
use tempfile::TempDir;

const NAME: &str = "ns1.example.net";

const PATIENCE: Duration = Duration::from_secs(10);

/// Upgrades under load, to each binary in turn.
const UPGRADES: usize = 12;

/// A directory for binaries, in which they may be executed.
fn scratch() -> TempDir {
    tempfile::Builder::new().prefix("nsid-t-").tempdir_in(env::temp_dir()).expect("a temporary directory")
}

/// The agent's own binary by another name, and one with other programs on the same maps.
fn versions(directory: &TempDir) -> [PathBuf; 2] {
    let copy = directory.path().join("nsid-copy");
    fs::copy(binary(), &copy).expect("room for a copy");
    [binary_without_fence(), copy]
}

fn upgrade(instance: &Instance, to: &Path) -> Value {
    let output = instance.upgrade(to);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The programs of an agent's interface, by their ids.
fn programs(wire: &Wire) -> (String, String) {
    let xdp = wire.server.ip_shows("-d -o link show dev eth0");
    let id = xdp.split_once("prog/xdp id ").map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
    (id.unwrap_or_default().to_owned(), format!("{:?}", attached(&wire.server, INTERFACE)))
}

/// The kernel detaches a link some time after its last holder is gone (`bpf_link_put`, kernel/bpf/syscall.c).
fn until_nothing_is_attached(wire: &Wire) {
    until(PATIENCE, "the programs to be gone", || attached(&wire.server, INTERFACE) == Attached::default());
}

fn under_load(software: Software) {
    let directory = scratch();
    let versions = versions(&directory);
    let mut site = Site::new(software, NAME);
    let pid = site.agent.id();
    let askers: Vec<_> = site
        .wire
        .addresses
        .both()
        .into_iter()
        .flat_map(|server| [(server, Asks::WithNsid), (server, Asks::WithNsid), (server, Asks::IdServer)])
        .map(|(server, asks)| Asker::start(&site.wire.client, server, asks, NAME))
        .collect();
    let mut before = programs(&site.wire);
    let mut upgrades = Vec::new();
    for to in versions.iter().cycle().take(UPGRADES) {
        let began = boot_clock::now();
        let told = upgrade(site.agent.instance(), to);
        upgrades.push(began..=boot_clock::now());
        // A busy machine may keep it from answering a verb in time.
        until(PATIENCE, "the successor to tell its version", || site.agent.status()["version"] == told["to"]);
        let after = programs(&site.wire);
        assert_ne!(after.0, before.0, "the program is another one");
        assert_eq!(after.1, before.1, "attached once");
        before = after;
    }
    let tallies: Vec<Tally> = askers.into_iter().map(Asker::stop).collect();
    for tally in &tallies {
        assert!(tally.named > 100, "{tallies:?}");
        assert!(tally.others.is_empty() && tally.lost.is_empty(), "{tallies:?}, upgraded in {upgrades:?}");
    }
    assert_eq!(site.agent.ready(), NAME);
    assert_eq!(site.agent.stdout(), format!("ready: {NAME}\n").repeat(UPGRADES + 1));
    assert_eq!(site.agent.id(), pid);
    let (ended, instance) = site.agent.terminate();
    assert!(ended.success(), "{ended}");
    until_nothing_is_attached(&site.wire);
    assert_eq!(directories(instance.name()), Vec::<String>::new());
}

#[test]
fn no_answer_of_nsd_is_lost_or_without_the_name_while_programs_are_swapped() {
    under_load(Software::Nsd);
}

#[test]
fn no_answer_of_unbound_is_lost_or_without_the_name_while_programs_are_swapped() {
    under_load(Software::Unbound);
}

/// A pool all of whose names are held, as few as there can be.
struct Pool {
    /// Has one of them.
    agent: Agent,
    others: Vec<Agent>,
    /// Waits for one.
    next: Agent,
    cluster: Cluster,
}

impl Pool {
    fn of(store: Store, ttl: &str) -> Self {
        let holders = store.founders();
        let limit = holders.to_string();
        let arguments = ["--ttl", ttl, "--limit", &limit];
        let cluster = Cluster::with_servers(store, holders + 1);
        let next = usize::from(holders);
        let mut others: Vec<Agent> = (0..next).map(|node| cluster.spawn(node, &arguments)).collect();
        for agent in &mut others {
            agent.ready();
        }
        let agent = others.swap_remove(0);
        let next = cluster.spawn(next, &arguments);
        next.until_claim_is("waiting");
        Self { agent, others, next, cluster }
    }
}

fn keeps_slot_and_token(store: Store) {
    const TTL: Duration = Duration::from_secs(15);
    let directory = scratch();
    let versions = versions(&directory);
    let Pool { mut agent, others, next, cluster } = Pool::of(store, "15s");
    let name = agent.ready();
    let claim = |status: &Value| {
        let service = &status["services"][0];
        (service["slot"].clone(), service["token"].clone(), service["store"]["state"].clone())
    };
    let held = claim(&agent.status());
    let asker =
        Asker::start(&cluster.star.hub, cluster.star.nodes[0].addresses.v4.into(), Asks::WithNsid, &name);
    for to in versions.iter().cycle().take(4) {
        let told = upgrade(agent.instance(), to);
        assert_eq!(
            (&told["services"][0]["slot"], &told["services"][0]["token"]),
            (&held.0, &held.1),
            "{told}"
        );
        assert_eq!(claim(&agent.status()), held);
    }
    // Longer than what the first program was granted: the last one renews.
    thread::sleep(TTL + Duration::from_secs(1));
    assert_eq!(claim(&agent.status()), held);
    assert_eq!(next.is_ready(), None, "the next in line was given the slot");
    assert!(others.iter().all(|other| other.is_ready().is_some()), "another one lost its name");
    let tally = asker.stop();
    assert!(tally.named > 100 && tally.others.is_empty() && tally.lost.is_empty(), "{tally:?}");
    if store == Store::Etcd {
        // What a claim has left for another lease ends by itself.
        within(TTL * 2, "one lease each", || {
            let leases = cluster.etcd().ctl(&cluster.star.hub, &["lease", "list"]).expect("etcd answers");
            leases.contains("found 2 leases").then_some(())
        });
    }
    let (ended, _instance) = agent.terminate();
    assert!(ended.success(), "{ended}");
    let mut next = next;
    assert_eq!(next.ready(), name, "what was taken over is given back");
}

#[test]
fn a_name_of_the_local_store_keeps_its_slot_and_token() {
    keeps_slot_and_token(Store::Local);
}

#[test]
fn a_name_from_etcd_keeps_its_slot_token_and_lease() {
    keeps_slot_and_token(Store::Etcd);
}

#[test]
fn a_name_from_zookeeper_keeps_its_slot_token_and_session() {
    keeps_slot_and_token(Store::ZooKeeper);
}

#[test]
fn a_name_from_witnesses_keeps_its_slot_and_token() {
    keeps_slot_and_token(Store::Witnesses);
}

#[test]
fn a_witnesss_own_name_keeps_its_slot_and_token() {
    keeps_slot_and_token(Store::Peers);
}

/// Its first thread is the one that attaches.
fn keeps_its_name_though_it_starts_slowly(store: Store) {
    const TTL: Duration = Duration::from_secs(3);
    let Pool { mut agent, others, next, cluster } = Pool::of(store, "3s");
    let name = agent.ready();
    let token = || agent.status()["services"][0]["token"].clone();
    let held = token();
    let asker =
        Asker::start(&cluster.star.hub, cluster.star.nodes[0].addresses.v4.into(), Asks::WithNsid, &name);
    thread::scope(|verb| {
        let upgraded = verb.spawn(|| upgrade(agent.instance(), &binary()));
        let held_up = within(PATIENCE, "the successor to start", || {
            has_thread(agent.id(), "meanwhile").then(|| HeldUp::first_thread(agent.id()))
        });
        let held_up = held_up.expect("root may trace it");
        assert!(has_thread(agent.id(), "meanwhile"), "it has not attached yet");
        thread::sleep(TTL + TTL / 3);
        drop(held_up);
        upgraded.join().expect("the verb succeeds");
    });
    assert_eq!(token(), held);
    assert_eq!(next.is_ready(), None, "the next in line was given the slot");
    let tally = asker.stop();
    assert!(tally.named > 100 && tally.others.is_empty() && tally.lost.is_empty(), "{tally:?}");
    assert!(others.iter().all(|other| other.is_ready().is_some()), "another one lost its name");
    let (ended, _instance) = agent.terminate();
    assert!(ended.success(), "{ended}");
}

#[test]
fn a_start_that_takes_longer_than_a_local_claim_loses_no_name() {
    keeps_its_name_though_it_starts_slowly(Store::Local);
}

#[test]
fn a_start_that_takes_longer_than_a_claim_in_etcd_loses_no_name() {
    keeps_its_name_though_it_starts_slowly(Store::Etcd);
}

#[test]
fn a_start_that_takes_longer_than_a_claim_in_zookeeper_loses_no_name() {
    keeps_its_name_though_it_starts_slowly(Store::ZooKeeper);
}

#[test]
fn a_start_that_takes_longer_than_a_claim_from_witnesses_loses_no_name() {
    keeps_its_name_though_it_starts_slowly(Store::Witnesses);
}

#[test]
fn a_start_that_takes_longer_than_a_witnesss_own_claim_loses_no_name() {
    keeps_its_name_though_it_starts_slowly(Store::Peers);
}

fn script(directory: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("room for a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
    path
}

#[test]
fn what_is_not_fit_is_refused_with_its_reason_and_the_agent_goes_on() {
    let directory = scratch();
    let site = Site::new(Software::Nsd, NAME);
    let before = programs(&site.wire);
    let path = binary();
    let path = path.display();
    for (to, reason) in [
        (PathBuf::from("/bin/true"), "does not answer as nsid does"),
        (PathBuf::from("/etc/passwd"), "cannot be run"),
        (directory.path().join("absent"), "No such file"),
        (script(&directory, "older", "echo 'error: unexpected argument' >&2; exit 2"), "unexpected argument"),
        // It may not load its programs.
        (
            script(&directory, "bare", &format!("exec setpriv --bounding-set=-net_admin {path} \"$@\"")),
            "capability",
        ),
    ] {
        let output = site.agent.instance().upgrade(&to);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{to:?}: {stderr}");
        assert!(stderr.contains(reason) && stderr.lines().count() == 1, "{to:?}: {stderr}");
        assert_eq!(programs(&site.wire), before, "{to:?}");
        for client in site.clients() {
            assert_eq!(client.ask(&Query::a(PRESENT).with_nsid()).nsid().as_deref(), Some(NAME));
        }
    }
    assert_eq!(site.agent.stdout(), format!("ready: {NAME}\n"));
}

#[test]
fn an_agent_whose_configuration_is_broken_meanwhile_is_not_upgraded() {
    let directory = scratch();
    let wire = Wire::direct();
    let config = directory.path().join("nsid.toml");
    let good = format!("iface = [\"{INTERFACE}\"]\n[[services]]\nstore = \"static:{NAME}\"\n");
    fs::write(&config, &good).expect("a temporary file");
    let instance = Instance::new(Prefix::Test);
    let arguments = ["--config", config.to_str().expect("a path in UTF-8")];
    let command = run_command(&binary(), &instance, &wire.server, &arguments);
    let mut agent = Agent::spawn_command(instance, &wire.server, command);
    assert_eq!(agent.ready(), NAME);
    for (text, reason) in
        [(good.replace("iface", "ifaces"), "ifaces"), (good.replace(INTERFACE, "eth7"), "eth7")]
    {
        fs::write(&config, &text).expect("a temporary file");
        let output = agent.instance().upgrade(&binary());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains(reason), "{text}: {stderr}");
        assert_eq!(agent.stdout(), format!("ready: {NAME}\n"));
    }
}

#[test]
fn an_agent_goes_on_with_the_files_that_are_where_it_was_started() {
    let directory = scratch();
    let wire = Wire::direct();
    let file = |name: &str, store: &str| {
        let path = directory.path().join(name);
        let text = format!("iface = [\"{INTERFACE}\"]\n[[services]]\nstore = \"static:{store}\"\n");
        fs::write(&path, text).expect("a temporary file");
        path.display().to_string()
    };
    let (config, own) = (file("nsid.toml", "host.example.net"), file("own.toml", NAME));
    let instance = Instance::new(Prefix::Test);
    let script = format!(
        "mount --bind {own} {config}; exec {} run --instance {} --ingress native --config {config}",
        binary().display(),
        instance.name()
    );
    let mut command = wire.server.command("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    let mut agent = Agent::spawn_command(instance, &wire.server, command);
    assert_eq!(agent.ready(), NAME);
    upgrade(agent.instance(), &binary());
    agent.hang_up();
    for client in wire.clients() {
        assert_eq!(client.ask(&Query::identity("id.server.")).text().as_deref(), Some(NAME));
    }
}

#[test]
fn policies_that_were_set_meanwhile_are_kept() {
    let site = Site::new(Software::Nsd, NAME);
    let instance = site.agent.instance();
    let set =
        ["nsid=hex:6e7332", "allow=10.77.0.0/16", "own-nsid=keep", "max-udp-size=1400", "answer-rate=5000"];
    let output = nsid(&[&["set", "--instance", instance.name()], &set[..]].concat());
    assert!(output.status.success(), "{output:?}");
    let policies = || instance.status()["policies"].clone();
    let before = policies();
    let [v4, _] = site.wire.addresses.both();
    let asker = Asker::start(&site.wire.client, v4, Asks::WithNsid, "ns2");
    upgrade(instance, &binary());
    assert_eq!(policies(), before);
    let tally = asker.stop();
    assert!(tally.named > 10 && tally.others.is_empty() && tally.lost.is_empty(), "{tally:?}");
}

#[test]
fn nobody_there_is_nobody_to_upgrade() {
    let instance = Instance::new(Prefix::Test);
    let output = instance.upgrade(&binary());
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(instance.name()) && stderr.contains("nsid run"), "{stderr}");
}

/// Whichever of the two programs is told.
#[test]
fn sigterm_in_the_midst_of_an_upgrade_ends_the_agent_in_good_order() {
    for after in (0..12).map(|step| Duration::from_millis(25 * step)) {
        let wire = Wire::direct();
        let store = format!("static:{NAME}");
        let agent = Agent::start(&wire.server, &["--iface", INTERFACE, "--store", &store]);
        let mut verb = Command::new(binary());
        verb.args(["upgrade", "--instance", agent.instance().name()]);
        let mut verb = verb.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nsid can be run");
        thread::sleep(after);
        let (ended, instance) = agent.terminate();
        let _either_way = verb.wait().expect("our own child");
        assert_eq!(ended.code(), Some(0), "told after {after:?}: {ended}");
        until_nothing_is_attached(&wire);
        assert_eq!(directories(instance.name()), Vec::<String>::new(), "told after {after:?}");
    }
}
