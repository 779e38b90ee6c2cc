//! Names from a real ZooKeeper: who gets which, who waits, what an outage does, and whom ZooKeeper refuses.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    thread,
    time::Duration,
};

use nsid_tests::{
    agent::{Agent, Instance, binary, run_command},
    authority::Authority,
    cluster::{Cluster, Store},
    netns::Namespace,
    patience::{until, within},
    pool::Pool,
    servers::{Server, Software},
    star::Star,
    unique::Prefix,
    wire::INTERFACE,
    zookeeper::{Mode, ZooKeeper},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// What the log tells of an outage.
const GONE: &str = "the store does not answer";

#[test]
fn agents_get_the_lowest_names_and_who_waits_in_line_takes_the_next_free_one() {
    let cluster = Cluster::new(Store::ZooKeeper, 4);
    let arguments = ["--limit", "3", "--ttl", "2s"];
    let mut agents: Vec<Agent> = (0..3).map(|node| cluster.spawn(node, &arguments)).collect();
    let mut names: Vec<String> = agents.iter_mut().map(Agent::ready).collect();
    names.sort();
    assert_eq!(names, [0, 1, 2].map(|slot| cluster.pool.name(slot)));
    let mut waiting = cluster.spawn(3, &arguments);
    waiting.until_claim_is("waiting");
    // Longer than a session: who waits keeps its place.
    thread::sleep(Duration::from_secs(3));
    assert_eq!(waiting.status()["services"][0]["store"]["kind"], "zookeeper");
    assert_eq!((waiting.stdout(), waiting.logged("waiting in line")), (String::new(), 1));
    let mut first = agents.remove(0);
    let name = first.ready();
    let (status, _instance) = first.terminate();
    assert!(status.success(), "{status}");
    within(Duration::from_secs(1), "the next in line to have the name", || waiting.is_ready());
    assert_eq!(waiting.ready(), name);
}

#[test]
fn an_agent_with_a_name_from_zookeeper_takes_at_most_12_mb_of_memory() {
    let cluster = Cluster::new(Store::ZooKeeper, 1);
    let mut agent = cluster.spawn(0, &["--ttl", "2s"]);
    agent.ready();
    // Some renewals.
    thread::sleep(Duration::from_secs(3));
    assert_eq!(agent.is_ready(), Some(cluster.pool.name(0)));
    let kib = agent.resident_kib();
    assert!(kib <= 12 * 1024, "{kib} KiB");
}

/// The longest for which the promise holds.
const TICK: Duration = Duration::from_millis(500);

/// Three servers, each on an address of its own behind the hub's.
fn ensemble(hub: &Namespace) -> Vec<ZooKeeper> {
    let addresses = ["10.77.250.1", "10.77.250.2", "10.77.250.3"];
    hub.ip_batch(&addresses.map(|address| format!("addr add {address}/32 dev lo")));
    let places = addresses.map(|address| (hub, address.parse::<IpAddr>().expect("an address")));
    ZooKeeper::start_ensemble(&places, TICK)
}

#[test]
fn the_death_of_any_server_of_three_withdraws_no_name() {
    let star = Star::new(Prefix::Test, 2);
    let servers: Vec<Server> = star
        .nodes
        .iter()
        .map(|node| Server::start_default(Software::Nsd, &node.namespace, node.addresses))
        .collect();
    let mut members = ensemble(&star.hub);
    let pool = Pool::new(Prefix::Test);
    let endpoints: Vec<String> = members.iter().map(|member| member.endpoint().to_string()).collect();
    let (store, pattern) = (format!("zk://{}", endpoints.join(",")), pool.pattern());
    let arguments = ["--iface", INTERFACE, "--store", &store, "--pattern", &pattern, "--ttl", "5s"];
    let mut agents: Vec<Agent> = star
        .nodes
        .iter()
        .map(|node| {
            let instance = Instance::new(Prefix::Test);
            let command = run_command(&binary(), &instance, &node.namespace, &arguments);
            Agent::spawn_command(instance, &node.namespace, command)
        })
        .collect();
    let names: Vec<String> = agents.iter_mut().map(Agent::ready).collect();
    // The leader twice, whoever is, and a follower.
    for victim in [Mode::Leader, Mode::Follower, Mode::Leader] {
        let is_victim = |member: &ZooKeeper| member.mode(&star.hub) == Some(victim);
        let member = members.iter().position(is_victim).expect("a majority serves");
        members[member].kill();
        // As long as a lease that was not renewed would last.
        thread::sleep(Duration::from_secs(6));
        members[member].restart(&star.hub);
    }
    for (agent, name) in agents.iter().zip(&names) {
        assert_eq!(agent.stdout(), format!("ready: {name}\n"), "{}", agent.stderr());
    }
    drop(agents);
    drop(servers);
}

const PASSWORD: &str = "correct-horse";

/// A ZooKeeper in which the node `/nsid` is the user `nsid`'s: to look, and to make pools below.
fn guarded() -> Cluster {
    let cluster = Cluster::new(Store::ZooKeeper, 1);
    guard(cluster.zookeeper(), &cluster.star.hub);
    cluster
}

fn guard(zookeeper: &ZooKeeper, hub: &Namespace) {
    let told = zookeeper.cli(
        hub,
        &format!(
            "addauth digest nsid:{PASSWORD}\ncreate /nsid\nsetAcl /nsid auth:nsid:{PASSWORD}:cr\ngetAcl /nsid"
        ),
    );
    assert!(told.contains("'digest,'nsid:") && told.contains(": cr"), "{told}");
}

#[test]
fn who_has_no_rights_ends_at_once_and_the_error_tells_what_to_do() {
    let cluster = guarded();
    for (user_at, password) in [("", None), ("nsid@", Some("wrong")), ("nobody@", Some(PASSWORD))] {
        let mut agent = cluster.spawn_as_user(user_at, password);
        let status = agent.wait();
        let stderr = agent.stderr();
        assert_eq!(status.code(), Some(1), "{user_at}: {stderr}");
        let error = stderr.lines().find(|line| line.starts_with("error: ")).expect("an error");
        for part in
            ["no rights", "/nsid", "zk://USER@HOST:PORT", "--password-file", "NSID_ZOOKEEPER_PASSWORD"]
        {
            assert!(error.contains(part), "{user_at}: no {part:?}: {error}");
        }
        assert_eq!(agent.stdout(), "");
    }
}

#[test]
fn the_least_rights_suffice_and_the_password_is_told_to_nobody() {
    let cluster = guarded();
    let mut agent = cluster.spawn_as_user("nsid@", Some(PASSWORD));
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
fn a_session_of_another_length_than_was_asked_for_is_told() {
    let cluster = Cluster::new(Store::ZooKeeper, 1);
    // The longest that this ZooKeeper grants is ten minutes.
    let mut agent = cluster.spawn(0, &["--ttl", "20m"]);
    agent.ready();
    until(PATIENCE, "the log to tell of it", || agent.logged("maxSessionTimeout") == 1);
    assert!(agent.stderr().contains("600s where 1200s was asked for"), "{}", agent.stderr());
}

#[test]
fn over_tls_an_agent_has_its_name_as_a_user_and_whom_either_side_does_not_believe_is_told_so() {
    let star = Star::new(Prefix::Test, 1);
    let address = star.addresses.v4.into();
    let [authority, stranger] = [(); 2].map(|()| Authority::new(&star.hub, address));
    let zookeeper = ZooKeeper::start_over_tls(&star.hub, address, &authority);
    guard(&zookeeper, &star.hub);
    let directory = star.hub.scratch();
    let password = directory.path().join("password");
    fs::write(&password, format!("{PASSWORD}\n")).expect("room for a password");
    let pool = Pool::new(Prefix::Test);
    let spawn = |endpoint: SocketAddr, believed: &Authority, own: Option<&Authority>| {
        let path = |path: PathBuf| path.display().to_string();
        let (store, pattern) = (format!("zks://nsid@{endpoint}/nsid"), pool.pattern());
        let (ca, password) = (path(believed.ca()), path(password.clone()));
        let own = own.map(|own| [path(own.cert()), path(own.key())]);
        let mut arguments = vec!["--iface", INTERFACE, "--store", &store, "--pattern", &pattern];
        arguments.extend(["--ttl", "5s", "--ca", &ca, "--password-file", &password]);
        if let Some([cert, key]) = &own {
            arguments.extend(["--cert", cert, "--key", key]);
        }
        Agent::spawn(&star.nodes[0].namespace, &arguments)
    };
    let (over_tls, plain) = (zookeeper.endpoint_over_tls(), zookeeper.endpoint());
    for (endpoint, believed, own, told) in [
        (over_tls, &stranger, Some(&authority), "--ca"),
        (over_tls, &authority, Some(&stranger), "--cert"),
        (over_tls, &authority, None, "--cert"),
        (plain, &authority, Some(&authority), "zk://"),
    ] {
        let agent = spawn(endpoint, believed, own);
        until(PATIENCE, &format!("the log to tell of {told}"), || agent.logged(told) > 0);
        assert_eq!((agent.logged(GONE), agent.stdout()), (1, String::new()), "{}", agent.stderr());
    }
    let mut agent = spawn(over_tls, &authority, Some(&authority));
    assert_eq!(agent.ready(), pool.name(0));
    // Longer than a lease.
    thread::sleep(Duration::from_secs(6));
    assert_eq!(agent.stdout(), format!("ready: {}\n", pool.name(0)), "{}", agent.stderr());
    for text in agent.told() {
        assert!(!text.contains(PASSWORD), "{text}");
    }
}

#[test]
fn a_slot_that_somebody_deletes_is_said_no_more_long_before_the_next_renewal() {
    let cluster = Cluster::with_servers(Store::ZooKeeper, 1);
    // The next renewal is a minute away.
    let mut agent = cluster.spawn(0, &["--ttl", "8m"]);
    let name = agent.ready();
    let path = format!("/nsid/{}/slots/0", cluster.pool.pattern());
    assert!(cluster.zookeeper().delete(&cluster.star.hub, &path));
    let told = format!("ready: {name}\nlost: {name}\nready: {name}\n");
    until(PATIENCE, "the name to be lost, and taken again", || agent.stdout() == told);
}
