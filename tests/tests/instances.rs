//! Instances and interfaces: several on one host, dead ones, and interfaces that come and go.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use nsid_tests::{
    agent::{Agent, Instance, binary, nsid, run_refused},
    attached::{Attached, attached, directories},
    client::Client,
    link::{Addresses, End, veth},
    message::Query,
    patience::until,
    peer_xdp::{PROGRAM, PassProgram},
    servers::{PRESENT, Server, Software},
    site::Site,
    unique::Prefix,
    wire::{INTERFACE, Wire},
};

const NAME: &str = "ns1.example.net";
const STORE: &str = "static:ns1.example.net";
const ARGUMENTS: [&str; 4] = ["--iface", INTERFACE, "--store", STORE];
const PATIENCE: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_millis(200);

/// Asks the kernel alone: whether there is a server does not matter.
fn answers(client: &Client) -> bool {
    let answer = client.ask_within(SOON, &Query::identity("id.server."));
    answer.is_some_and(|answer| answer.text().as_deref() == Some(NAME))
}

#[test]
fn a_dead_instance_starts_again_where_it_was() {
    let wire = Wire::direct();
    let mut instance = Instance::new(Prefix::Test);
    for _ in 0..3 {
        let mut agent = Agent::spawn_as(instance, &wire.server, &ARGUMENTS);
        assert_eq!(agent.ready(), NAME);
        assert!(wire.clients().iter().all(answers));
        let seen = attached(&wire.server, INTERFACE);
        assert_eq!((seen.xdp, seen.tcx_egress), (1, 1), "programs of dead runs are still there");
        instance = agent.kill();
    }
}

#[test]
fn a_dead_instance_starts_again_elsewhere_though_its_interface_is_gone() {
    let (old, new) = (Wire::direct(), Wire::direct());
    let instance = Agent::start(&old.server, &ARGUMENTS).kill();
    drop(old);
    let mut agent = Agent::spawn_as(instance, &new.server, &ARGUMENTS);
    assert_eq!(agent.ready(), NAME);
    assert!(new.clients().iter().all(answers));
}

