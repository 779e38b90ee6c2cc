//! Crowds: how long it takes until all have a name, and what that costs.

use std::time::Duration;

use super::clock::SECOND;
use super::names::seconds;
use super::world::{Plan, World};
use crate::Rules;

fn plan(hosts: usize) -> Plan {
    Plan {
        rules: Rules::default(),
        hosts,
        witnesses: 3,
        lease: Duration::from_secs(10),
        limit: 10_000,
        expected: 0,
    }
}

/// All start within a tenth of a second.
fn crowd(plan: Plan, seed: u64, lost: u64) -> (World, u64) {
    let mut world = World::new(plan, seed);
    world.network.lost = lost;
    for host in 0..plan.hosts {
        world.start(host);
        world.run_until(world.now + SECOND / 10 / plan.hosts as u64);
    }
    let named = world.run_until_named(60 * SECOND).unwrap_or_else(|| {
        let nameless = world.nameless();
        panic!("{} without a name: {:?}", nameless.len(), world.hosts[nameless[0]].state())
    });
    assert_eq!(world.names.twice, Vec::<String>::new());
    (world, named)
}

#[test]
fn a_thousand_nodes_have_the_lowest_names_in_less_than_six_seconds() {
    let (world, named) = crowd(plan(1000), 1, 10);
    println!("1000 nodes: {:.2} s", seconds(named));
    assert_eq!(world.slots(), (0..1000).collect::<Vec<_>>());
    assert!(named < 6 * SECOND, "{}", seconds(named));
}

#[test]
fn five_thousand_nodes_have_the_lowest_names_in_less_than_twelve_seconds() {
    let (world, named) = crowd(plan(5000), 1, 10);
    println!("5000 nodes: {:.2} s", seconds(named));
    assert_eq!(world.slots(), (0..5000).collect::<Vec<_>>());
    assert!(named < 12 * SECOND, "{}", seconds(named));
}
