//! Every course that a small cluster can take, by a model checker that drives what is shipped.
//!
//! There are more courses of everything at a time than can be followed; so there are several clusters, to each of which
//! other things happen.

mod cluster;
mod part;

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use self::cluster::Cluster;
use crate::Rules;
use crate::rules::Mutant;

/// What may happen how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Budget {
    begins: Begins,
    /// How long a step of time is, in milliseconds.
    step: u64,
    steps: u8,
    restarts: u8,
    renewals: u8,
    releases: u8,
    /// A process is followed by another one, which goes on with what it holds.
    successions: u8,
    /// What makes nobody a holder is answered on the spot, too: refusals, and requests of who yields.
    prompt: bool,
    /// At most so many messages are under way.
    flying: usize,
}

/// How it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Begins {
    /// Two claimants try to take the slot.
    Meeting,
    /// One has it, and another is in line.
    Held,
}

/// Two claimants meet at a slot, and nothing else happens.
const MEETING: Budget = Budget {
    begins: Begins::Meeting,
    step: 1500,
    steps: 0,
    restarts: 0,
    renewals: 0,
    releases: 0,
    successions: 0,
    prompt: false,
    flying: 7,
};

/// One has the slot, and nothing happens to it.
const HELD: Budget = Budget { begins: Begins::Held, ..MEETING };

/// What is followed to its end.
const CLUSTERS: [Budget; 9] = [
    // One or two of three witnesses are started anew.
    Budget { restarts: 1, ..MEETING },
    Budget { restarts: 2, flying: 6, prompt: true, ..MEETING },
    // Until after what was granted first is over.
    Budget { steps: 2, flying: 6, prompt: true, ..MEETING },
    Budget { steps: 2, restarts: 1, renewals: 1, flying: 5, prompt: true, ..HELD },
    // It is given back, which may come late.
    Budget { steps: 1, restarts: 1, releases: 1, flying: 6, ..HELD },
    Budget { steps: 1, restarts: 1, renewals: 1, releases: 1, flying: 4, prompt: true, ..HELD },
    // Another process goes on with it.
    Budget { restarts: 1, successions: 1, flying: 6, prompt: true, ..MEETING },
    Budget { steps: 2, restarts: 1, successions: 1, flying: 5, prompt: true, ..HELD },
    Budget { steps: 1, restarts: 1, releases: 1, successions: 1, flying: 4, prompt: true, ..HELD },
];

/// The least number of states that are worth the name.
const STATES: usize = 2_000_000;

/// As many as CI has CPUs.
const THREADS: usize = 2;

#[test]
fn no_course_has_two_holders() {
    let mut states = 0;
    for budget in CLUSTERS {
        let begun = Instant::now();
        let checker =
            Cluster { rules: Rules::default(), budget }.checker().threads(THREADS).spawn_dfs().join();
        println!("{} states in {:.1?}: {budget:?}", checker.unique_state_count(), begun.elapsed());
        checker.assert_no_discovery("at most one holder");
        checker.assert_no_discovery("tokens grow");
        checker.assert_any_discovery("the first holds it");
        checker.assert_any_discovery("the second holds it");
        states += checker.unique_state_count();
    }
    println!("{states} states");
    assert!(states >= STATES, "{states}");
}

#[test]
fn each_broken_rule_has_a_course_with_two_holders() {
    for mutant in Mutant::ALL {
        let prompt = Budget { prompt: true, ..MEETING };
        let budget = match mutant {
            Mutant::NoMajority => MEETING,
            Mutant::GossipOnly => Budget { steps: 1, ..MEETING },
            Mutant::NoSilenceAfterRestart => Budget { restarts: 1, ..MEETING },
            Mutant::DeadlineFromTheReply | Mutant::WitnessLeaseTooShort => Budget { steps: 2, ..prompt },
            // The step after which a lease is over by a fast clock, and not by a slow one.
            Mutant::NoMargin => Budget { steps: 1, step: 2000, ..prompt },
        };
        let begun = Instant::now();
        let checker = Cluster { rules: mutant.rules(), budget }
            .checker()
            .threads(THREADS)
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_dfs()
            .join();
        println!("{mutant:?}: {} states in {:.1?}", checker.unique_state_count(), begun.elapsed());
        checker.assert_any_discovery("at most one holder");
    }
}
