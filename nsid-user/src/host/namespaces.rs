//! The two namespaces that matter: the network namespace we serve in, which tells two `eth0` apart, and the
//! mount namespace that pins and sockets must live in, which is the host's.
//!
//! `ip netns exec` gives its command a mount namespace of its own with a fresh `/sys` (iproute2,
//! lib/namespace.c, `netns_switch`): what is pinned there vanishes with the command, and the kernel then
//! detaches the program.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    thread,
};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The identity of a network namespace, valid as long as the namespace lives (`ioctl_ns(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NetNs {
    dev: u64,
    inode: u64,
}

impl NetNs {
    /// The one that sockets opened by this thread belong to.
    pub fn current() -> io::Result<Self> {
        let metadata = fs::metadata("/proc/thread-self/ns/net")?;
        Ok(Self { dev: metadata.dev(), inode: metadata.ino() })
    }

    /// Its number, as `lsns` and `ip netns identify` show it.
    pub const fn inode(self) -> u64 {
        self.inode
    }
}

/// Moves this thread into a network namespace that it knows only by its identity: by way of a process that is in
/// it, or its name below `/run/netns`. `false`: it is not to be found, which mostly means that it is gone.
pub fn enter(netns: NetNs) -> io::Result<bool> {
    let processes = fs::read_dir("/proc")?.flatten().map(|entry| entry.path().join("ns/net"));
    let names = fs::read_dir("/run/netns").into_iter().flatten().flatten().map(|entry| entry.path());
    let is_it = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (netns.dev, netns.inode))
    };
    let Some(path) = processes.chain(names).find(is_it) else { return Ok(false) };
    move_into_link_name_space(File::open(path)?.as_fd(), Some(LinkNameSpaceType::Network))?;
    Ok(true)
}

/// Where this process was started, to look files up as their paths were meant there.
#[derive(Debug)]
pub struct Origin {
    namespace: File,
    directory: PathBuf,
}

impl Origin {
    /// The mount namespace and the working directory that we have now.
    pub fn here() -> io::Result<Self> {
        Ok(Self { namespace: File::open("/proc/thread-self/ns/mnt")?, directory: std::env::current_dir()? })
    }

    /// Moves this thread there, and no other.
    pub fn enter(&self) -> io::Result<()> {
        // SAFETY: only this thread's own working directory and root become apart from the others'.
        unsafe { unshare_unsafe(UnshareFlags::FS) }?;
        move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Mount))?;
        std::env::set_current_dir(&self.directory)
    }

    /// Reads files there, by a thread that goes there.
    pub fn read<T: Send>(&self, read: impl FnOnce() -> T + Send) -> io::Result<T> {
        let go = || {
            self.enter()?;
            Ok(read())
        };
        thread::scope(|scope| scope.spawn(go).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Whether that path is of the same file there as here.
    pub fn has(&self, path: &Path) -> bool {
        let file = || fs::metadata(path).map(|found| (found.dev(), found.ino()));
        let there = self.read(file).and_then(|found| found);
        there.ok().zip(file().ok()).is_some_and(|(there, here)| there == here)
    }
}

/// What [`enter_host_mount_namespace`] had to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// Nothing: we were in the host's mount namespace.
    AlreadyThere,
    /// We stood in another one, and left it.
    Moved,
}

/// Why the host's mount namespace could not be entered.
#[derive(Debug, Error)]
pub enum EnterError {
    /// Neither of the processes that are certainly in it can be looked at.
    #[error(
        "cannot see the host's mount namespace, {HOST}: {0}; run as root, in a container with CAP_SYS_PTRACE"
    )]
    Unseen(#[source] io::Error),
    /// `setns` wants a file system context that no other thread shares (kernel fs/namespace.c, `mntns_install`).
    #[error("cannot enter the host's mount namespace: this process already has threads (a bug of nsid)")]
    Threads,
    /// The kernel refuses.
    #[error(
        "cannot enter the host's mount namespace, {HOST}: {0}; run as root with CAP_SYS_ADMIN and CAP_SYS_CHROOT, \
         or start with `nsenter --net=/run/netns/NAME` instead of `ip netns exec NAME`"
    )]
    Refused(#[source] io::Error),
}

/// The first process of this PID namespace: the host's init, or a container's.
const HOST: &str = "/proc/1/ns/mnt";
/// `kthreadd`, where the security policy lets nobody look at pid 1.
const KERNEL: &str = "/proc/2/ns/mnt";

/// Moves this thread into the host's mount namespace, if it stands in another. The network namespace stays.
///
/// What `ip netns exec` laid over `/etc` for its command, such as `resolv.conf` from `/etc/netns`, is left behind.
///
/// To be called before the process has a second thread. The working directory is looked up again by its path,
/// and is `/` if the host has none of that name.
pub fn enter_host_mount_namespace() -> Result<Entered, EnterError> {
    let host = open_host_mount_namespace().map_err(EnterError::Unseen)?;
    let theirs = host.metadata().map_err(EnterError::Unseen)?;
    let ours = fs::metadata("/proc/thread-self/ns/mnt").map_err(EnterError::Unseen)?;
    if (theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino()) {
        return Ok(Entered::AlreadyThere);
    }
    let directory = std::env::current_dir();
    match move_into_link_name_space(host.as_fd(), Some(LinkNameSpaceType::Mount)) {
        Ok(()) => {}
        Err(rustix::io::Errno::INVAL) => return Err(EnterError::Threads),
        Err(errno) => return Err(EnterError::Refused(errno.into())),
    }
    // `setns` leaves us in the root of the new namespace, the best there is if the path means nothing there.
    let _ = directory.and_then(std::env::set_current_dir);
    Ok(Entered::Moved)
}

fn open_host_mount_namespace() -> io::Result<File> {
    match File::open(HOST) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && pid_2_is_a_kernel_thread() => {
            File::open(KERNEL)
        }
        result => result,
    }
}

/// In a container's PID namespace pid 2 is anybody; only the kernel's own threads carry `PF_KTHREAD`
/// (`proc_pid_stat(5)`, field 9).
fn pid_2_is_a_kernel_thread() -> bool {
    const PF_KTHREAD: u32 = 0x0020_0000;
    const FLAGS_BEHIND_COMM: usize = 6;
    let stat = fs::read_to_string("/proc/2/stat").unwrap_or_default();
    let behind_comm = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let flags =
        behind_comm.split_ascii_whitespace().nth(FLAGS_BEHIND_COMM).and_then(|flags| flags.parse().ok());
    flags.is_some_and(|flags: u32| flags & PF_KTHREAD != 0)
}
