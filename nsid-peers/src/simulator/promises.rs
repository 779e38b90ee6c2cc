//! What is promised, one thing at a time.

use std::time::Duration;

use super::clock::SECOND;
use super::names::seconds;
use super::world::{Plan, World};
use crate::{RENEWALS, Rules, State, Waits};

const LEASE: u64 = 10 * SECOND;

fn plan(hosts: usize) -> Plan {
    Plan {
        rules: Rules::default(),
        hosts,
        witnesses: 3,
        lease: Duration::from_nanos(LEASE),
        limit: 64,
        expected: 0,
    }
}

/// A cluster of which all hosts have a name, as far as there are names.
fn named(plan: Plan, seed: u64) -> World {
    let mut world = World::new(plan, seed);
    for host in 0..plan.hosts {
        world.start(host);
        world.run_until(world.now + SECOND / 2);
    }
    let slots = (0..u32::try_from(plan.hosts).unwrap().min(plan.limit)).collect::<Vec<_>>();
    assert_eq!(world.slots(), slots);
    world
}

fn name(world: &World, host: usize) -> u32 {
    world.names.of(world.now, host).expect("it has one")
}

/// The names that are said but for those.
fn all_but(hosts: usize, without: &[u32]) -> Vec<u32> {
    (0..u32::try_from(hosts).unwrap()).filter(|slot| !without.contains(slot)).collect()
}

/// How long it takes until the host says a name.
fn until_named(world: &mut World, host: usize, limit: u64) -> u64 {
    let begin = world.now;
    while world.names.of(world.now, host).is_none() {
        assert!(world.now < begin + limit, "{:?}", world.hosts[host].state());
        world.run_until(world.now + SECOND / 1000);
    }
    world.now - begin
}

#[test]
fn one_node_alone_names_itself_at_once() {
    let mut world = World::new(Plan { witnesses: 1, ..plan(1) }, 1);
    world.start(0);
    assert!(until_named(&mut world, 0, SECOND) < SECOND / 10);
}

#[test]
fn three_nodes_that_are_started_together_have_names_at_once() {
    let mut world = World::new(plan(3), 1);
    (0..3).for_each(|host| world.start(host));
    let named = world.run_until_named(SECOND).expect("named");
    assert!(named < SECOND / 2, "{}", seconds(named));
    assert_eq!(world.slots(), [0, 1, 2]);
}

#[test]
fn a_name_that_is_given_back_is_said_by_the_next_in_line_within_100_ms() {
    for seed in 0..20 {
        let mut world = named(Plan { limit: 6, ..plan(7) }, seed);
        assert!(matches!(world.hosts[6].state(), Some(State::Seeking(Waits::Slot(0)))));
        let given_back = name(&world, 4);
        world.stop(4);
        let taken = until_named(&mut world, 6, LEASE);
        assert!(taken < SECOND / 10 + 24_000_000, "{}", seconds(taken));
        assert_eq!(name(&world, 6), given_back);
    }
}

#[test]
fn a_dead_holders_name_is_said_by_the_next_in_line_within_its_lease_and_a_second() {
    let mut slowest = 0;
    for seed in 0..20 {
        let mut world = named(Plan { limit: 6, ..plan(7) }, seed);
        world.network.lost = if seed < 10 { 0 } else { 10 };
        let until = world.now + seed * LEASE / u64::from(RENEWALS) / 20;
        world.run_until(until);
        // A witness, too, in some of them.
        let dead = [4, 0][usize::from(seed % 2 == 0)];
        let left = name(&world, dead);
        world.kill(dead);
        let taken = until_named(&mut world, 6, 3 * LEASE);
        slowest = slowest.max(taken);
        assert_eq!(name(&world, 6), left);
        assert!(world.names.twice.is_empty());
    }
    println!("taken over after {:.2} s at most", seconds(slowest));
    assert!(slowest <= LEASE * 102 / 100 + SECOND, "{}", seconds(slowest));
}

#[test]
fn the_death_or_restart_of_a_witness_silences_nobody_elses_name() {
    for seed in 0..10 {
        let mut world = named(plan(9), seed);
        world.network.lost = 10;
        let all_but_it = |world: &World, dead: usize| {
            (0..9).filter(|host| *host != dead).all(|host| world.names.of(world.now, host).is_some())
        };
        for dead in 0..3 {
            world.kill(dead);
            for _ in 0..40 {
                world.run_until(world.now + LEASE / 10);
                assert!(all_but_it(&world, dead));
            }
            world.start(dead);
            // Its silence, and until all have its grants again.
            for _ in 0..20 {
                world.run_until(world.now + LEASE / 10);
                assert!(all_but_it(&world, dead));
            }
        }
        assert!(world.names.twice.is_empty());
    }
}

#[test]
fn no_node_loses_its_name_when_its_agent_is_upgraded() {
    for seed in 0..10 {
        let mut world = named(plan(9), seed);
        world.network.lost = 10;
        for upgraded in (0..9).chain([0, 1, 2]) {
            world.upgrade(upgraded);
            for _ in 0..20 {
                world.run_until(world.now + LEASE / 15);
                assert_eq!(world.slots(), (0..9).collect::<Vec<_>>());
            }
        }
        assert!(world.names.twice.is_empty() && world.names.disorder.is_empty());
    }
}

