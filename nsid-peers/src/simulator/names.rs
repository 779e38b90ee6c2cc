//! Who says which name: what all of it is about.

use std::collections::BTreeMap;

use super::clock::SECOND;

/// What is being said. A name goes on being said until its deadline, whatever becomes of the process that claimed it.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// By slot: which hosts say its name, and until when.
    said: BTreeMap<u32, Vec<(usize, u64)>>,
    /// The greatest token that each slot's name was said under.
    tokens: BTreeMap<u32, u64>,
    /// Which token each host has, and for which slot.
    held: BTreeMap<usize, (u32, u64)>,
    /// Names that two hosts said at one time.
    pub(super) twice: Vec<String>,
    /// Tokens that were not greater than the slot's last.
    pub(super) disorder: Vec<String>,
}

impl Names {
    /// The host says the name of that slot until then, and none other.
    pub(super) fn say(&mut self, now: u64, host: usize, (slot, token): (u32, u64), until: u64) {
        if self.held.get(&host) != Some(&(slot, token)) {
            let last = self.tokens.entry(slot).or_default();
            if token <= *last {
                self.disorder.push(format!("slot {slot} has token {token} after {last}"));
            }
            *last = token.max(*last);
            self.silence(host);
            self.held.insert(host, (slot, token));
        }
        let sayers = self.said.entry(slot).or_default();
        sayers.retain(|(other, until)| *other != host && *until > now);
        if until <= now {
            return;
        }
        for (other, beyond) in sayers.iter() {
            let overlap = (*beyond).min(until) - now;
            self.twice.push(format!(
                "{:.6} s: host {host} says name {slot}, which host {other} says for {:.3} s more",
                seconds(now),
                seconds(overlap)
            ));
        }
        sayers.push((host, until));
    }

    /// The host says nothing.
    pub(super) fn silence(&mut self, host: usize) {
        if let Some((slot, _)) = self.held.remove(&host)
            && let Some(sayers) = self.said.get_mut(&slot)
        {
            sayers.retain(|(other, _)| *other != host);
        }
    }

    /// What an earlier process of the host left to the next: its slot and token, and until when that name is said.
    pub(super) fn inheritance(&self, host: usize) -> Option<((u32, u64), u64)> {
        let (slot, token) = self.held.get(&host)?;
        let (_, until) = self.said.get(slot)?.iter().find(|(other, _)| *other == host)?;
        Some(((*slot, *token), *until))
    }

    /// What the host says, if it does.
    pub(super) fn of(&self, now: u64, host: usize) -> Option<u32> {
        let (slot, _) = self.held.get(&host)?;
        let is_said = self.said.get(slot)?.iter().any(|(other, until)| *other == host && *until > now);
        is_said.then_some(*slot)
    }
}

pub(super) fn seconds(nanos: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "it is for people")]
    let seconds = nanos as f64 / SECOND as f64;
    seconds
}
