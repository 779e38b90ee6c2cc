//! The `bpf` system call, for the little that the harness does itself: it shares no code with what it tests.

use std::{
    ffi::c_long,
    io,
    mem::size_of,
    os::fd::{FromRawFd, OwnedFd},
};

use rustix::net::{AddressFamily, SocketType, netdevice, socket};

// From include/uapi/linux/bpf.h.
pub(crate) const BPF_PROG_LOAD: c_long = 5;
pub(crate) const BPF_PROG_QUERY: c_long = 16;
pub(crate) const BPF_LINK_CREATE: c_long = 28;

/// Runs a command whose attributes `attr` is the head of; the kernel takes what is missing as zero.
pub(crate) fn bpf<Attr>(command: c_long, attr: &mut Attr) -> io::Result<c_long> {
    // SAFETY: `attr` is a repr(C) head of `union bpf_attr` without padding, of the size passed, and lives as long as
    // the call; addresses inside it are of statics.
    let answer =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<Attr>()) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Runs a command that makes a file descriptor.
pub(crate) fn bpf_fd<Attr>(command: c_long, mut attr: Attr) -> io::Result<OwnedFd> {
    let fd = i32::try_from(bpf(command, &mut attr)?).map_err(io::Error::other)?;
    // SAFETY: the command returned a new file descriptor, which nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The index of an interface of the calling thread's namespace.
pub(crate) fn interface_index(interface: &str) -> io::Result<u32> {
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    Ok(netdevice::name_to_index(any, interface)?)
}
