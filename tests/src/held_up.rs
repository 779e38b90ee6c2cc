//! A thread that does not get on, while the others of its process do: as on a host that has much to do.

use std::{fs, io, mem::MaybeUninit, ptr};

/// Held up until it is dropped, which has to be by the thread that did it (`ptrace(2)`).
#[derive(Debug)]
pub struct HeldUp(libc::pid_t);

impl HeldUp {
    /// Holds up the first thread of a process, where it calls `bpf(2)` next: elsewhere it might have a lock that the others
    /// need. The allocator has its own while it asks the kernel for memory.
    pub fn first_thread(process: u32) -> io::Result<Self> {
        let thread = libc::pid_t::try_from(process).map_err(io::Error::other)?;
        // Without the option, no stop tells that it is one at a call.
        trace(libc::PTRACE_SEIZE, thread, libc::PTRACE_O_TRACESYSGOOD)?;
        let held_up = Self(thread);
        stop(libc::PTRACE_INTERRUPT, thread)?;
        loop {
            stop(libc::PTRACE_SYSCALL, thread)?;
            if called(thread)? == Some(libc::SYS_bpf) {
                return Ok(held_up);
            }
        }
    }
}

impl Drop for HeldUp {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = trace(libc::PTRACE_DETACH, self.0, 0);
    }
}

/// Whether a process has a thread of that name.
pub fn has_thread(process: u32, name: &str) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let names = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    names.into_iter().any(|of| of.trim_end() == name)
}

/// Makes that request of a thread, and waits until it has stopped.
fn stop(request: libc::c_uint, thread: libc::pid_t) -> io::Result<()> {
    trace(request, thread, 0)?;
    // SAFETY: it writes to no memory of ours.
    done(unsafe { libc::waitpid(thread, ptr::null_mut(), libc::__WALL) }.into())
}

/// The number of the system call that a stopped thread is about to make, if that is where it stopped.
fn called(thread: libc::pid_t) -> io::Result<Option<libc::c_long>> {
    let mut info = MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
    let (request, size) = (libc::PTRACE_GET_SYSCALL_INFO, size_of_val(&info));
    // SAFETY: the kernel writes no more than that size there.
    done(unsafe { libc::ptrace(request, thread, size, info.as_mut_ptr()) })?;
    // SAFETY: all zeros are one, and so is all that the kernel leaves.
    let info = unsafe { info.assume_init() };
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return Ok(None);
    }
    // SAFETY: this field is the one of such a stop.
    let number = unsafe { info.u.entry.nr };
    Ok(number.try_into().ok())
}

fn trace(request: libc::c_uint, thread: libc::pid_t, options: libc::c_int) -> io::Result<()> {
    let (nowhere, options) = (ptr::null_mut::<libc::c_void>(), libc::c_long::from(options));
    // SAFETY: these requests touch no memory of ours.
    done(unsafe { libc::ptrace(request, thread, nowhere, options) })
}

fn done(answer: libc::c_long) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
