//! The BPF file system, in which programs, links and maps are pinned so that they outlive the agent.

use std::{
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
};

use rustix::{
    fs::{FsWord, statfs},
    io::Errno,
    mount::{MountFlags, mount},
};
use thiserror::Error;

use super::instance::RUN_ROOT;

/// Where everybody expects it.
pub const MOUNT_POINT: &str = "/sys/fs/bpf";

/// include/uapi/linux/magic.h
const BPF_FS_MAGIC: FsWord = 0xcafe_4a11;

/// Why there is no BPF file system to pin in.
#[derive(Debug, Error)]
pub enum MountError {
    /// The kernel makes the directory itself, in sysfs, if it knows BPF (kernel/bpf/inode.c).
    #[error(
        "there is no {MOUNT_POINT}: mount sysfs (`mount -t sysfs sysfs /sys`), or use a kernel built with \
         CONFIG_BPF_SYSCALL"
    )]
    NoMountPoint,
    /// The directory is there and cannot be examined.
    #[error("cannot examine {MOUNT_POINT}: {0}; run as root")]
    Examine(#[source] io::Error),
    /// The lock that keeps two agents from mounting one upon the other.
    #[error("cannot lock {RUN_ROOT}: {0}; run as root, with a writable /run")]
    Lock(#[source] io::Error),
    /// The kernel refuses.
    #[error("cannot mount {MOUNT_POINT}: {0}; as root, `mount -t bpf bpf {MOUNT_POINT}`")]
    Mount(#[source] io::Error),
}

/// Mounts the BPF file system in this mount namespace, unless it is there already.
pub fn ensure_mounted() -> Result<(), MountError> {
    if is_mounted()? {
        return Ok(());
    }
    let _lock = lock_run_root().map_err(MountError::Lock)?;
    if is_mounted()? {
        return Ok(());
    }
    // As systemd mounts it (src/shared/mount-setup.c).
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("bpf", MOUNT_POINT, "bpf", flags, c"mode=0700").map_err(|errno| MountError::Mount(errno.into()))
}

fn is_mounted() -> Result<bool, MountError> {
    match statfs(MOUNT_POINT) {
        Ok(found) => Ok(found.f_type == BPF_FS_MAGIC),
        Err(Errno::NOENT) => Err(MountError::NoMountPoint),
        Err(errno) => Err(MountError::Examine(errno.into())),
    }
}

/// Held by whoever mounts, until the file is closed. The directory is never removed, so the lock is one.
fn lock_run_root() -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o755).create(RUN_ROOT)?;
    let directory = File::open(RUN_ROOT)?;
    directory.lock()?;
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use std::{fs, thread, time::Duration};

    use rustix::{
        mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount},
        thread::{UnshareFlags, unshare_unsafe},
    };

    use super::*;

    /// Runs `test` in a mount namespace of its own, without a BPF file system.
    fn without_bpffs(test: impl FnOnce() + Send + 'static) {
        let thread = thread::spawn(|| {
            // SAFETY: the file table stays shared; only the view of the mounts becomes this thread's own.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.expect("a mount namespace: run the tests as root");
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
            mount("tmpfs", "/run", "tmpfs", MountFlags::empty(), None).unwrap();
            while is_mounted().unwrap() {
                unmount(MOUNT_POINT, UnmountFlags::DETACH).unwrap();
            }
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }

    fn mounts() -> usize {
        let table = fs::read_to_string("/proc/thread-self/mounts").unwrap();
        table.lines().filter(|line| line.split(' ').nth(1) == Some(MOUNT_POINT)).count()
    }

    #[test]
    fn agents_that_start_at_once_mount_it_once() {
        const AGENTS: usize = 16;
        without_bpffs(|| {
            let first = lock_run_root().unwrap();
            thread::scope(|scope| {
                for _ in 0..AGENTS {
                    scope.spawn(|| ensure_mounted().unwrap());
                }
                // Long enough for all to have seen that there is none.
                thread::sleep(Duration::from_millis(100));
                assert_eq!(mounts(), 0, "the first has not mounted it yet");
                drop(first);
            });
            assert_eq!(mounts(), 1);
            assert!(is_mounted().unwrap());
        });
    }

    #[test]
    fn a_mounted_one_is_left_alone() {
        without_bpffs(|| {
            ensure_mounted().unwrap();
            fs::create_dir("/sys/fs/bpf/nsh").unwrap();
            ensure_mounted().unwrap();
            assert!(fs::exists("/sys/fs/bpf/nsh").unwrap());
            assert_eq!(mounts(), 1);
        });
    }

    #[test]
    fn a_host_without_the_directory_is_told_what_to_do() {
        without_bpffs(|| {
            mount("tmpfs", "/sys", "tmpfs", MountFlags::empty(), None).unwrap();
            let error = ensure_mounted().unwrap_err();
            assert!(matches!(error, MountError::NoMountPoint));
            assert!(error.to_string().contains("CONFIG_BPF_SYSCALL"), "{error}");
        });
    }
}
