//! Which server is asked, and how long it may take to answer.
//!
//! While servers elect a leader, each of them hangs up on whoever asks, and one that is frozen or cut off hangs, until long
//! after. Who has a lease wants to be there when the others have a leader. So a server that hung is left alone for a while,
//! and those that refuse are asked in turn, again and again.

use std::time::Duration;

use crate::clock::BootTime;
use crate::pace::jittered;

/// How long a server may take to answer. One that was stopped keeps its connections, and a request to it hangs without
/// an error; so does a write to one that is cut off from the others. At first it has half of that, but not less than
/// [`HASTE`], if answers came soon of late.
const PATIENCE: Duration = Duration::from_millis(700);
const HASTE: Duration = Duration::from_millis(250);

/// Which part of the session's time that is, at most: less than from one renewal to the next.
const PATIENCE_PARTS: u32 = 9;

/// So many times what answers took of late is soon.
const SOON: u32 = 4;

/// So many times that, where no deadline is near. A crowd that starts at once keeps ZooKeeper busy: who gives up and asks
/// again only makes it busier.
const UNHURRIED: u32 = 6;

/// How often the time that a server has is doubled while nobody answers.
const DOUBLINGS: u32 = 2;

/// For which part of the session's time one that hung is left alone.
const SPARED_PARTS: u32 = 5;

/// How soon another server is asked after one that refused: that part of the session's time, between these two.
const PAUSE_PARTS: u32 = 50;
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// The servers of an ensemble, by their places in its list.
pub(super) struct Servers {
    /// How long the session outlives its last sign of life.
    timeout: Duration,
    current: usize,
    /// When each of them hung, if that was the last that it did.
    hung: Vec<Option<BootTime>>,
    /// How many hung in a row.
    in_a_row: u32,
    /// How long the slowest answer took of late.
    slowest: Duration,
}

impl Servers {
    /// So many, of which that one is the first, for a session that lasts so long.
    pub(super) fn new(count: usize, first: usize, timeout: Duration) -> Self {
        Self {
            timeout,
            current: first % count,
            hung: vec![None; count],
            in_a_row: 0,
            slowest: Duration::ZERO,
        }
    }

    /// The one to ask.
    pub(super) fn current(&self) -> usize {
        self.current
    }

    /// It answered, after so long.
    pub(super) fn answered(&mut self, took: Duration) {
        self.slowest = took.max(self.slowest * 7 / 8);
        self.hung[self.current] = None;
        self.in_a_row = 0;
    }

    /// It said that it has too much to do. It stays the one to ask, after a pause.
    pub(super) fn busy(&mut self) {
        self.hung[self.current] = None;
        self.in_a_row = 0;
    }

    /// It said that it cannot, or hung up: the next one's turn.
    pub(super) fn refused(&mut self) {
        self.busy();
        self.turn(BootTime::now());
    }

    /// It did not answer in time: the next one's turn.
    pub(super) fn hung(&mut self) {
        let now = BootTime::now();
        self.hung[self.current] = Some(now);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.turn(now);
    }

    /// To the next one that has not hung of late. The same one again, if there is no other.
    fn turn(&mut self, now: BootTime) {
        let count = self.hung.len();
        let next = |by| (self.current + by) % count;
        let spared = now.saturating_sub(self.timeout / SPARED_PARTS);
        let fit = |server: &usize| self.hung[*server].is_none_or(|at| at <= spared);
        self.current = (1..=count).map(next).find(fit).unwrap_or(next(1));
    }

    /// How long it may take where a lease is under way.
    pub(super) fn patience(&self) -> Duration {
        let most = self.timeout / PATIENCE_PARTS;
        let usual = PATIENCE.min(most);
        let least = (usual / 2).max(HASTE).min(usual);
        ((self.slowest * SOON).clamp(least, usual) * self.growth()).min(most)
    }

    /// How long where none is: not longer than the session lasts, which is over then for want of an answer.
    pub(super) fn unhurried(&self) -> Duration {
        let usual = PATIENCE.min(self.timeout / PATIENCE_PARTS) * UNHURRIED;
        (usual * self.growth()).min(self.timeout)
    }

    fn growth(&self) -> u32 {
        2_u32.pow(self.in_a_row.min(DOUBLINGS))
    }

    /// When to ask after a failure: at once, if that took long enough.
    pub(super) fn again(&self) -> BootTime {
        let pause = (self.timeout / PAUSE_PARTS).clamp(PAUSES.0, PAUSES.1);
        let pause = if self.in_a_row == 0 { jittered(pause) } else { Duration::ZERO };
        BootTime::now().saturating_add(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(9);

    fn servers(count: usize) -> Servers {
        Servers::new(count, 0, TIMEOUT)
    }

    #[test]
    fn all_that_refuse_are_asked_in_turn_and_one_that_hung_is_left_alone() {
        let mut servers = servers(3);
        servers.hung();
        let mut asked = Vec::new();
        for _ in 0..4 {
            asked.push(servers.current());
            servers.refused();
        }
        assert_eq!(asked, [1, 2, 1, 2]);
        servers.hung[0] = Some(BootTime::now().saturating_sub(TIMEOUT / SPARED_PARTS));
        servers.refused();
        servers.refused();
        assert_eq!(servers.current(), 0, "it may be well again");
    }

    #[test]
    fn of_servers_that_all_hang_none_is_left_out() {
        let mut servers = servers(3);
        let mut asked = Vec::new();
        for _ in 0..6 {
            asked.push(servers.current());
            servers.hung();
        }
        assert_eq!(asked, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn the_only_one_that_refuses_is_asked_again_and_so_is_the_only_one() {
        let mut two = servers(2);
        two.hung();
        two.refused();
        assert_eq!(two.current(), 1);
        let mut one = servers(1);
        one.hung();
        one.refused();
        assert_eq!(one.current(), 0);
    }

    #[test]
    fn who_is_told_that_a_server_is_busy_asks_it_again_after_a_pause() {
        let mut servers = servers(3);
        servers.hung();
        assert!(servers.again().passed(), "that took long enough");
        servers.busy();
        assert!(!servers.again().passed());
        assert_eq!(servers.current(), 1);
    }

    #[test]
    fn a_server_has_more_time_while_nobody_answers_and_where_answers_are_slow() {
        let mut servers = servers(3);
        assert_eq!(servers.patience(), PATIENCE / 2);
        servers.hung();
        assert_eq!(servers.patience(), PATIENCE);
        servers.hung();
        servers.hung();
        assert_eq!(servers.patience(), TIMEOUT / PATIENCE_PARTS, "the next renewal is near");
        servers.answered(PATIENCE / 3);
        assert_eq!(servers.patience(), PATIENCE);
        (0..30).for_each(|_| servers.answered(Duration::ZERO));
        assert_eq!(servers.patience(), PATIENCE / 2);
        assert!(servers.unhurried() > servers.patience() * UNHURRIED);
        (0..3).for_each(|_| servers.hung());
        assert_eq!(servers.unhurried(), TIMEOUT);
    }
}
