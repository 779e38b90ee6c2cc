//! The harness itself, without the agent: what it measures with must be able to say no.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket},
    path::Path,
    process::Command,
    time::Duration,
};

use nsid_tests::{
    attached::{Attached, attached},
    capture::Capture,
    checksum_errors::checksum_errors,
    client::Client,
    dig::{Program, dig},
    etcd::Etcd,
    leftovers,
    link::{TxChecksum, set_tx_checksum},
    message::Query,
    netns::Namespace,
    patience::until,
    peer_xdp::PassProgram,
    prober::{PERIOD, Prober},
    servers::{ABSENT, ANSWERS, ELSEWHERE, MANY_ADDRESSES, Options, PRESENT, Server, Software},
    star::Star,
    unique::Prefix,
    wire::{INTERFACE, Wire},
    zookeeper::{Mode, TICK, ZooKeeper},
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sendto, socket_with};

fn servers_alone_say_no_name(software: Software) {
    let wire = Wire::direct();
    let _server = Server::start_default(software, &wire.server, wire.addresses);
    for address in wire.addresses.both() {
        let client = Client::new(&wire.client, address);
        for (name, rcode) in ANSWERS {
            let answer = client.ask(&Query::a(name).with_nsid());
            assert_eq!((answer.rcode(), answer.nsid()), (rcode, None), "{name}");
            // Without OPT there is no room for a name.
            assert!(answer.message().edns.is_some(), "{name} {answer:?}");
        }
        assert_eq!(client.ask(&Query::a(MANY_ADDRESSES).with_opt()).message().answers.len(), 30);
    }
}

#[test]
fn nsd_alone_says_no_name() {
    servers_alone_say_no_name(Software::Nsd);
}

#[test]
fn unbound_alone_says_no_name() {
    servers_alone_say_no_name(Software::Unbound);
}

#[test]
fn coredns_alone_says_no_name() {
    servers_alone_say_no_name(Software::Coredns);
}

#[test]
fn coredns_echoes_an_empty_nsid() {
    let wire = Wire::direct();
    let _server = Server::start_default(Software::Coredns, &wire.server, wire.addresses);
    for client in wire.clients() {
        for name in [PRESENT, ABSENT, ELSEWHERE] {
            let query = Query::a(name);
            assert_eq!(client.ask(&query.clone().with_nsid()).nsid_option().as_deref(), Some(""), "{name}");
            assert_eq!(client.ask(&query.with_opt()).nsid_option(), None, "{name}");
        }
    }
}

fn an_own_nsid_is_heard(software: Software) {
    let wire = Wire::direct();
    let own = Options { own_nsid: Some("its-own"), ..Options::default() };
    let _server = Server::start(software, &wire.server, wire.addresses, own);
    for address in wire.addresses.both() {
        let client = Client::new(&wire.client, address);
        assert_eq!(client.ask(&Query::a(PRESENT).with_nsid()).nsid().as_deref(), Some("its-own"));
        assert_eq!(client.ask(&Query::a(PRESENT).with_opt()).nsid(), None);
        for program in Program::ALL {
            let report = dig(program, &wire.client, address, &["+nsid", PRESENT]).expect("an answer");
            assert_eq!((report.status.as_str(), report.nsid.as_deref()), ("NOERROR", Some("its-own")));
            assert!(report.warnings.is_empty(), "{report:?}");
        }
    }
}

#[test]
fn the_own_nsid_of_nsd_is_heard() {
    an_own_nsid_is_heard(Software::Nsd);
}

#[test]
fn the_own_nsid_of_unbound_is_heard() {
    an_own_nsid_is_heard(Software::Unbound);
}

#[test]
fn the_own_nsid_of_coredns_is_heard() {
    an_own_nsid_is_heard(Software::Coredns);
}

#[test]
fn the_prober_hears_a_server_fall_silent() {
    let wire = Wire::direct();
    let own = Options { own_nsid: Some("its-own"), ..Options::default() };
    let server = Server::start(Software::Nsd, &wire.server, wire.addresses, own);
    let prober = Prober::start(&wire.client, wire.addresses.v4.into());
    std::thread::sleep(10 * PERIOD);
    drop(server);
    std::thread::sleep(5 * PERIOD);
    let heard = prober.stop();
    assert!((5..=11).contains(&heard.len()), "{heard:?}");
    assert!(heard.iter().all(|heard| heard.name.as_deref() == Some("its-own")), "{heard:?}");
    assert!(heard.is_sorted_by_key(|heard| heard.at), "{heard:?}");
}

