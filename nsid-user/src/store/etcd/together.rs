//! Renewals at the same time as those of others.
//!
//! An etcd that has little to do spends much of its work on waking up for each request; of those that come together, each
//! costs it less. So renewals begin at whole tenths of a second of the wall clock, which most hosts have alike; where they
//! have not, nothing depends on it.

use std::time::{Duration, SystemTime};

use tokio::time::sleep;

/// How far apart they are, at most; and as a part of a lease.
const APART: (Duration, u32) = (Duration::from_millis(100), 100);

/// Waits for the next of these moments.
pub(super) async fn with_others(ttl: Duration) {
    let apart = APART.0.min(ttl / APART.1);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let since = now.as_nanos().checked_rem(apart.as_nanos()).and_then(|since| since.try_into().ok());
    sleep(apart.saturating_sub(Duration::from_nanos(since.unwrap_or(0)))).await;
}
