//! Who has which slot, as the witnesses know it together: one alone may have missed a grant, or forgotten all of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use nsid_peers::{Ask, Entry as Told, List, Message, Outgoing, Page};
use tokio::time::timeout;

use super::wire::{Wire, now};
use super::{Peers, Quorum};
use crate::clock;
use crate::store::{Agreement, Directory, Entry, Holder, NodeId, Nonce, Roll, Unreachable};

/// How long a witness may take for one page, which may be lost.
const PATIENCE: Duration = Duration::from_millis(250);

impl Directory for Peers {
    async fn names(&mut self) -> Result<Roll, Unreachable> {
        let pool = self.agreement.pool();
        let list = &self.quorum.list;
        let told = join_all(list.witnesses().iter().map(|witness| roll(&self.quorum, *witness, &pool))).await;
        let told: Vec<Roll> = told.into_iter().flatten().collect();
        if told.is_empty() {
            return Err(Unreachable::new(format!("none of the witnesses {list} answers")));
        }
        Ok(together(told, list))
    }
}

/// What so many of a list's witnesses tell. A slot is held if a majority may know it so, those that told nothing included;
/// who is there and has none waits, whatever a witness knows of that one alone.
fn together(told: Vec<Roll>, list: &List) -> Roll {
    let witnesses = list.witnesses().len();
    let silent = witnesses - told.len();
    let enough = (witnesses / 2 + 1).saturating_sub(silent).max(1);
    let mut holders: BTreeMap<(u32, u64), (usize, Entry)> = BTreeMap::new();
    let (mut present, mut agreement) = (Vec::new(), None);
    for roll in told {
        present.push(roll.holders.len() + roll.waiting);
        agreement = agreement.or(roll.agreement);
        for entry in roll.holders {
            holders.entry((entry.slot, entry.token)).or_insert_with(|| (0, entry)).0 += 1;
        }
    }
    let held = holders.into_values().filter(|(times, _)| *times >= enough);
    // Of two of one slot, the later one is the last.
    let holders: BTreeMap<u32, Entry> = held.map(|(_, entry)| (entry.slot, entry)).collect();
    present.sort_unstable();
    let present = present.get(present.len() / 2).copied().unwrap_or_default();
    Roll {
        waiting: present.saturating_sub(holders.len()),
        holders: holders.into_values().collect(),
        agreement,
    }
}

/// What one witness tells: page after page, each asked for twice if need be.
async fn roll(quorum: &Quorum, witness: SocketAddr, pool: &str) -> Option<Roll> {
    let wire = Wire::to(quorum).ok()?;
    let mut roll = Roll { holders: Vec::new(), waiting: 0, agreement: None };
    let mut from = 0;
    loop {
        let page = match page(&wire, witness, pool, from).await {
            Some(page) => page,
            None => page(&wire, witness, pool, from).await?,
        };
        if page.list != quorum.list {
            return None;
        }
        roll.waiting = usize::try_from(page.waiting).unwrap_or(usize::MAX);
        roll.agreement = Agreement::read(page.terms.as_bytes()).ok();
        roll.holders.extend(page.entries.into_iter().map(entry));
        match page.next {
            // What goes back would never end.
            Some(next) if next > from => from = next,
            _ => return Some(roll),
        }
    }
}

async fn page(wire: &Wire, witness: SocketAddr, pool: &str, from: u32) -> Option<Page> {
    let number = now().as_nanos();
    let ask = Ask { pool: pool.into(), number, from };
    wire.send([Outgoing { to: witness, message: Message::Ask(ask) }]).await;
    let answer = async {
        loop {
            if let (sender, Ok(Message::Page(page))) = wire.receive().await
                && sender == witness
                && page.number == number
            {
                return page;
            }
        }
    };
    timeout(PATIENCE, answer).await.ok()
}

fn entry(told: Told) -> Entry {
    let Told { slot, token, who, lease, age } = told;
    let holder = Holder {
        nonce: Nonce::from_bytes(who.order.nonce.0),
        node: NodeId::from_bytes(who.order.node.0),
        host: who.host.to_string(),
        since: clock::millis_since_1970().saturating_sub(age),
        ttl: lease.into(),
    };
    Entry { slot, token, holder }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(slots: &[(u32, u64)], waiting: usize) -> Roll {
        let nonce = Nonce::from_bytes([7; 16]);
        let holder = |token| Holder {
            nonce,
            node: NodeId::from_bytes([7; 16]),
            host: "host".to_owned(),
            since: 0,
            ttl: token,
        };
        let holders =
            slots.iter().map(|(slot, token)| Entry { slot: *slot, token: *token, holder: holder(*token) });
        Roll { holders: holders.collect(), waiting, agreement: None }
    }

    #[test]
    fn a_slot_is_held_unless_a_majority_knows_that_it_is_not() {
        let list =
            List::new((1..=3).map(|host| SocketAddr::from(([10, 0, 0, host], 7400))).collect()).unwrap();
        for (witnesses, held) in [
            // One of them has forgotten all.
            (
                vec![told(&[], 0), told(&[(0, 5), (1, 6)], 1), told(&[(0, 5), (1, 6)], 1)],
                vec![(0, 5), (1, 6)],
            ),
            // One has missed the grant of slot 1.
            (
                vec![told(&[(0, 5)], 2), told(&[(0, 5), (1, 6)], 1), told(&[(0, 5), (1, 6)], 1)],
                vec![(0, 5), (1, 6)],
            ),
            // One has missed that slot 0 was given back, and to whom it was given then.
            (vec![told(&[(0, 5)], 1), told(&[(0, 8)], 1), told(&[(0, 8)], 1)], vec![(0, 8)]),
            (vec![told(&[(0, 5)], 0), told(&[], 1), told(&[], 1)], vec![]),
            // The third one would know.
            (vec![told(&[(0, 5)], 1), told(&[], 1)], vec![(0, 5)]),
            (vec![told(&[(0, 5)], 1), told(&[(0, 8)], 1)], vec![(0, 8)]),
            (vec![told(&[(0, 5)], 1)], vec![(0, 5)]),
        ] {
            let roll = together(witnesses.clone(), &list);
            let shown: Vec<_> = roll.holders.iter().map(|entry| (entry.slot, entry.token)).collect();
            assert_eq!((shown, roll.waiting), (held, 1), "{witnesses:?}");
        }
    }
}
