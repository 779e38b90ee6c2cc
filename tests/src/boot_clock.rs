//! `CLOCK_BOOTTIME`, the clock that deadlines are told in.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since boot.
pub fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).expect("the time since boot is not negative")
}
