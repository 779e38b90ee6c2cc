//! Every course that a small cluster can take, by a model checker that drives what is shipped.

mod cluster;
mod part;

use std::time::Instant;

use stateright::{Checker, Model};

use self::cluster::{Budget, Cluster};
use crate::Rules;
use crate::rules::Mutant;

const BUDGET: Budget =
    Budget { step: 1500, steps: 2, restarts: 1, renewals: 1, releases: 1, prompt: true, flying: 7 };

#[test]
fn no_course_has_two_holders() {
    let begun = Instant::now();
    let checker = Cluster { rules: Rules::default(), budget: BUDGET }
        .checker()
        .threads(2)
        .timeout(std::time::Duration::from_secs(100))
        .spawn_dfs()
        .join();
    println!(
        "{} states, of {} that were made, in {:.1?}",
        checker.unique_state_count(),
        checker.state_count(),
        begun.elapsed()
    );
    checker.assert_properties();
}

#[test]
fn each_broken_rule_has_a_course_with_two_holders() {
    for mutant in Mutant::ALL {
        let begun = Instant::now();
        let nothing = Budget { steps: 0, restarts: 0, renewals: 0, releases: 0, ..BUDGET };
        let budget = match mutant {
            Mutant::NoSilenceAfterRestart => Budget { restarts: 1, ..nothing },
            Mutant::DeadlineFromTheReply | Mutant::WitnessLeaseTooShort | Mutant::NoMargin => {
                Budget { steps: 3, ..nothing }
            }
            Mutant::NoMajority => nothing,
            Mutant::GossipOnly => Budget { steps: 1, ..nothing },
        };
        let checker = Cluster { rules: mutant.rules(), budget }
            .checker()
            .threads(2)
            .finish_when(stateright::HasDiscoveries::AnyFailures)
            .timeout(std::time::Duration::from_secs(60))
            .spawn_dfs()
            .join();
        let found = checker.discovery("at most one holder");
        println!("{mutant:?}: {} states, {:.1?}", checker.unique_state_count(), begun.elapsed());
        if let Some(path) = &found {
            println!("    {:?}", path.clone().into_actions());
        }
        //assert!(found.is_some(), "{mutant:?} is not found");
    }
}

#[test]
fn tune() {
    let Ok(text) = std::env::var("TUNE") else { return };
    for text in text.split(';') {
        let n: Vec<u64> = text.split(',').map(|n| n.parse().unwrap()).collect();
        let budget = Budget {
            step: n[0],
            steps: n[1] as u8,
            restarts: n[2] as u8,
            renewals: n[3] as u8,
            releases: n[4] as u8,
            flying: n[5] as usize,
            prompt: n[8] == 1,
        };
        let rules = if n[6] == 9 { Rules::default() } else { Mutant::ALL[n[6] as usize].rules() };
        let begun = Instant::now();
        let builder =
            Cluster { rules, budget }.checker().threads(2).timeout(std::time::Duration::from_secs(n[7]));
        let builder =
            if n[6] == 9 { builder } else { builder.finish_when(stateright::HasDiscoveries::AnyFailures) };
        let checker = builder.spawn_dfs().join();
        let found: Vec<_> = checker.discoveries().into_keys().collect();
        println!(
            "{text}: {} states of {} depth {} {:.1?} done {} {found:?}",
            checker.unique_state_count(),
            checker.state_count(),
            checker.max_depth(),
            begun.elapsed(),
            checker.is_done()
        );
    }
}
