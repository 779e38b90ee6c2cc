//! What dead runs left on the host: a run that is killed with SIGKILL removes nothing.

use std::{env, fs, path::Path, process::Command};

use crate::{agent, unique::is_of_a_dead_run};

/// A file system in memory, for what must not wait for a disk (POSIX shared memory, `shm_overview(7)`).
pub const MEMORY: &str = "/dev/shm";

/// Where the records of witnesses are.
const WITNESSES: &str = "/run/nsid/witnesses";

/// Removes all of it: namespaces, what agents pinned, slots of the `local` store, records of witnesses, and temporary files.
pub fn sweep() {
    for instance in dead_in("/run/nsid").into_iter().chain(dead_in("/sys/fs/bpf/nsid")) {
        agent::detach(&instance);
        let _already_gone = fs::remove_dir_all(Path::new("/run/nsid").join(instance));
    }
    for namespace in dead_in("/run/netns") {
        let _best_effort = Command::new("ip").args(["netns", "del", &namespace]).output();
    }
    for record in dead_in(WITNESSES) {
        let _already_gone = fs::remove_file(Path::new(WITNESSES).join(record));
    }
    let scratch = env::temp_dir().display().to_string();
    for directory in ["/run/nsid/local", &scratch, MEMORY] {
        for left in dead_in(directory) {
            let _already_gone = fs::remove_dir_all(Path::new(directory).join(left));
        }
    }
}

/// What in `directory` bears the name of a dead run.
pub fn dead_in(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| is_of_a_dead_run(name)).collect()
}
