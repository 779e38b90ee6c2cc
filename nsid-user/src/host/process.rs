//! The process of an agent: whoever listens on its control socket.

use std::{
    io::{self, ErrorKind},
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use thiserror::Error;
use tokio::net::UnixStream;

use super::{control::connect_to, instance::Instance, lock::Holder};

/// How long an agent that holds its instance may take until its socket listens: it loads its programs before.
const START: Duration = Duration::from_secs(2);

/// Between two looks whether it does.
const LOOK: Duration = Duration::from_millis(5);

/// Why the process of an agent that runs cannot be had.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// Nobody to ask for its pid.
    #[error(
        "the agent of instance '{instance}' is starting or stuck: its control socket does not listen; try again, or \
         end its process"
    )]
    Deaf {
        /// The instance.
        instance: String,
    },
    /// Its PID namespace is not below ours.
    #[error(
        "the agent of instance '{instance}' runs in a PID namespace that cannot be seen from this one; run this on \
         the host"
    )]
    Hidden {
        /// The instance.
        instance: String,
    },
    /// The system refuses.
    #[error("cannot find the agent of instance '{instance}': {source}; run as root")]
    Io {
        /// The instance.
        instance: String,
        /// The reason.
        source: io::Error,
    },
}

/// A handle (`pidfd_open(2)`) on the agent's process, frozen or not. `None`: no agent runs this instance.
///
/// A number that an agent wrote down would not do: it may be in another PID namespace, where that number is its own,
/// and somebody else's here.
pub fn find(instance: &Instance) -> Result<Option<OwnedFd>, ProcessError> {
    let io = |source| ProcessError::Io { instance: instance.name().to_owned(), source };
    let patience = Instant::now() + START;
    while Holder::of(instance).map_err(io)?.is_some() {
        match open_process(instance) {
            Ok(Listener::Process(process)) => return Ok(Some(process)),
            Ok(Listener::Hidden) => {
                return Err(ProcessError::Hidden { instance: instance.name().to_owned() });
            }
            // None yet, one that is about to be replaced, a full queue, or an end on the way.
            Ok(Listener::Gone) => {}
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::WouldBlock => {}
                _ => return Err(io(error)),
            },
        }
        if Instant::now() > patience {
            return Err(ProcessError::Deaf { instance: instance.name().to_owned() });
        }
        thread::sleep(LOOK);
    }
    Ok(None)
}

/// Who listens on a control socket.
enum Listener {
    Process(OwnedFd),
    Hidden,
    Gone,
}

fn open_process(instance: &Instance) -> io::Result<Listener> {
    let pid = listener(instance)?;
    let Some(process) = pid else { return Ok(Listener::Hidden) };
    let handle = match pidfd_open(process, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(rustix::io::Errno::SRCH) => return Ok(Listener::Gone),
        Err(error) => return Err(error.into()),
    };
    // A process that still listens has not ended, so that its number was nobody else's when the handle was opened.
    Ok(if listener(instance)? == pid { Listener::Process(handle) } else { Listener::Gone })
}

/// The pid of who called `listen(2)` on the socket, in our PID namespace (`SO_PEERCRED`, `unix(7)`). `None`: it has
/// none here.
fn listener(instance: &Instance) -> io::Result<Option<Pid>> {
    let agent = connect_to(instance)?;
    // tokio's is taken for want of another: the standard library's is unstable, and rustix's has no room for "none".
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _reactor = runtime.enter();
    agent.set_nonblocking(true)?;
    let credentials = UnixStream::from_std(agent)?.peer_cred()?;
    Ok(credentials.pid().filter(|pid| *pid > 0).and_then(Pid::from_raw))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::fd::AsRawFd};

    use serde_json::json;
    use tokio::sync::watch;

    use super::*;
    use crate::host::control::tests::{start, while_serving};

    #[test]
    fn the_process_of_an_agent_is_who_listens_whatever_pid_is_written_down() {
        let root = tempfile::tempdir().unwrap();
        let lock = start(&root);
        let instance = lock.instance().clone();
        fs::write(instance.lock_path(), "1\n").unwrap();
        let (_state, told) = watch::channel(json!(null));
        while_serving(lock, told, || {
            let handle = find(&instance).unwrap().expect("it runs");
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", handle.as_raw_fd())).unwrap();
            let own = format!("Pid:\t{}", std::process::id());
            assert!(info.lines().any(|line| line == own), "{info}");
        });
        assert!(find(&instance).unwrap().is_none(), "its socket is left, its lock is not");
    }

    #[test]
    fn an_agent_that_holds_its_instance_and_does_not_listen_yet_is_waited_for_and_not_for_ever() {
        let root = tempfile::tempdir().unwrap();
        let lock = start(&root);
        let asked = Instant::now();
        let error = find(lock.instance()).unwrap_err();
        assert!(matches!(error, ProcessError::Deaf { .. }), "{error}");
        assert!((START..START * 2).contains(&asked.elapsed()), "{:?}", asked.elapsed());
    }
}
