//! Packets that do not arrive: rules of nftables in the hub, through which all go that is sent from node to node. What
//! the hub itself asks is not forwarded, so clients there are heard and answered throughout.

use std::{fmt::Write as _, io::Write as _, net::Ipv4Addr, process::Stdio};

use crate::netns::Namespace;

/// Packets from one to another of which so many of a hundred get through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) from: Ipv4Addr,
    pub(super) to: Ipv4Addr,
    pub(super) through: usize,
}

/// What is cut now, by the fault of each lane.
#[derive(Debug, Default)]
pub(super) struct Cuts([Vec<Cut>; 2]);

const CHAIN: &str = "ip nsid_chaos forward";

impl Cuts {
    /// Has the hub forward, and nothing cut.
    pub(super) fn none(hub: &Namespace) -> Self {
        hub.sysctl("net/ipv4/ip_forward", "1");
        nft(
            hub,
            &format!(
                "add table ip nsid_chaos\nadd chain {CHAIN} {{ type filter hook forward priority 0; }}\n"
            ),
        );
        Self::default()
    }

    /// Has those of one lane be these from now on: all at one instant.
    pub(super) fn set(&mut self, hub: &Namespace, lane: usize, cuts: Vec<Cut>) {
        self.0[lane] = cuts;
        let mut rules = format!("flush chain {CHAIN}\n");
        for Cut { from, to, through } in self.0.iter().flatten() {
            writeln!(
                rules,
                "add rule {CHAIN} ip saddr {from} ip daddr {to} numgen random mod 100 >= {through} drop"
            )
            .expect("a String takes all");
        }
        nft(hub, &rules);
    }
}

/// Those between one and each of the others, both ways.
pub(super) fn both_ways(one: Ipv4Addr, others: &[Ipv4Addr], through: usize) -> Vec<Cut> {
    let mut cuts = towards(one, others, through);
    cuts.extend(away(one, others, through));
    cuts
}

/// Those from each of the others to one.
pub(super) fn towards(one: Ipv4Addr, others: &[Ipv4Addr], through: usize) -> Vec<Cut> {
    others.iter().map(|&other| Cut { from: other, to: one, through }).collect()
}

/// Those from one to each of the others.
pub(super) fn away(one: Ipv4Addr, others: &[Ipv4Addr], through: usize) -> Vec<Cut> {
    others.iter().map(|&other| Cut { from: one, to: other, through }).collect()
}

fn nft(hub: &Namespace, ruleset: &str) {
    let mut nft = hub.command("nft");
    let mut nft = nft.args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nft can be run");
    let mut stdin = nft.stdin.take().expect("it is piped");
    stdin.write_all(ruleset.as_bytes()).expect("nft reads what it is given");
    drop(stdin);
    let status = nft.wait().expect("nft ends");
    assert!(status.success(), "nft: {status}: {ruleset}");
}
