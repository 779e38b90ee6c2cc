//! A named network namespace.
//!
//! Processes enter it by setns in the child, as `nsenter --net` does, and never by `ip netns exec`, which makes a mount
//! namespace of its own: pins made there vanish with it.

use std::{
    env,
    ffi::OsStr,
    fs::File,
    io::{Seek as _, Write as _},
    os::{fd::AsFd, unix::process::CommandExt},
    path::Path,
    process::Command,
    sync::Once,
    thread,
};

use rustix::{
    process::{Signal, set_parent_process_death_signal},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use tempfile::TempDir;

use crate::{
    leftovers,
    process::run,
    unique::{Prefix, Unique},
};

/// A network namespace of its own, with `lo` up, removed on Drop.
///
/// What runs in it must be dropped before it: fields drop in the order of their declaration.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
}

impl Namespace {
    /// Makes one for `role`, a word that a person finds in `ip netns list`.
    pub fn new(prefix: Prefix, role: &str) -> Self {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(leftovers::sweep);
        let name = format!("{}-{role}", Unique::new(prefix));
        run(Command::new("ip").args(["netns", "add", &name]));
        let path = format!("/run/netns/{name}");
        let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let namespace = Self { name, file };
        namespace.ip("link set lo up");
        // An address can be used at once, the link-local one too, and not a second later (RFC 4862 5.4).
        namespace.sysctl("net/ipv6/conf/default/accept_dad", "0");
        namespace.sysctl("net/ipv6/conf/default/dad_transmits", "0");
        namespace
    }

    /// Its name, as `ip netns list` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Does `work` inside. Sockets opened there stay there.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
                .unwrap_or_else(|error| panic!("entering {}: {error}", self.name));
            work()
        };
        thread::scope(|scope| scope.spawn(inside).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// A program that will run inside and die with the thread that starts it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let file = self.file.try_clone().expect("a file descriptor for the namespace");
        let mut command = Command::new(program);
        let enter = move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(())
        };
        // SAFETY: between fork and exec the closure makes two system calls; it neither allocates nor takes a lock.
        unsafe { command.pre_exec(enter) };
        command
    }

    /// A directory for the files of what runs inside, removed on Drop.
    pub fn scratch(&self) -> TempDir {
        self.scratch_in(&env::temp_dir())
    }

    /// The same below `place`, one of those that [`leftovers::sweep`] knows.
    pub fn scratch_in(&self, place: &Path) -> TempDir {
        let mut builder = tempfile::Builder::new();
        builder.prefix(&format!("{}-", self.name)).tempdir_in(place).expect("a temporary directory")
    }

    /// Runs `ip` inside; arguments are separated by blanks.
    pub fn ip(&self, arguments: &str) {
        run(Command::new("ip").args(["-n", &self.name]).args(arguments.split_whitespace()));
    }

    /// Runs `ip` inside once, for several lines of arguments.
    pub fn ip_batch(&self, lines: &[String]) {
        let mut batch = tempfile::tempfile().expect("a temporary file");
        batch.write_all(lines.join("\n").as_bytes()).expect("room in it");
        batch.rewind().expect("a file");
        run(Command::new("ip").args(["-n", &self.name, "-batch", "-"]).stdin(batch));
    }

    /// What `ip` prints of the inside.
    pub fn ip_shows(&self, arguments: &str) -> String {
        run(Command::new("ip").args(["-n", &self.name]).args(arguments.split_whitespace()))
    }

    /// Sets a variable below `/proc/sys`, which shows each thread its own namespace's.
    pub fn sysctl(&self, variable: &str, value: &str) {
        let path = format!("/proc/sys/{variable}");
        self.enter(|| std::fs::write(&path, value)).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _already_gone = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}
