//! The control socket: whoever connects and asks for nothing is told the agent's state as JSON; what else is asked for,
//! as JSON too, the agent answers.
//!
//! That it answers is also how a verb learns that the agent is neither dead nor frozen.

use std::{
    convert::Infallible,
    fs,
    io::{self, ErrorKind, Read, Write},
    net::Shutdown,
    os::unix::{fs::PermissionsExt, net::UnixStream as Blocking},
    time::{Duration, Instant},
};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot, watch},
    time,
};

use super::{
    instance::Instance,
    lock::{Holder, InstanceLock},
};

/// The longest that a verb waits for an agent, or an agent for a verb: with what else a verb does, 200 ms.
pub const LIMIT: Duration = Duration::from_millis(150);

/// How long not to accept when accepting fails, which is for want of file descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The agent's side of the socket.
#[derive(Debug)]
pub struct Control(UnixListener);

impl Control {
    /// Binds the socket in the place of one that a dead agent left.
    pub fn bind(lock: &InstanceLock) -> io::Result<Self> {
        let path = lock.instance().control_path();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => {
                let listener = UnixListener::bind(&path)?;
                // Whoever may write to it may change what the agent does.
                fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
                Ok(Self(listener))
            }
        }
    }

    /// Tells the present state to everyone who connects and asks for nothing, and passes on what is asked for, until it
    /// is dropped.
    pub async fn serve<T: Serialize>(
        self,
        state: watch::Receiver<T>,
        requests: mpsc::UnboundedSender<Request>,
    ) -> Infallible {
        loop {
            let verb = match self.0.accept().await {
                Ok((verb, _)) => verb,
                Err(error) => {
                    log::warn!("control socket: {error}");
                    time::sleep(AFTER_FAILURE).await;
                    continue;
                }
            };
            match serde_json::to_vec(&*state.borrow()) {
                // One who does not read keeps nobody else waiting, and one who went away is no matter.
                Ok(state) => drop(tokio::spawn(answer(verb, state, requests.clone()))),
                Err(error) => log::warn!("control socket: the state cannot be written as JSON: {error}"),
            }
        }
    }
}

/// What a verb asks for, and where it waits for the answer.
#[derive(Debug)]
pub struct Request {
    /// What it asks for.
    pub text: Vec<u8>,
    /// Where it waits.
    pub answer: oneshot::Sender<Vec<u8>>,
    /// Closed when the answer was told, or nobody waits any more.
    pub told: oneshot::Receiver<()>,
}

/// Bytes that a verb may ask in.
const REQUEST_MAX: u64 = 1 << 20;

async fn answer(
    mut verb: UnixStream,
    state: Vec<u8>,
    requests: mpsc::UnboundedSender<Request>,
) -> Option<()> {
    let mut text = Vec::new();
    let (_until_told, told) = oneshot::channel();
    time::timeout(LIMIT, (&mut verb).take(REQUEST_MAX).read_to_end(&mut text)).await.ok()?.ok()?;
    let answer = if text.is_empty() {
        state
    } else {
        let (answer, answered) = oneshot::channel();
        requests.send(Request { text, answer, told }).ok()?;
        answered.await.ok()?
    };
    time::timeout(LIMIT, verb.write_all(&answer)).await.ok()?.ok()
}

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// The agent told its state.
    Running(T),
    /// An agent holds the instance, and did not answer in time: stopped, starting, or ending.
    Unresponsive,
    /// No agent runs this instance.
    Dead,
}

/// Why it is not even known whether the agent runs.
#[derive(Debug, Error)]
pub enum AskError {
    /// The socket or the lock may not be touched.
    #[error("cannot ask the agent of instance '{instance}': {source}; run as root")]
    Io {
        /// The instance asked.
        instance: String,
        /// The reason.
        source: io::Error,
    },
    /// An agent of another version answered.
    #[error("the agent of instance '{instance}' is of another version of nsid: {source}; restart it")]
    Malformed {
        /// The instance asked.
        instance: String,
        /// The reason.
        source: serde_json::Error,
    },
}

/// Asks the instance's agent for its state, and waits no longer than `limit`.
pub fn ask<T: DeserializeOwned>(instance: &Instance, limit: Duration) -> Result<Answer<T>, AskError> {
    request(instance, &[], limit)
}

/// Asks the instance's agent for something, and waits no longer than `limit`.
pub fn request<T: DeserializeOwned>(
    instance: &Instance,
    text: &[u8],
    limit: Duration,
) -> Result<Answer<T>, AskError> {
    let io = |source| AskError::Io { instance: instance.name().to_owned(), source };
    let told = match fetch(instance, text, Instant::now() + limit) {
        Ok(told) => told,
        Err(error) => match error.kind() {
            // A dead agent's socket, none at all, a full queue, silence, or a death on the way.
            ErrorKind::ConnectionRefused
            | ErrorKind::NotFound
            | ErrorKind::WouldBlock
            | ErrorKind::TimedOut
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset => Vec::new(),
            _ => return Err(io(error)),
        },
    };
    if told.is_empty() {
        return Ok(Holder::of(instance).map_err(io)?.map_or(Answer::Dead, |_| Answer::Unresponsive));
    }
    serde_json::from_slice(&told)
        .map(Answer::Running)
        .map_err(|source| AskError::Malformed { instance: instance.name().to_owned(), source })
}

