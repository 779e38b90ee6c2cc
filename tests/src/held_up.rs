//! A thread that does not get on, while the others of its process do: as on a host that has much to do.

use std::{fs, io};

/// Held up until it is dropped, which has to be by the thread that did it (`ptrace(2)`).
#[derive(Debug)]
pub struct HeldUp(libc::pid_t);

impl HeldUp {
    /// Holds up the first thread of a process, where it calls the kernel next: elsewhere it might have a lock that the others
    /// need, the allocator's say.
    pub fn first_thread(process: u32) -> io::Result<Self> {
        let thread = libc::pid_t::try_from(process).map_err(io::Error::other)?;
        trace(libc::PTRACE_SEIZE, thread)?;
        let held_up = Self(thread);
        for stop in [libc::PTRACE_INTERRUPT, libc::PTRACE_SYSCALL] {
            trace(stop, thread)?;
            // SAFETY: it writes to no memory of ours.
            done(unsafe { libc::waitpid(thread, std::ptr::null_mut(), libc::__WALL) }.into())?;
        }
        Ok(held_up)
    }
}

impl Drop for HeldUp {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = trace(libc::PTRACE_DETACH, self.0);
    }
}

/// Whether a process has a thread of that name.
pub fn has_thread(process: u32, name: &str) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let names = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    names.into_iter().any(|of| of.trim_end() == name)
}

fn trace(request: libc::c_uint, thread: libc::pid_t) -> io::Result<()> {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: these requests touch no memory of ours.
    done(unsafe { libc::ptrace(request, thread, none, none) })
}

fn done(answer: libc::c_long) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
