//! `CLOCK_BOOTTIME`, the one clock that deadlines are told in: the kernel programs read the same one
//! (`bpf_ktime_get_boot_ns`), it is the same in every network namespace, and it goes on during suspend.

use std::{
    fs, io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::time::{ClockId, Timespec, clock_gettime};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A point on `CLOCK_BOOTTIME`, in nanoseconds since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BootTime(u64);

impl BootTime {
    /// The present.
    pub fn now() -> Self {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Boottime);
        let since_boot = Duration::new(tv_sec.unsigned_abs(), u32::try_from(tv_nsec).unwrap_or(0));
        Self(u64::try_from(since_boot.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The point that many nanoseconds after boot.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since boot.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The point `after` later; stays at the end of time rather than wrapping.
    #[must_use]
    pub fn saturating_add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The point `before` earlier; stays at boot rather than wrapping.
    #[must_use]
    pub fn saturating_sub(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(before.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// What is left until this point; zero once it has passed.
    pub fn left(self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(Self::now().0))
    }

    /// Whether this point has passed.
    pub fn passed(self) -> bool {
        Self::now() >= self
    }
}

/// Why deadlines cannot be told here.
#[derive(Debug, Error)]
pub enum ClockError {
    /// `CLOCK_BOOTTIME` is another one here (`time_namespaces(7)`), and the kernel programs read the host's.
    #[error("this time namespace has its own boot time ({offset}); run nsid in the host's time namespace")]
    Offset {
        /// Seconds and nanoseconds, as the kernel writes them.
        offset: String,
    },
    /// `/proc` does not tell.
    #[error("cannot read {OFFSETS}: {0}; mount /proc")]
    Unknown(io::Error),
}

const OFFSETS: &str = "/proc/self/timens_offsets";

/// Whether this process reads the clock that the kernel programs read.
pub fn is_the_kernels() -> Result<(), ClockError> {
    match fs::read_to_string(OFFSETS) {
        Ok(offsets) => has_no_offset(&offsets),
        // Of a kernel without time namespaces (before Linux 5.6, or without CONFIG_TIME_NS).
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ClockError::Unknown(error)),
    }
}

fn has_no_offset(offsets: &str) -> Result<(), ClockError> {
    let boot_time = offsets.lines().find_map(|line| line.strip_prefix("boottime"));
    let offset = boot_time.unwrap_or_default().split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    if matches!(&*offset, "" | "0 0") { Ok(()) } else { Err(ClockError::Offset { offset }) }
}

/// Until when a name may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// A name given by hand: nobody else can be given it, so it does not lapse.
    Never,
    /// A lease: past this point the kernel is silent by itself.
    At(BootTime),
}

/// What the wall clock tells, for people and for who was started first: no deadline is read from it. Zero by one that
/// nobody set.
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The same in milliseconds.
pub fn millis_since_1970() -> u64 {
    since_1970().as_millis().try_into().unwrap_or(u64::MAX)
}

/// The length of one jiffy, the kernel's tick (`1/CONFIG_HZ`).
///
/// The coarse clocks tick with it, and tell their resolution (`KTIME_LOW_RES`, kernel/time/posix-timers.c).
pub fn jiffy() -> Duration {
    let Timespec { tv_sec, tv_nsec } = rustix::time::clock_getres(ClockId::MonotonicCoarse);
    Duration::new(tv_sec.unsigned_abs(), u32::try_from(tv_nsec).unwrap_or(0))
}

/// Jiffies that the kernel may go on saying a name past the moment at which it was told not to: the fence's
/// verdict is cached for one, and a stalled timekeeping CPU can freeze the count for five more.
pub const SILENCE_JIFFIES: u32 = 6;

/// How long ago this process was started (`proc_pid_stat(5)`, field 22), to a hundredth of a second; nothing if `/proc` does
/// not tell. A program that goes on as another one (`nsid upgrade`) is the same process.
pub fn age_of_process() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, which may have anything in it, ends with the last parenthesis.
    let started =
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19)?.parse().ok());
    let tick = Duration::from_secs(1) / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100);
    let since_boot = |ticks: u32| tick.saturating_mul(ticks);
    started.map_or(Duration::ZERO, |ticks| {
        let now = Duration::from_nanos(BootTime::now().as_nanos());
        now.saturating_sub(since_boot(ticks))
    })
}

/// How long after silencing a record the name is certainly off the wire.
pub fn silence() -> Duration {
    jiffy() * SILENCE_JIFFIES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_grows_older() {
        let first = age_of_process();
        assert!(first > Duration::ZERO && first < Duration::from_hours(24), "{first:?}");
        std::thread::sleep(Duration::from_millis(30));
        assert!(age_of_process() > first);
    }

    #[test]
    fn a_jiffy_is_between_one_and_ten_milliseconds() {
        assert!((Duration::from_millis(1)..=Duration::from_millis(10)).contains(&jiffy()), "{:?}", jiffy());
    }

    #[test]
    fn a_boot_time_of_its_own_is_refused_and_any_other_offset_is_not() {
        let refused = |boot_time: &str| {
            has_no_offset(&format!("monotonic        7         0\nboottime   {boot_time}\n")).is_err()
        };
        assert!(!refused("      0         0"));
        for offset in ["   1000         0", "     -1 500000000", "      0         1"] {
            assert!(refused(offset), "{offset}");
        }
        is_the_kernels().expect("tests run in the host's time namespace");
    }

    #[test]
    fn a_point_passes_when_its_time_has_come() {
        let soon = BootTime::now().saturating_add(Duration::from_millis(20));
        assert!(!soon.passed());
        std::thread::sleep(soon.left());
        assert!(soon.passed());
        assert_eq!(soon.left(), Duration::ZERO);
    }
}
