//! The signals that tell the agent something.
//!
//! They are blocked in every thread, and read from a file (`signalfd(2)`). One that is not read yet stays pending, also
//! across `execve(2)`: what comes while the agent is replaced by its successor is the successor's to read.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{FromRawFd, OwnedFd},
    ptr,
};

use rustix::process::Signal;
use tokio::io::unix::AsyncFd;

/// Some signals, as they come.
#[derive(Debug)]
pub struct Signals(AsyncFd<OwnedFd>);

impl Signals {
    /// Has them come here only. To be called before the process has a second thread, and in a runtime.
    pub fn open(signals: &[Signal]) -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: it makes what it is pointed to a set (`sigsetops(3)`).
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        for signal in signals {
            // SAFETY: a set since the line above, and the number of a signal.
            unsafe { libc::sigaddset(set.as_mut_ptr(), signal.as_raw()) };
        }
        // SAFETY: a set.
        let set = unsafe { set.assume_init() };
        // SAFETY: the set is read, and nothing is written (`pthread_sigmask(3)`).
        match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) } {
            0 => {}
            errno => return Err(io::Error::from_raw_os_error(errno)),
        }
        // SAFETY: the set is read.
        let file = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if file < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just opened it, for nobody else.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        // SAFETY: the file is open for as long as what is registered.
        Ok(Self(unsafe { AsyncFd::register(file) }?))
    }

    /// Waits for one.
    pub async fn next(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let read = ready.try_io(|file| {
                let mut signal = [0; size_of::<libc::signalfd_siginfo>()];
                Ok(rustix::io::read(file, &mut signal)?)
            });
            if let Ok(read) = read {
                return read.map(drop);
            }
        }
    }
}
