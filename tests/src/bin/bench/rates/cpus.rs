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
    pub(crate) fn bind_self(self) -> Result<()> {
        self.bind(None)
    }

    /// Binds a server that runs.
    pub(crate) fn bind_server(self, server: &Server) -> Result<Threads> {
        self.bind_all(threads::of_group(server.group()))
    }

    /// Binds the receiving of an interface's packets.
    pub(crate) fn bind_receiving(self, namespace: &Namespace, interface: &str) -> Result<Threads> {
        let before = napi_threads();
        run(namespace.command("ethtool").args(["-K", interface, "gro", "on", "tso", "off"]));
        let threaded = format!("echo 1 > /sys/class/net/{interface}/threaded");
        run(Command::new("ip").args(["netns", "exec", namespace.name(), "sh", "-c", &threaded]));
        self.bind_all(napi_threads().difference(&before).copied().collect())
    }

    fn bind_all(self, threads: Vec<i32>) -> Result<Threads> {
        let threads: Vec<Pid> = threads.into_iter().filter_map(Pid::from_raw).collect();
        ensure!(!threads.is_empty(), "there is no thread to bind");
        threads.iter().try_for_each(|thread| self.bind(Some(*thread)))?;
        Ok(Threads(threads))
    }

    /// Binds a thread, or the calling one, with a priority by which it takes turns with its like alone.
    fn bind(self, thread: Option<Pid>) -> Result<()> {
        let mut only = CpuSet::new();
        only.set(self.0);
        sched_setaffinity(thread, &only)?;
        let lowest = libc::sched_param { sched_priority: 1 };
        // SAFETY: the structure is one of ours, which the call reads.
        let set =
            unsafe { libc::sched_setscheduler(Pid::as_raw(thread), libc::SCHED_FIFO, &raw const lowest) };
        ensure!(set == 0, "cannot make a thread SCHED_FIFO: {}", io::Error::last_os_error());
        Ok(())
    }
}

impl Threads {
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
