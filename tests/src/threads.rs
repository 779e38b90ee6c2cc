//! Threads, as `/proc` tells of them.

use std::fs;

/// The processes.
pub fn processes() -> impl Iterator<Item = i32> {
    numbers("/proc")
}

/// The threads of a process group.
pub fn of_group(group: u32) -> Vec<i32> {
    let group = group.to_string();
    let of_group = |&process: &i32| field(process, PGRP).as_ref() == Some(&group);
    processes().filter(of_group).flat_map(|process| numbers(&format!("/proc/{process}/task"))).collect()
}

/// Whether a thread does nothing until it is continued, or for good.
pub fn stands_still(thread: i32) -> bool {
    field(thread, STATE).is_none_or(|state| ["T", "Z", "X"].contains(&state.as_str()))
}

/// Which of the fields that follow the name: `PID (COMM) STATE PPID PGRP ...` (`proc_pid_stat(5)`).
const STATE: usize = 0;
const PGRP: usize = 2;

fn field(thread: i32, which: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{thread}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(which).map(str::to_owned)
}

/// What in a directory has a number for a name.
fn numbers(directory: &str) -> impl Iterator<Item = i32> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
