//! Waiting for something to become so, by looking again and again: never by sleeping for as long as it usually takes.

use std::{
    env, thread,
    time::{Duration, Instant},
};

/// How often to look.
const PERIOD: Duration = Duration::from_millis(5);

/// Waits until `look` finds something; panics with `what` if that takes longer than `patience`, or as many times that as
/// `NSID_PATIENCE` says: an emulated machine is slow.
pub fn within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let times = env::var("NSID_PATIENCE").map_or(1, |times| times.parse().expect("a number"));
    let patience = patience * times;
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} in vain for {what}");
        thread::sleep(PERIOD);
    }
}

/// Waits until `look` says so; panics with `what` if that takes longer than `patience`.
pub fn until(patience: Duration, what: &str, mut look: impl FnMut() -> bool) {
    within(patience, what, || look().then_some(()));
}