#[test]
fn answers_across_the_router_have_good_checksums() {
    let wire = Wire::routed();
    let _server = Server::start_default(Software::Nsd, &wire.server, wire.addresses);
    for tx in [TxChecksum::Offloaded, TxChecksum::Computed] {
        set_tx_checksum(&wire.server, INTERFACE, tx);
        let capture = Capture::start(&wire.client);
        for address in wire.addresses.both() {
            Client::new(&wire.client, address).ask(&Query::a(PRESENT).with_nsid());
        }
        let verdict = capture.verdict(2);
        assert_eq!((verdict.responses, verdict.good, verdict.bad.len()), (2, 2, 0), "{verdict:?}");
    }
    assert_eq!(checksum_errors(&wire.client), (0, 0));
}

#[test]
fn a_wrong_checksum_is_seen_in_the_capture_and_in_the_counter() {
    let wire = Wire::direct();
    let socket = wire.client.enter(|| UdpSocket::bind("10.77.1.1:4053")).expect("a socket");
    let capture = Capture::start(&wire.client);
    // From port 53 to port 4053, eight bytes of header, checksum 0x0bad, no data.
    let [from, to] = [53_u16, 4053].map(u16::to_be_bytes);
    let datagram = [from[0], from[1], to[0], to[1], 0, 8, 0x0b, 0xad];
    let raw = wire.server.enter(|| {
        socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::UDP))
    });
    let SocketAddr::V4(client) = socket.local_addr().expect("it is bound") else { panic!("bound to IPv4") };
    let sent = sendto(
        raw.expect("root may"),
        &datagram,
        rustix::net::SendFlags::empty(),
        &SocketAddrV4::new(*client.ip(), 0),
    );
    assert_eq!(sent, Ok(datagram.len()));
    let verdict = capture.verdict(1);
    assert_eq!((verdict.responses, verdict.good, verdict.bad.len()), (1, 0, 1), "{verdict:?}");
    // The kernel looks at the checksum when the socket is read.
    socket.set_nonblocking(true).expect("a live socket");
    assert!(socket.recv(&mut [0; 16]).is_err());
    assert_eq!(checksum_errors(&wire.client), (1, 0));
}