#[test]
fn a_second_agent_on_one_interface_is_refused_and_told_who_has_it() {
    let wire = Wire::direct();
    let first = Agent::start(&wire.server, &ARGUMENTS);
    let second = Instance::new(Prefix::Test);
    let output = run_refused(&wire.server, &second, &["--iface", INTERFACE, "--store", "static:other"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(first.instance().name()), "{stderr}");
    assert!(wire.clients().iter().all(answers), "the first one suffered");
}

#[test]
fn a_second_agent_of_one_instance_is_refused() {
    let (wire, other) = (Wire::direct(), Wire::direct());
    let first = Agent::start(&wire.server, &ARGUMENTS);
    let output = run_refused(&other.server, first.instance(), &ARGUMENTS);
    assert!(String::from_utf8_lossy(&output.stderr).contains(first.instance().name()), "{output:?}");
    assert!(wire.clients().iter().all(answers), "the first one suffered");
}

#[test]
fn somebody_elses_xdp_program_is_not_replaced_and_is_named() {
    let wire = Wire::direct();
    let _taken = PassProgram::attach(&wire.server, INTERFACE);
    let agent = Agent::spawn(&wire.server, &ARGUMENTS);
    // Refused, or without XDP: either way the log says which program has the slot.
    until(PATIENCE, "a word on the taken slot", || agent.stderr().contains(PROGRAM));
    assert_eq!(attached(&wire.server, INTERFACE).xdp, 1);
    drop(agent);
    assert_eq!(attached(&wire.server, INTERFACE), Attached { xdp: 1, ..Attached::default() });
}

#[test]
fn an_interface_that_comes_back_is_served_again() {
    let wire = Wire::direct();
    let _agent = Agent::start(&wire.server, &ARGUMENTS);
    wire.server.ip("link del eth0");
    thread::sleep(SOON);
    veth(
        End { namespace: &wire.server, interface: INTERFACE, addresses: wire.addresses },
        End { namespace: &wire.client, interface: INTERFACE, addresses: Addresses::new(1, 1) },
    );
    let _peer = PassProgram::attach(&wire.client, INTERFACE);
    until(PATIENCE, "an answer on the new interface", || wire.clients().iter().all(answers));
}

/// The kernel lets an index be asked for: to an agent that looks later, only the message that the old interface went
/// tells the new one from it.
#[test]
fn an_interface_that_came_back_with_its_old_index_is_served_again() {
    let wire = Wire::direct();
    let agent = Agent::start(&wire.server, &ARGUMENTS);
    let shown = wire.server.ip_shows("-o link show dev eth0");
    let (index, _) = shown.split_once(':').expect("an index");
    let client = wire.client.name();
    let mut lines = vec![
        "link del eth0".to_owned(),
        format!("link add eth0 index {index} type veth peer name eth0 netns {client}"),
        "link set eth0 up".to_owned(),
    ];
    lines
        .extend(["10.77.1.2/24", "fd77:1::2/64 nodad"].map(|address| format!("addr add {address} dev eth0")));
    agent.freeze();
    for line in lines {
        wire.server.ip(&line);
    }
    agent.thaw();
    for address in ["10.77.1.1/24", "fd77:1::1/64 nodad"] {
        wire.client.ip(&format!("addr add {address} dev eth0"));
    }
    wire.client.ip("link set eth0 up");
    let _peer = PassProgram::attach(&wire.client, INTERFACE);
    until(PATIENCE, "an answer on the new interface", || wire.clients().iter().all(answers));
}

/// One that cannot be attached to must not keep the others from being followed.
#[test]
fn an_interface_is_followed_though_another_one_is_taken() {
    let wire = Wire::direct();
    wire.server.ip("link add eth1 type veth peer name peer1");
    let arguments = [&ARGUMENTS[..], &["--iface", "eth1"]].concat();
    let agent = Agent::start(&wire.server, &arguments);
    wire.server.ip("link del eth1");
    until(PATIENCE, "a word on the interface that is gone", || agent.stderr().contains("gone"));
    wire.server.ip("link add other1 type veth peer name peer1");
    let _taken = PassProgram::attach(&wire.server, "other1");
    wire.server.ip("link set other1 name eth1");
    until(PATIENCE, "a word on the taken slot", || agent.stderr().contains(PROGRAM));
    assert!(wire.clients().iter().all(answers));
    wire.server.ip("link set eth0 address 02:00:00:00:00:77");
    wire.client.ip("neigh flush dev eth0");
    until(PATIENCE, "an answer at the new MAC address", || wire.clients().iter().all(answers));
}

/// What is tried first and refused must not change what is on the host: neither what is said where, nor to whom.
#[test]
fn a_start_that_is_refused_leaves_a_dead_run_as_it_was() {
    let wire = Wire::direct();
    for name in ["eth1", "eth2"] {
        wire.server.ip(&format!("link add {name} type veth peer name peer-{name}"));
    }
    let _taken = PassProgram::attach(&wire.server, "eth2");
    let listen = |address: &str| ["--listen".to_owned(), address.to_owned()];
    let [v4, v6] = [listen("10.77.1.2:53"), listen("[fd77:1::2]:53")];
    let first = [&ARGUMENTS[..], &["--iface", "eth1", &v4[0], &v4[1]]].concat();
    let instance = Agent::start(&wire.server, &first).kill();
    let [client4, client6] = wire.clients();
    assert!(answers(&client4) && !answers(&client6));
    let second = ["--iface", INTERFACE, "--iface", "eth2", "--store", "static:other", &v6[0], &v6[1]];
    let second = [&second[..], &["--ingress", "native"]].concat();
    let output = run_refused(&wire.server, &instance, &second);
    assert!(!answers(&client6), "the old name, at the address of the run that was refused: {output:?}");
    assert!(answers(&client4), "silent where the dead run spoke: {output:?}");
    let left = attached(&wire.server, "eth1");
    assert_eq!((left.xdp, left.tcx_egress), (1, 1), "programs of the dead run");
}

/// The map directories among an instance's pins.
fn map_directories(instance: &Instance) -> Vec<PathBuf> {
    let pins =
        fs::read_dir(Path::new("/sys/fs/bpf/nsid").join(instance.name())).expect("pins of the instance");
    let paths = pins.map(|pin| pin.expect("a pin").path());
    paths.filter(|path| path.is_dir()).collect()
}

/// A run of another version is one whose maps are in a directory of another name.
#[test]
fn another_version_takes_over_what_a_dead_run_left_and_a_refused_one_leaves_it() {
    let wire = Wire::direct();
    wire.server.ip("link add eth2 type veth peer name peer-eth2");
    let _taken = PassProgram::attach(&wire.server, "eth2");
    let instance = Agent::start(&wire.server, &ARGUMENTS).kill();
    let [ours] = map_directories(&instance).try_into().expect("one directory of maps");
    let old = ours.with_file_name("maps-old");
    fs::rename(&ours, &old).expect("bpffs renames");

    let refused = [&ARGUMENTS[..], &["--iface", "eth2", "--ingress", "native"]].concat();
    run_refused(&wire.server, &instance, &refused);
    assert_eq!(map_directories(&instance), [old]);
    assert!(wire.clients().iter().all(answers), "silent though the start was refused");
    instance.verb("off");
    assert!(!wire.clients().iter().any(answers));

    let mut agent = Agent::spawn_as(instance, &wire.server, &ARGUMENTS);
    assert_eq!(agent.ready(), NAME);
    assert_eq!(map_directories(agent.instance()), [ours]);
    assert!(!wire.clients().iter().any(answers), "it was switched off");
    agent.on();
    assert!(wire.clients().iter().all(answers));
    let seen = attached(&wire.server, INTERFACE);
    assert_eq!((seen.xdp, seen.tcx_egress), (1, 1), "programs of the old version");
}

/// Without its pin, by which alone it is held, the kernel detaches a link; no message tells of it.
#[test]
fn a_program_that_is_detached_by_hand_is_attached_again() {
    let wire = Wire::direct();
    let agent = Agent::start(&wire.server, &ARGUMENTS);
    let pins = Path::new("/sys/fs/bpf/nsid").join(agent.instance().name());
    let pins = fs::read_dir(pins).expect("pins of the instance").map(|pin| pin.expect("a pin").path());
    let ingress = pins.into_iter().find(|pin| pin.to_string_lossy().ends_with("-xdp"));
    fs::remove_file(ingress.expect("a pinned XDP link")).expect("it can be removed");
    until(PATIENCE, "the kernel to detach it", || attached(&wire.server, INTERFACE).xdp == 0);
    until(2 * PATIENCE, "an answer", || wire.clients().iter().all(answers));
}

#[test]
fn of_two_agents_started_at_once_on_one_interface_the_refused_one_names_the_other() {
    let wire = Wire::direct();
    for _ in 0..3 {
        let agents = ["one", "other"].map(|name| {
            Agent::spawn(&wire.server, &["--iface", INTERFACE, "--store", &format!("static:{name}")])
        });
        until(PATIENCE, "one of them to be ready, the other refused", || {
            agents.iter().any(|agent| agent.is_ready().is_some())
                && agents.iter().any(|agent| agent.stderr().contains("error:"))
        });
        let [one, other] = &agents;
        let (ready, refused) = if one.is_ready().is_some() { (one, other) } else { (other, one) };
        assert!(refused.stderr().contains(ready.instance().name()), "{}", refused.stderr());
    }
}

#[test]
fn a_renamed_interface_is_served_on() {
    let site = Site::new(Software::Nsd, NAME);
    site.wire.server.ip("link set eth0 name dns0");
    thread::sleep(SOON);
    for client in site.clients() {
        assert_eq!(client.ask(&Query::a(PRESENT).with_nsid()).nsid().as_deref(), Some(NAME));
        assert!(answers(&client));
    }
    until(PATIENCE, "the new name in status", || site.agent.status()["interfaces"][0]["name"] == "dns0");
}

#[test]
fn an_address_is_served_from_when_it_is_added_until_it_is_taken_away() {
    let wire = Wire::direct();
    let _agent = Agent::start(&wire.server, &ARGUMENTS);
    for address in Addresses::new(1, 77).both() {
        let prefix = if address.is_ipv4() { "24" } else { "64 nodad" };
        let clients = [Client::new(&wire.client, address)];
        assert!(!answers(&clients[0]), "{address} before it is there");
        wire.server.ip(&format!("addr add {address}/{prefix} dev eth0"));
        until(PATIENCE, "an answer on the new address", || answers(&clients[0]));
        wire.server.ip(&format!("addr del {address}/{prefix} dev eth0").replace(" nodad", ""));
        until(PATIENCE, "silence on the old address", || !answers(&clients[0]));
    }
    assert!(wire.clients().iter().all(answers));
}

#[test]
fn only_the_addresses_of_listen_are_served() {
    let wire = Wire::direct();
    let _agent = Agent::start(&wire.server, &[&ARGUMENTS[..], &["--listen", "10.77.1.2:53"]].concat());
    let [v4, v6] = wire.clients();
    assert!(answers(&v4));
    assert!(!answers(&v6));
}

/// Nothing of the instance is on the host or the interface.
fn assert_nothing_left(wire: &Wire, instance: &Instance) {
    assert_eq!(attached(&wire.server, INTERFACE), Attached::default());
    assert_eq!(directories(instance.name()), Vec::<String>::new());
}

#[test]
fn detach_from_another_namespace_leaves_nothing_of_a_dead_instance() {
    let Site { agent, server: _server, wire } = Site::new(Software::Nsd, NAME);
    let instance = agent.kill();
    let seen = attached(&wire.server, INTERFACE);
    assert_eq!((seen.xdp, seen.tcx_egress), (1, 1), "the datapath outlives its agent");
    let binary = binary();
    let mut detach = wire.client.command(binary.to_str().expect("a path in UTF-8"));
    let output = detach.args(["detach", "--instance", instance.name()]).output().expect("nsid can be run");
    assert!(output.status.success(), "{output:?}");
    assert_nothing_left(&wire, &instance);
    for client in wire.clients() {
        assert_eq!(client.ask(&Query::a(PRESENT).with_nsid()).nsid(), None);
    }
}

#[test]
fn detach_takes_a_frozen_instance_off() {
    let Site { agent, server: _server, wire } = Site::new(Software::Nsd, NAME);
    agent.freeze();
    agent.instance().verb("detach");
    assert_eq!(attached(&wire.server, INTERFACE), Attached::default());
    for client in wire.clients() {
        assert_eq!(client.ask(&Query::a(PRESENT).with_nsid()).nsid(), None);
    }
}

#[test]
fn sigterm_leaves_nothing() {
    let wire = Wire::direct();
    let (status, instance) = Agent::start(&wire.server, &ARGUMENTS).terminate();
    assert!(status.success(), "{status}");
    assert_nothing_left(&wire, &instance);
}

#[test]
fn a_running_agent_takes_at_most_12_mb_of_memory() {
    let site = Site::new(Software::Nsd, NAME);
    for client in site.clients() {
        client.ask(&Query::a(PRESENT).with_nsid());
    }
    let kib = site.agent.resident_kib();
    assert!(kib <= 12 * 1024, "{kib} KiB");
}

#[test]
fn an_instance_that_never_was_has_nothing_to_show_or_take_off() {
    let instance = Instance::new(Prefix::Test);
    for verb in ["on", "off"] {
        let output = nsid(&[verb, "--instance", instance.name()]);
        assert!(!output.status.success(), "{verb} of nothing");
        assert!(String::from_utf8_lossy(&output.stderr).contains(instance.name()), "{output:?}");
    }
    // Detach makes it so that nothing is there.
    instance.verb("detach");
    assert_eq!(directories(instance.name()), Vec::<String>::new());
}

#[test]
fn nobody_elses_server_is_needed_to_be_ready() {
    let wire = Wire::direct();
    let mut agent = Agent::spawn(&wire.server, &ARGUMENTS);
    assert_eq!(agent.ready(), NAME);
    assert_eq!(agent.stdout(), "ready: ns1.example.net\n");
    let _server = Server::start_default(Software::Unbound, &wire.server, wire.addresses);
    for client in wire.clients() {
        assert_eq!(client.ask(&Query::a(PRESENT).with_nsid()).nsid().as_deref(), Some(NAME));
    }
}

/// An agent in another PID namespace knows a number for itself that is somebody else's here.
#[test]
fn detach_ends_nobody_else() {
    let wire = Wire::direct();
    let instance = Instance::new(Prefix::Test);
    let mut bystander = Command::new("sleep").arg("60").spawn().expect("sleep can be run");
    // The agent is given the bystander's number there.
    let script = format!(
        "mount -t proc proc /proc; echo {} > /proc/sys/kernel/ns_last_pid; \
         {} run --instance {} --iface {INTERFACE} --store {STORE} & wait",
        bystander.id() - 1,
        binary().display(),
        instance.name()
    );
    let mut elsewhere = wire.server.command("unshare");
    elsewhere.args(["--pid", "--fork", "--kill-child", "--mount", "sh", "-c", &script]);
    let mut elsewhere = elsewhere.spawn().expect("unshare can be run");
    until(PATIENCE, "the agent to answer", || wire.clients().iter().all(answers));

    let output = nsid(&["detach", "--instance", instance.name()]);
    let ended = bystander.try_wait().expect("its own child");
    for child in [&mut elsewhere, &mut bystander] {
        let _already_ended = child.kill();
        let _reaped = child.wait();
    }
    assert!(ended.is_none(), "detach ended a process that is no agent: {output:?}");
}

/// A pipe that nobody empties, such as to a log collector that was stopped.
#[test]
fn an_agent_whose_log_nobody_reads_goes_on_and_ends_when_told_to() {
    let wire = Wire::direct();
    let instance = Instance::new(Prefix::Test);
    let mut agent = wire.server.command(binary().to_str().expect("a path in UTF-8"));
    agent.args(["run", "--instance", instance.name(), "--log-packets"]).args(ARGUMENTS);
    let mut agent = agent.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("nsid can be run");
    until(PATIENCE, "the agent to answer", || wire.clients().iter().all(answers));
    // Each query is logged: more than a pipe holds (64 KiB, pipe(7)) by far.
    for _ in 0..1500 {
        wire.clients().iter().for_each(|client| assert!(answers(client)));
    }
    let status = instance.status();
    instance.verb("detach");
    let ended = agent.wait().expect("its own child");
    assert_eq!(status["agent"], "running");
    assert!(ended.success(), "it was killed: {ended}");
}
