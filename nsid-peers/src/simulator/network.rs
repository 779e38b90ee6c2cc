//! The network of a run: it loses, delays, repeats and cuts off.

use fastrand::Rng;

use super::clock::SECOND;

/// How long a host takes for a message.
const WORK: u64 = 20_000;

/// What it does to a datagram.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// Of 1000 datagrams, so many are lost.
    pub(super) lost: u64,
    /// Of 1000, so many come twice.
    pub(super) doubled: u64,
    /// Of 1000, so many are late, by up to five seconds.
    pub(super) late: u64,
    /// Ways that are cut.
    cuts: Vec<Cut>,
    /// Until when each host has work.
    busy: Vec<u64>,
}

/// From any host of one side nothing comes to any of the other.
#[derive(Clone, Debug)]
struct Cut {
    from: Vec<bool>,
    to: Vec<bool>,
}

impl Network {
    pub(super) fn new(hosts: usize) -> Self {
        Self { lost: 0, doubled: 0, late: 0, cuts: Vec::new(), busy: vec![0; hosts] }
    }

    /// When a datagram that is sent now is dealt with: not at all, once or twice.
    pub(super) fn carry(&mut self, now: u64, from: usize, to: usize, random: &mut Rng) -> Vec<u64> {
        let mut arrivals = Vec::new();
        if self.is_cut(from, to) {
            return arrivals;
        }
        let copies = if random.u64(..1000) < self.doubled { 2 } else { 1 };
        for _ in 0..copies {
            if from != to && random.u64(..1000) < self.lost {
                continue;
            }
            let mut delay = 100_000 + random.u64(..2_000_000);
            if random.u64(..1000) < self.late {
                delay += random.u64(..5 * SECOND);
            }
            let begin = self.busy[to].max(now + delay);
            // Others that come meanwhile wait for this one, and not for one that is late.
            self.busy[to] = self.busy[to].max(now) + WORK;
            arrivals.push(begin + WORK);
        }
        arrivals
    }

    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        from != to && self.cuts.iter().any(|cut| cut.from[from] && cut.to[to])
    }

    pub(super) fn cut(&mut self, from: Vec<bool>, to: Vec<bool>) {
        self.cuts.push(Cut { from, to });
    }

    pub(super) fn mend(&mut self) {
        self.cuts.clear();
        (self.lost, self.doubled, self.late) = (0, 0, 0);
    }
}