#[test]
fn a_namespace_and_what_runs_in_it_are_gone_after_a_panic() {
    let (name, pid) = std::thread::spawn(|| {
        let wire = Wire::direct();
        let seen = (wire.server.name().to_owned(), wire.server.command("sleep").arg("1000").spawn());
        let (name, child) = seen;
        let pid = child.expect("sleep").id();
        let panics = std::thread::spawn(move || {
            let _moved = wire;
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(panics.join().is_err());
        (name, pid)
    })
    .join()
    .expect("the panic stays in its thread");
    assert!(!Path::new("/run/netns").join(name).exists());
    // Its parent, the thread, has ended: the process is dead, if not yet reaped.
    until(Duration::from_secs(1), "the end of the child", || {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    });
}

#[test]
fn the_namespaces_of_dead_runs_are_swept_and_those_of_live_ones_are_not() {
    let live = Namespace::new(Prefix::Test, "live");
    // Above the largest process id.
    let dead = "nsid-t-4194305-0-dead";
    Command::new("ip").args(["netns", "add", dead]).status().expect("ip");
    leftovers::sweep();
    assert!(!Path::new("/run/netns").join(dead).exists());
    assert!(Path::new("/run/netns").join(live.name()).exists());
}

#[test]
fn etcd_is_silent_while_frozen_and_has_its_data_after_a_restart() {
    let namespace = Namespace::new(Prefix::Test, "store");
    let mut etcd = Etcd::start(&namespace, Ipv4Addr::LOCALHOST.into());
    let value = |etcd: &Etcd| etcd.ctl(&namespace, &["get", "--print-value-only", "key"]);
    assert!(etcd.ctl(&namespace, &["put", "key", "value"]).is_some());
    assert_eq!(value(&etcd).as_deref(), Some("value\n"));
    etcd.freeze();
    assert_eq!(value(&etcd), None);
    etcd.thaw();
    assert_eq!(value(&etcd).as_deref(), Some("value\n"));
    etcd.kill();
    assert_eq!(value(&etcd), None);
    etcd.restart(&namespace);
    assert_eq!(value(&etcd).as_deref(), Some("value\n"));
}

#[test]
fn zookeeper_is_silent_while_frozen_and_has_its_data_after_a_restart() {
    let namespace = Namespace::new(Prefix::Test, "store");
    let mut zookeeper = ZooKeeper::start(&namespace, Ipv4Addr::LOCALHOST.into());
    let mode = |zookeeper: &ZooKeeper| zookeeper.mode(&namespace);
    assert_eq!(mode(&zookeeper), Some(Mode::Standalone));
    zookeeper.cli(&namespace, "create /key value");
    zookeeper.freeze();
    assert_eq!(mode(&zookeeper), None);
    zookeeper.thaw();
    assert_eq!(mode(&zookeeper), Some(Mode::Standalone));
    zookeeper.kill();
    assert_eq!(mode(&zookeeper), None);
    zookeeper.restart(&namespace);
    let told = zookeeper.cli(&namespace, "get /key");
    assert!(told.lines().any(|line| line == "value"), "{told}");
}

#[test]
fn a_node_that_is_deleted_in_zookeeper_is_said_to_be_and_one_that_is_not_there_is_not() {
    let namespace = Namespace::new(Prefix::Test, "store");
    let zookeeper = ZooKeeper::start(&namespace, Ipv4Addr::LOCALHOST.into());
    for _ in 0..3 {
        zookeeper.cli(&namespace, "create /key value");
        assert!(zookeeper.delete(&namespace, "/key"));
        assert!(!zookeeper.delete(&namespace, "/key"));
    }
}

#[test]
fn an_ensemble_of_zookeeper_has_one_leader_and_elects_another_when_that_one_dies() {
    let namespace = Namespace::new(Prefix::Test, "store");
    let places = [1, 2, 3].map(|host| (&namespace, Ipv4Addr::new(127, 0, 0, host).into()));
    let mut members = ZooKeeper::start_ensemble(&places, TICK);
    let leaders = |members: &[ZooKeeper]| -> Vec<usize> {
        let modes = members.iter().map(|member| member.mode(&namespace)).enumerate();
        modes.filter(|(_, mode)| *mode == Some(Mode::Leader)).map(|(member, _)| member).collect()
    };
    let [first] = leaders(&members)[..] else { panic!("{:?}", leaders(&members)) };
    members[first].kill();
    until(Duration::from_secs(20), "another leader", || leaders(&members).len() == 1);
    members[first].restart(&namespace);
    assert_eq!(members[first].mode(&namespace), Some(Mode::Follower));
    assert_ne!(leaders(&members), [first]);
}

#[test]
fn in_a_star_clients_in_the_hub_hear_each_node_and_nodes_reach_the_hub() {
    let star = Star::new(Prefix::Test, 3);
    let etcd = Etcd::start(&star.hub, star.addresses.v6.into());
    for (node, own) in star.nodes.iter().zip(["one", "two", "three"]) {
        let options = Options { own_nsid: Some(own), ..Options::default() };
        let _server = Server::start(Software::Nsd, &node.namespace, node.addresses, options);
        let nsids = || {
            node.addresses
                .both()
                .map(|address| Client::new(&star.hub, address).ask(&Query::a(PRESENT).with_nsid()).nsid())
        };
        let put = |key: &str| etcd.ctl(&node.namespace, &["put", key, own]);
        assert_eq!(nsids(), [Some(own.to_owned()), Some(own.to_owned())]);
        assert!(put("heard").is_some());
        star.deafen(node);
        assert!(put("unheard").is_none());
        assert_eq!(nsids(), [Some(own.to_owned()), Some(own.to_owned())]);
        star.undeafen(node);
        assert!(put("heard").is_some());
    }
    for interface in ["node1", "node2", "node3"] {
        assert_eq!(attached(&star.hub, interface).xdp, 1, "for what a node answers by XDP_TX");
    }
}

#[test]
fn an_attached_program_is_seen_until_it_is_detached() {
    let wire = Wire::direct();
    assert_eq!(attached(&wire.server, INTERFACE), Attached::default());
    let program = PassProgram::attach(&wire.server, INTERFACE);
    assert_eq!(attached(&wire.server, INTERFACE), Attached { xdp: 1, ..Attached::default() });
    drop(program);
    assert_eq!(attached(&wire.server, INTERFACE), Attached::default());
}

#[test]
fn an_address_that_nobody_has_does_not_answer() {
    let wire = Wire::direct();
    let nobody: IpAddr = [10, 77, 1, 9].into();
    let answer = Client::new(&wire.client, nobody).ask_within(5 * PERIOD, &Query::a(PRESENT));
    assert!(answer.is_none());
}