fn fetch(instance: &Instance, text: &[u8], deadline: Instant) -> io::Result<Vec<u8>> {
    let mut agent = connect_to(instance)?;
    agent.set_write_timeout(Some(deadline.saturating_duration_since(Instant::now()).max(SHORTEST)))?;
    agent.write_all(text)?;
    agent.shutdown(Shutdown::Write)?;
    let (mut told, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        agent.set_read_timeout(Some(left))?;
        match agent.read(&mut part) {
            Ok(0) => return Ok(told),
            Ok(length) => told.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A socket takes no time-out of 0.
const SHORTEST: Duration = Duration::from_millis(1);

/// Connects, or fails at once: a stopped agent whose queue is full would keep a blocking socket waiting.
pub(super) fn connect_to(instance: &Instance) -> io::Result<Blocking> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(instance.control_path())?)?;
    let agent = Blocking::from(socket);
    agent.set_nonblocking(false)?;
    Ok(agent)
}

#[cfg(test)]
pub(super) mod tests {
    use std::thread;

    use serde_json::{Value, json};
    use tokio::runtime;

    use super::*;

    pub(in crate::host) fn start(root: &tempfile::TempDir) -> InstanceLock {
        let instance = Instance::below(&root.path().join("run"), &root.path().join("pins"), "default");
        InstanceLock::acquire(&instance).unwrap()
    }

    /// Asks with time enough for a machine that is busy with other tests.
    fn ask_patiently(instance: &Instance) -> Answer<Value> {
        ask(instance, LIMIT * 10).unwrap()
    }

    /// Serves the socket on a thread of its own while `verbs` ask on this one; then the agent dies.
    pub(in crate::host) fn while_serving(
        lock: InstanceLock,
        state: watch::Receiver<Value>,
        verbs: impl FnOnce(),
    ) {
        let (end, ended) = oneshot::channel::<()>();
        let (bound, ready) = oneshot::channel();
        let agent = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let control = Control::bind(&lock).unwrap();
                bound.send(()).unwrap();
                tokio::select! {
                    never = control.serve(state, mpsc::unbounded_channel().0) => match never {},
                    _ = ended => {}
                }
            });
        });
        ready.blocking_recv().expect("the socket is bound");
        verbs();
        drop(end);
        agent.join().unwrap();
    }

    #[test]
    fn a_running_agent_tells_its_present_state_and_a_dead_one_is_dead() {
        let root = tempfile::tempdir().unwrap();
        let lock = start(&root);
        let instance = lock.instance().clone();
        let (state, told) = watch::channel(json!({"name": null}));
        while_serving(lock, told, || {
            assert_eq!(ask_patiently(&instance), Answer::Running(json!({"name": null})));
            state.send_replace(json!({"name": "ns1"}));
            assert_eq!(ask_patiently(&instance), Answer::Running(json!({"name": "ns1"})));
        });
        assert!(instance.control_path().exists(), "a dead agent leaves its socket");
        assert_eq!(ask_patiently(&instance), Answer::Dead);

        let (_state, told) = watch::channel(json!("the next agent"));
        while_serving(start(&root), told, || {
            assert_eq!(ask_patiently(&instance), Answer::Running(json!("the next agent")));
        });
    }

    #[test]
    fn verbs_that_do_not_read_a_long_state_do_not_keep_the_next_one_waiting() {
        const DEAF: u32 = 20;
        let root = tempfile::tempdir().unwrap();
        let lock = start(&root);
        let instance = lock.instance().clone();
        let longer_than_the_socket_holds = json!("x".repeat(300_000));
        let (_state, told) = watch::channel(longer_than_the_socket_holds.clone());
        while_serving(lock, told, || {
            let _deaf: Vec<_> = (0..DEAF).map(|_| connect_to(&instance).unwrap()).collect();
            assert!(ask_patiently(&instance) == Answer::Running(longer_than_the_socket_holds));
        });
    }

    #[test]
    fn an_agent_that_does_not_answer_is_unresponsive_also_when_its_queue_is_full() {
        let root = tempfile::tempdir().unwrap();
        let lock = start(&root);
        let instance = lock.instance();
        let ask = || ask::<Value>(instance, LIMIT).unwrap();
        assert_eq!(ask(), Answer::Unresponsive, "locked, not yet bound");
        // As the kernel goes on accepting for a stopped agent, so it does for one that never asks for more.
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(instance.control_path()).unwrap()).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let asked = Instant::now();
        assert_eq!(ask(), Answer::Unresponsive, "accepted by the kernel alone");
        assert!((LIMIT..LIMIT * 5).contains(&asked.elapsed()), "{:?}", asked.elapsed());
        // Nobody takes the first one off the queue, which has room for no other.
        assert_eq!(connect_to(instance).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(ask(), Answer::Unresponsive, "not even accepted by the kernel");
    }

    #[test]
    fn an_agent_of_another_version_is_named_as_such() {
        let root = tempfile::tempdir().unwrap();
        let lock = start(&root);
        let instance = lock.instance().clone();
        let (_state, told) = watch::channel(json!("a string"));
        while_serving(lock, told, || {
            let error = ask::<u64>(&instance, LIMIT).unwrap_err();
            assert!(matches!(error, AskError::Malformed { .. }), "{error}");
        });
    }
}
