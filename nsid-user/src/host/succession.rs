//! One program of an agent follows another in the same process: by `execve(2)`, with the lock in its hands.
//!
//! **Invariant:** the lock is let go of at no time. It belongs to the open file (`flock(2)`), which the successor
//! inherits by its number.

use std::{
    convert::Infallible,
    env,
    ffi::{CString, OsStr, OsString},
    io,
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::Path,
    ptr,
};

use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::getpid,
};

use super::lock::InstanceLock;

/// In the environment of a successor: `PID:FD`, its own number, and that of the open lock.
pub const VARIABLE: &str = "NSID_SUCCEEDS";

/// Has `binary` go on in this process with these arguments; if this returns, it could not. Nothing is dropped: what is
/// not kept by the kernel, such as pins, is gone.
pub fn succeed(
    binary: &Path,
    arguments: impl IntoIterator<Item = OsString>,
    lock: &InstanceLock,
) -> io::Error {
    let file = lock.file();
    let succeeds = format!("{}:{}", getpid(), file.as_raw_fd());
    let arguments = [binary.into()].into_iter().chain(arguments).map(|argument| text(&argument));
    let inherited = env::vars_os().filter(|(name, _)| name != VARIABLE);
    let variables = inherited.chain([(VARIABLE.into(), succeeds.into())]).map(|(name, value)| {
        let pair = [name.as_bytes(), b"=", value.as_bytes()].concat();
        text(&OsString::from_vec(pair))
    });
    let (arguments, variables): (io::Result<Vec<_>>, io::Result<Vec<_>>) =
        (arguments.collect(), variables.collect());
    let succeed = || {
        let (program, arguments, variables) = (text(binary.as_os_str())?, arguments?, variables?);
        fcntl_setfd(file, FdFlags::empty())?;
        Err(execute(&program, &arguments, &variables))
    };
    let Err(why): Result<Infallible, _> = succeed();
    // Why that may fail is known already.
    let _ = fcntl_setfd(file, FdFlags::CLOEXEC);
    why
}

/// The open lock that a predecessor left to this process.
pub(super) fn inherited() -> Option<OwnedFd> {
    let succeeds = env::var(VARIABLE).ok()?;
    let (pid, file) = succeeds.split_once(':')?;
    // In a child of a successor, say, it is not ours.
    if pid.parse() != Ok(getpid().as_raw_nonzero().get()) {
        return None;
    }
    let file = file.parse().ok().filter(|file| *file > libc::STDERR_FILENO)?;
    // SAFETY: only who was this process before writes its number there, together with that of a file that it left open
    // for this purpose; nobody else here knows of it.
    let file = unsafe { OwnedFd::from_raw_fd(file) };
    fcntl_setfd(file.as_fd(), FdFlags::CLOEXEC).ok()?;
    Some(file)
}

/// The standard library's would first let pending signals through.
fn execute(program: &CString, arguments: &[CString], variables: &[CString]) -> io::Error {
    let pointers =
        |texts: &[CString]| texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect::<Vec<_>>();
    let (arguments, variables) = (pointers(arguments), pointers(variables));
    // SAFETY: a text and two arrays of texts, each closed by a null, all of which live until it returns.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), variables.as_ptr()) };
    io::Error::last_os_error()
}

fn text(text: &OsStr) -> io::Result<CString> {
    Ok(CString::new(text.as_bytes())?)
}
