//! Four nodes with three names of a pool, in etcd, in ZooKeeper or among the nodes themselves: an agent is killed, another
//! stopped, and each time the next in line gets the name.

use std::{any::Any, process::ExitCode, thread, time::Duration};

use nsid_tests::{
    agent::Instance, boot_clock, etcd::Etcd, prober::PERIOD, servers::Software, wire::INTERFACE,
    zookeeper::ZooKeeper,
};

use crate::{
    handover::Handover,
    stage::{Node, Stage, command_line},
    table::{Fact, Table},
};

const TTL: Duration = Duration::from_secs(5);

/// How long after a lease the store may take to end it, and the next in line to say its name.
const SUCCESSION: Duration = Duration::from_secs(1);

/// How long a name that is given back may take to the next in line: far less than a lease.
const HANDOVER: Duration = Duration::from_millis(500);

/// How long to listen before and after something happens.
const LISTEN: Duration = Duration::from_millis(300);

/// What the pool is kept in.
pub(crate) struct Keeper {
    /// What it is called.
    title: &'static str,
    /// For `--store`.
    address: String,
    /// How long one of its own that was started again takes to be of use.
    recovery: Duration,
    /// It runs for as long as this is there.
    _server: Box<dyn Any>,
}

pub(crate) fn in_etcd(stage: &Stage) -> Keeper {
    let etcd = Etcd::start(&stage.hub, stage.addresses.v4.into());
    let address = format!("etcd://{}", etcd.endpoint());
    Keeper { title: "etcd", address, recovery: Duration::ZERO, _server: Box::new(etcd) }
}

pub(crate) fn in_zookeeper(stage: &Stage) -> Keeper {
    let zookeeper = ZooKeeper::start(&stage.hub, stage.addresses.v4.into());
    let address = format!("zk://{}", zookeeper.endpoint());
    Keeper { title: "ZooKeeper", address, recovery: Duration::ZERO, _server: Box::new(zookeeper) }
}

/// Of the nodes themselves, the first three are witnesses: each grants nothing for a lease after it was started again. They reach each other
/// through the hub.
pub(crate) fn among_peers(stage: &Stage) -> Keeper {
    stage.hub.sysctl("net/ipv4/ip_forward", "1");
    let witnesses: Vec<String> = stage.nodes[..3].iter().map(|node| node.address().to_string()).collect();
    let address = format!("peers://{}", witnesses.join(","));
    let recovery = TTL + TTL / 50 + Duration::from_millis(500);
    Keeper { title: "the nodes' own memory", address, recovery, _server: Box::new(()) }
}

/// Plays it; success only if every fact shown holds.
pub(crate) fn play(keeper: impl FnOnce(&Stage) -> Keeper) -> ExitCode {
    let servers = [Software::Nsd, Software::Unbound, Software::Nsd, Software::Unbound];
    let mut stage = Stage::build(servers);
    let Keeper { title, address: store, recovery, _server } = keeper(&stage);
    let ttl = format!("{}s", TTL.as_secs());
    let pool = ["--pattern", "worker{id}.demo.local", "--limit", "3", "--ttl", &ttl];
    let configuration = [&["--iface", INTERFACE, "--store", &store], &pool[..]].concat();
    println!(
        "Four name servers, unchanged, a pool in {title}, and a client that asks each server with `dig +nsid`."
    );
    println!("Beside each server the agent is started, everywhere with the same configuration:");
    println!("    {}\n", command_line(&configuration));
    let mut table = Table::new(&stage.headings());

    table.line("NSID before", &stage.nsids(|_| None));
    let (first_three, last) = stage.nodes.split_at_mut(3);
    for node in &mut *first_three {
        node.start_agent(&configuration);
    }
    let names: Vec<String> = first_three.iter_mut().map(Node::ready).collect();
    last[0].start_agent(&configuration);
    last[0].waits();
    let all_there = (0..3).all(|slot| names.contains(&format!("worker{slot}.demo.local")));
    let claims = |index: usize, node: &Node| {
        let claim = node.claim();
        let must = if index < names.len() { "held" } else { "waiting" };
        let holds = all_there && claim.as_deref() == Some(must);
        (claim, holds)
    };
    table.line("the agent's claim", &stage.facts(claims));
    table.line("NSID", &stage.nsids(|index| names.get(index)));

    println!("\nThe agent of node 2 is killed; its server goes on. The kernel says {} until", names[1]);
    println!("the claim's deadline, and {title} gives it to the next in line after that:\n");
    let killed = kill(&mut stage, &names[1], &mut table);

    println!("\nIt is started again, and waits in line. The agent of node 1 is stopped as a service manager");
    println!("does it (SIGTERM), and gives {} back:\n", names[0]);
    stage.nodes[1].start_agent_as(killed, &configuration);
    stage.nodes[1].waits();
    thread::sleep(recovery);
    stop(&mut stage, &names[0], &mut table);

    println!();
    Table::headings(&stage.headings());
    let said = [None, Some(&names[0]), Some(&names[2]), Some(&names[1])];
    table.line("NSID", &stage.nsids(|index| said[index]));

    stage.close(
        table.holds(),
        "Each name went to the next in line, and none was heard from two nodes at once.",
    )
}

/// The agent of node 2 is killed, and node 4 gets its name.
fn kill(stage: &mut Stage, name: &str, table: &mut Table) -> Instance {
    let [old, new] = [1, 3].map(|node| stage.prober(node));
    thread::sleep(LISTEN);
    let start = boot_clock::now();
    let killed = stage.nodes[1].kill_agent();
    let deadline = killed.deadline();
    let ready = stage.nodes[3].ready();
    thread::sleep(LISTEN);
    let handover = Handover { name, start, old: old.stop(), new: new.stop() };

    let (earliest, latest) = (*deadline.start(), *deadline.end());
    Table::headings(&["after SIGKILL".to_owned()]);
    table.line(
        "last heard from node 2",
        &[handover.last_heard(earliest.saturating_sub(TTL / 10)..=latest + PERIOD)],
    );
    table.line("its deadline", &[handover.instant(latest, latest > start && latest < start + TTL)]);
    table.line("node 2 answers without a name", &[handover.nameless()]);
    let first = handover.first_heard(earliest..=start + TTL + SUCCESSION);
    table.line("first heard from node 4", &[Fact { holds: first.holds && ready == name, ..first }]);
    table.line("heard from neither for", &[handover.gap()]);
    killed
}

/// The agent of node 1 is stopped, and node 2 gets its name.
fn stop(stage: &mut Stage, name: &str, table: &mut Table) {
    let [old, new] = [0, 1].map(|node| stage.prober(node));
    thread::sleep(LISTEN);
    let start = boot_clock::now();
    let ended_well = stage.nodes[0].terminate_agent().success();
    let ready = stage.nodes[1].ready();
    thread::sleep(LISTEN);
    let handover = Handover { name, start, old: old.stop(), new: new.stop() };

    Table::headings(&["after SIGTERM".to_owned()]);
    let last = handover.last_heard(start.saturating_sub(2 * PERIOD)..=start + HANDOVER);
    table.line("last heard from node 1", &[Fact { holds: last.holds && ended_well, ..last }]);
    let first = handover.first_heard(start..=start + HANDOVER);
    table.line("first heard from node 2", &[Fact { holds: first.holds && ready == name, ..first }]);
    table.line("heard from neither for", &[handover.gap()]);
}