/// Its own witness forgets what it granted, and one of the others does not know of it yet.
#[test]
fn a_witness_keeps_its_name_when_it_is_upgraded_as_soon_as_two_have_granted_it() {
    for (seed, (upgraded, deaf)) in (0..).zip([(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]) {
        let mut world = named(plan(3), seed);
        let alone = |host| (0..3).map(|other| other == host).collect::<Vec<_>>();
        world.network.cut(alone(upgraded), alone(deaf));
        world.freeze(upgraded, 2 * LEASE);
        world.run_until(world.now + 2 * LEASE);
        until_named(&mut world, upgraded, LEASE);
        // Slot and token: a name that was lost in between has another one.
        let held = |world: &World| world.names.inheritance(upgraded).map(|(held, _)| held);
        let own = held(&world);
        world.network.mend();
        world.upgrade(upgraded);
        for _ in 0..30 {
            world.run_until(world.now + LEASE / 10);
            assert_eq!(held(&world), own);
        }
        assert!(world.names.twice.is_empty() && world.names.disorder.is_empty());
    }
}

#[test]
fn a_minority_goes_nameless_and_says_so() {
    let mut world = named(plan(8), 3);
    let minority: Vec<bool> = (0..8).map(|host| matches!(host, 0 | 5 | 6)).collect();
    let majority: Vec<bool> = minority.iter().map(|is_in| !is_in).collect();
    world.network.cut(minority.clone(), majority.clone());
    world.network.cut(majority, minority);
    world.run_until(world.now + LEASE + SECOND);
    assert_eq!(world.nameless(), [0, 5, 6]);
    for host in [0, 5, 6] {
        match world.hosts[host].state() {
            Some(State::Seeking(Waits::Answers(missing))) => {
                assert_eq!(missing, world.settings.list.witnesses()[1..]);
            }
            other => panic!("{other:?}"),
        }
    }
    world.network.mend();
    world.run_until(world.now + 3 * SECOND);
    assert_eq!(world.slots(), (0..8).collect::<Vec<_>>());
}

#[test]
fn who_expects_others_is_named_in_the_order_in_which_all_were_started() {
    let mut world = World::new(Plan { expected: 40, ..plan(40) }, 5);
    // The order is that of the wall clocks.
    for host in &mut world.hosts {
        host.clock.wall = 0;
    }
    for host in (0..40).rev() {
        assert!(world.slots().is_empty());
        world.start(host);
        world.run_until(world.now + SECOND / 20);
    }
    world.run_until(world.now + 2 * SECOND);
    for host in 0..40 {
        assert_eq!(world.names.of(world.now, host), Some(39 - u32::try_from(host).unwrap()));
    }
}

#[test]
fn who_expects_more_than_come_is_named_when_its_patience_is_over() {
    let mut world = World::new(Plan { expected: 9, ..plan(4) }, 5);
    (0..4).for_each(|host| world.start(host));
    world.run_until(9 * SECOND);
    assert!(world.slots().is_empty());
    assert!(matches!(world.hosts[3].state(), Some(State::Seeking(Waits::Claimants(4)))));
    world.run_until(13 * SECOND);
    assert_eq!(world.slots(), [0, 1, 2, 3]);
}

#[test]
fn who_is_back_within_its_lease_has_its_name_and_nobody_is_renumbered() {
    let mut world = named(plan(9), 4);
    let (left, own) = (name(&world, 2), name(&world, 5));
    world.kill(2);
    world.kill(5);
    world.run_until(world.now + LEASE / 2);
    world.start(5);
    world.run_until(world.now + SECOND / 10);
    assert_eq!(name(&world, 5), own);
    world.run_until(world.now + 2 * LEASE);
    assert_eq!(world.slots(), all_but(9, &[left]));
    assert!(world.names.disorder.is_empty() && world.names.twice.is_empty());
}

#[test]
fn a_rebooted_node_has_its_last_name_if_it_is_free_and_a_newcomer_the_lowest() {
    let mut world = named(plan(9), 6);
    let last = [4, 6, 7].map(|host| name(&world, host));
    assert_eq!(last, [4, 6, 7]);
    for host in [4, 6, 7] {
        world.kill(host);
        world.reboot(host);
    }
    world.run_until(world.now + 2 * LEASE);
    world.start(6);
    world.run_until(world.now + SECOND);
    assert_eq!(world.names.of(world.now, 6), Some(6));
    // Of a node that was none before.
    world.hosts[7].node = crate::Id([7; 16]);
    world.start(7);
    world.run_until(world.now + SECOND);
    assert_eq!(world.names.of(world.now, 7), Some(4));
    world.start(4);
    world.run_until(world.now + SECOND);
    assert_eq!(world.names.of(world.now, 4), Some(7));
}

#[test]
fn holders_send_and_receive_some_hundred_bytes_a_second() {
    let hosts = 100;
    let mut world = named(Plan { limit: 200, ..plan(hosts) }, 8);
    world.weigh();
    let time = 10 * LEASE;
    world.run_until(world.now + time);
    let (bytes, datagrams) = world.sent;
    let per_node = |number: u64| number / hosts as u64 * SECOND / time;
    println!("{} bytes, {datagrams} datagrams in {} s", bytes, seconds(time));
    println!("each node at TTL 10 s: {} bytes a second, without what encrypts them", per_node(bytes));
    assert!(per_node(bytes) < 600, "{}", per_node(bytes));
}
