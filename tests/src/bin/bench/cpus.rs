//! Which CPU does what: a server, and all that its host's kernel does for a packet, on one; the client on another.
//!
//! On veth, what arrives is taken in by the CPU that sent it (`veth_xmit`, drivers/net/veth.c, Linux 6.18): the client's
//! would run the programs at the server's ingress. With GRO, for which the far end must not send TSO, a veth has NAPI as
//! a NIC has, with XDP and without; and NAPI can be a thread (Documentation/networking/napi.rst, "Threaded NAPI"). It is
//! bound to the CPU that has to pay.

use std::{collections::BTreeSet, fs, io, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nsid_tests::{netns::Namespace, process::run, servers::Server, threads};
use rustix::{
    process::Pid,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// The number of a CPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu(usize);

/// When a thread has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turns {
    /// Before everything else there but the next (`SCHED_FIFO`), for as long as it has something to do.
    First,
    /// Before even those.
    BeforeFirst,
    /// As it is, by default in equal parts with everything else there.
    Shared,
}

/// Threads that are bound to a CPU.
#[derive(Debug)]
pub(crate) struct Threads(Vec<Pid>);

/// One for the server and one for the client, of those that this process may run on.
pub(crate) fn choose() -> Result<[Cpu; 2]> {
    let allowed = sched_getaffinity(None)?;
    let mut allowed = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).map(Cpu);
    let chosen = allowed.next().zip(allowed.next()).map(|(server, client)| [server, client]);
    chosen.context("server and client need a CPU each")
}

impl Cpu {
    /// Binds the calling thread.
    pub(crate) fn bind_self(self, turns: Turns) -> Result<()> {
        self.bind(None, turns)
    }

    /// Binds a server that runs.
    pub(crate) fn bind_server(self, server: &Server, turns: Turns) -> Result<Threads> {
        self.bind_all(threads::of_group(server.group()), turns)
    }

    /// Binds the receiving of an interface's packets.
    pub(crate) fn bind_receiving(
        self,
        namespace: &Namespace,
        interface: &str,
        turns: Turns,
    ) -> Result<Threads> {
        let before = napi_threads();
        run(namespace.command("ethtool").args(["-K", interface, "gro", "on", "tso", "off"]));
        let threaded = format!("echo 1 > /sys/class/net/{interface}/threaded");
        run(Command::new("ip").args(["netns", "exec", namespace.name(), "sh", "-c", &threaded]));
        self.bind_all(napi_threads().difference(&before).copied().collect(), turns)
    }

    fn bind_all(self, threads: Vec<i32>, turns: Turns) -> Result<Threads> {
        let threads: Vec<Pid> = threads.into_iter().filter_map(Pid::from_raw).collect();
        ensure!(!threads.is_empty(), "there is no thread to bind");
        threads.iter().try_for_each(|thread| self.bind(Some(*thread), turns))?;
        Ok(Threads(threads))
    }

    /// Binds a thread, or the calling one.
    fn bind(self, thread: Option<Pid>, turns: Turns) -> Result<()> {
        let mut only = CpuSet::new();
        only.set(self.0);
        sched_setaffinity(thread, &only)?;
        let (policy, priority) = match turns {
            Turns::Shared => return Ok(()),
            Turns::First => (libc::SCHED_FIFO, 1),
            Turns::BeforeFirst => (libc::SCHED_FIFO, 2),
        };
        let parameters = libc::sched_param { sched_priority: priority };
        // SAFETY: the structure is one of ours, which the call reads.
        let set = unsafe { libc::sched_setscheduler(Pid::as_raw(thread), policy, &raw const parameters) };
        ensure!(set == 0, "cannot say when a thread has its turn: {}", io::Error::last_os_error());
        Ok(())
    }

    /// Does `work`, and what it starts will run there alone.
    pub(crate) fn starting<T>(self, work: impl FnOnce() -> T) -> Result<T> {
        let before = sched_getaffinity(None)?;
        self.bind_self(Turns::Shared)?;
        let started = work();
        sched_setaffinity(None, &before)?;
        Ok(started)
    }
}

impl Threads {
    /// Those that a process group has now, wherever they are bound.
    pub(crate) fn of_group(group: u32) -> Self {
        Self(threads::of_group(group).into_iter().filter_map(Pid::from_raw).collect())
    }

    /// These and those.
    pub(crate) fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// How long they have run, all together.
    pub(crate) fn have_run(&self) -> Result<Duration> {
        let one = |thread: &Pid| {
            let path = format!("/proc/{}/schedstat", thread.as_raw_nonzero());
            let ns = fs::read_to_string(&path)?.split(' ').next().and_then(|ns| ns.parse().ok());
            ns.map(Duration::from_nanos).with_context(|| format!("{path} does not begin with a number"))
        };
        self.0.iter().map(one).sum()
    }
}

/// The kernel's threads that receive packets.
fn napi_threads() -> BTreeSet<i32> {
    let receives = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.starts_with("napi/"))
    };
    threads::processes().filter(receives).collect()
}
