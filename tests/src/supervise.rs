//! A program that runs itself in a child process, so that whatever ends it, Ctrl-C or a panic too, somebody is left to
//! clean up.

use std::{
    env,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Command, ExitCode},
    sync::atomic::{AtomicI32, Ordering},
};

use libc::{SIGHUP, SIGINT, SIGTERM, c_int, sighandler_t};
use rustix::{
    io::retry_on_intr,
    process::{Pid, Signal, WaitId, WaitIdOptions, set_parent_process_death_signal, waitid},
};

use crate::leftovers;

/// The process id of the child until it is reaped; else 0.
static CHILD: AtomicI32 = AtomicI32::new(0);

/// Set where the program is its own child.
const SUPERVISED: &str = "NSID_SUPERVISED";

/// Runs this program once more, as a child and with the same arguments, and removes what that has left; then this is the
/// exit code. In the child, nothing: it does what the program is for.
#[expect(clippy::print_stderr, reason = "stdout belongs to the child")]
pub fn supervise() -> Option<ExitCode> {
    if env::var_os(SUPERVISED).is_some() {
        return None;
    }
    leftovers::sweep();
    let mut command = Command::new(env::current_exe().expect("a program has a path"));
    command.args(env::args_os().skip(1)).env(SUPERVISED, "");
    let die_with_parent = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
    // SAFETY: between fork and exec the closure makes one system call.
    unsafe { command.pre_exec(die_with_parent) };
    let mut child = command.spawn().expect("a program can start itself");
    CHILD.store(child.id().cast_signed(), Ordering::Relaxed);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let handler: extern "C" fn(c_int) = pass_on;
        // SAFETY: the handler makes one system call and touches an atomic, which is async-signal-safe.
        unsafe { libc::signal(signal, handler as *const () as sighandler_t) };
    }
    let ended =
        || waitid(WaitId::Pid(Pid::from_child(&child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    retry_on_intr(ended).expect("the child is not waited for before");
    // From the next wait on its id may be somebody else's.
    CHILD.store(0, Ordering::Relaxed);
    let status = child.wait().expect("the child has ended");
    leftovers::sweep();
    if let Some(signal) = status.signal() {
        eprintln!("\nended by signal {signal}; everything is removed");
    }
    // As a shell tells it.
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Some(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Ends the child; a signal from a terminal has reached it already.
extern "C" fn pass_on(signal: c_int) {
    let child = CHILD.load(Ordering::Relaxed);
    if child != 0 {
        // SAFETY: kill(2) touches no memory, and the id of a child that is not reaped is nobody else's.
        unsafe { libc::kill(child, signal) };
    }
}
