//! The clocks of a simulated host, which are off in rate, and of which the wall clock is stepped.

use crate::Time;

/// A thousand million in a second.
pub(super) const SECOND: u64 = 1_000_000_000;

/// Between the beginning of a run and 1970, in microseconds.
const EPOCH: u64 = 1_790_000_000_000_000;

/// What one host reads, at points of the run's own time, in nanoseconds since its beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// When the host was started: before the run, if negative.
    booted: i64,
    /// By how many millionths it is fast.
    fast: i64,
    /// By how many microseconds the wall clock is ahead.
    pub(super) wall: i64,
}

impl Clock {
    pub(super) fn new(booted: i64, fast: i64) -> Self {
        Self { booted, fast, wall: 0 }
    }

    /// The same clock after a reboot.
    pub(super) fn rebooted(self, at: u64) -> Self {
        Self { booted: at.cast_signed(), ..self }
    }

    /// What `CLOCK_BOOTTIME` is at that point.
    pub(super) fn read(self, at: u64) -> Time {
        let passed = i128::from(at.cast_signed() - self.booted);
        let read = passed + passed * i128::from(self.fast) / 1_000_000;
        Time::from_nanos(u64::try_from(read).unwrap_or(0))
    }

    /// The first point at which it reads at least that.
    pub(super) fn at(self, time: Time) -> u64 {
        let read = i128::from(time.as_nanos());
        let mut passed = read * 1_000_000 / (1_000_000 + i128::from(self.fast));
        while passed + passed * i128::from(self.fast) / 1_000_000 < read {
            passed += 1;
        }
        u64::try_from(passed + i128::from(self.booted)).unwrap_or(u64::MAX)
    }

    /// The wall clock, in microseconds since 1970.
    pub(super) fn wall(self, at: u64) -> u64 {
        (EPOCH + at / 1000).saturating_add_signed(self.wall)
    }
}
