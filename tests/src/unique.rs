//! Names for what a run creates on the host, made so that what a dead run left behind can be told from what a live
//! one uses: `PREFIX-PID-SERIAL`.

use std::{
    fmt,
    path::Path,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// Who creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// The end-to-end tests.
    Test,
    /// The demo.
    Demo,
}

impl Prefix {
    const ALL: [Self; 2] = [Self::Test, Self::Demo];

    fn as_str(self) -> &'static str {
        match self {
            Self::Test => "nsid-t-",
            Self::Demo => "nsid-demo-",
        }
    }
}

/// A name that no other object of any run has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique(String);

impl Unique {
    /// The next one of this process.
    pub fn new(prefix: Prefix) -> Self {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        Self(format!("{}{}-{serial}", prefix.as_str(), process::id()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Unique {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Whether `name` is, or contains, a unique name whose process is no more.
pub fn is_of_a_dead_run(name: &str) -> bool {
    creator(name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

fn creator(name: &str) -> Option<u32> {
    Prefix::ALL.iter().find_map(|prefix| {
        let (_, after) = name.split_once(prefix.as_str())?;
        after.split_once('-')?.0.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_creator() {
        assert_eq!(creator(Unique::new(Prefix::Demo).as_str()), Some(process::id()));
        assert_eq!(creator("worker{id}.nsid-t-17-0.test"), Some(17));
        assert_eq!(creator("default"), None);
    }

    #[test]
    fn only_what_a_dead_process_created_is_left_over() {
        assert!(!is_of_a_dead_run(Unique::new(Prefix::Test).as_str()));
        // Above the kernel's largest process id (PID_MAX_LIMIT, include/linux/threads.h).
        assert!(is_of_a_dead_run("nsid-t-4194305-0"));
        assert!(!is_of_a_dead_run("somebody-else's"));
    }
}
