//! Frames as they are, sent and received past the IP stack (`packet(7)`).

use std::{
    io,
    mem::{size_of_val, zeroed},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    time::Duration,
};

use crate::{bpf::interface_index, netns::Namespace};

/// A socket for the frames of one interface; of those that leave there, it receives none.
#[derive(Debug)]
pub struct PacketSocket(OwnedFd);

/// `PACKET_IGNORE_OUTGOING` (`include/uapi/linux/if_packet.h`).
const IGNORE_OUTGOING: i32 = 23;
/// Bytes of the longest frame.
const LONGEST: usize = 65_536;
/// Bytes of the two MAC addresses, behind which a VLAN tag stands.
const MACS: usize = 12;

impl PacketSocket {
    /// Receives from now on.
    pub fn open(namespace: &Namespace, interface: &str) -> Self {
        let opened = namespace.enter(|| Self::bound(interface_index(interface)?));
        opened.unwrap_or_else(|error| panic!("a socket for the frames of {interface}: {error}"))
    }

    fn bound(interface: u32) -> io::Result<Self> {
        let every = u16::try_from(libc::ETH_P_ALL).map_err(io::Error::other)?.to_be();
        // Bound first, it receives nothing of other interfaces.
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: the call takes numbers only.
        let fd = done(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
        // SAFETY: the call returned a new file descriptor, which nobody else knows.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        for option in [libc::PACKET_AUXDATA, IGNORE_OUTGOING] {
            socket.turn_on(option)?;
        }
        // SAFETY: integers and an array of them.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::sa_family_t::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
        address.sll_protocol = every;
        address.sll_ifindex = interface.cast_signed();
        let size = size_of_value(&address)?;
        // SAFETY: the address is a `sockaddr_ll` of that size and lives as long as the call.
        done(unsafe { libc::bind(fd, (&raw const address).cast(), size) })?;
        Ok(socket)
    }

    fn turn_on(&self, option: i32) -> io::Result<()> {
        let on: i32 = 1;
        let size = size_of_value(&on)?;
        // SAFETY: the value is an `int` of that size and lives as long as the call.
        done(unsafe {
            libc::setsockopt(self.0.as_raw_fd(), libc::SOL_PACKET, option, (&raw const on).cast(), size)
        })?;
        Ok(())
    }

    /// Sends a frame, VLAN tags and all; its checksums are taken for complete.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        let sent = rustix::net::send(&self.0, frame, rustix::net::SendFlags::empty())?;
        assert_eq!(sent, frame.len(), "frames are sent whole");
        Ok(())
    }

    /// The next frame that has come, as it was on the wire; `None`: there is none.
    pub fn receive(&self) -> io::Result<Option<Vec<u8>>> {
        let mut frame = vec![0; LONGEST];
        let mut control = [0_u64; 16];
        let mut part = libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: frame.len() };
        // SAFETY: integers and pointers, which may be null.
        let mut message: libc::msghdr = unsafe { zeroed() };
        (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
        (message.msg_control, message.msg_controllen) = (control.as_mut_ptr().cast(), size_of_val(&control));
        // SAFETY: the buffers have the lengths that are told, and live as long as the call.
        let length = unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut message, 0) };
        let Ok(length) = usize::try_from(length) else {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
        };
        frame.truncate(length);
        if let Some(tag) = tag(&message) {
            frame.splice(MACS..MACS, tag);
        }
        Ok(Some(frame))
    }
}

/// Waits until there is something to receive, at most for so long.
pub fn wait(sockets: [&PacketSocket; 2], patience: Duration) -> io::Result<()> {
    let mut polled =
        sockets.map(|socket| libc::pollfd { fd: socket.0.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let patience = i32::try_from(patience.as_millis()).map_err(io::Error::other)?;
    // SAFETY: there are two of them, which live as long as the call.
    match done(unsafe { libc::poll(polled.as_mut_ptr(), 2, patience) }) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

/// The VLAN tag that the stack has taken off the frame: it tells of it beside the frame.
#[expect(clippy::cast_ptr_alignment, reason = "it is read unaligned")]
fn tag(message: &libc::msghdr) -> Option<[u8; 4]> {
    // SAFETY: the kernel has filled the message's control buffer, which is alive.
    let header = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: it is null, or points into that buffer, to a header.
    let kind = unsafe { header.as_ref() }.map(|header| (header.cmsg_level, header.cmsg_type))?;
    assert_eq!(kind, (libc::SOL_PACKET, libc::PACKET_AUXDATA));
    // SAFETY: there is a header.
    let told = unsafe { libc::CMSG_DATA(header) }.cast::<libc::tpacket_auxdata>();
    // SAFETY: behind a header of that kind is a `tpacket_auxdata`, at any alignment.
    let told = unsafe { told.read_unaligned() };
    let is_there = told.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
    let [tpid, tci] = [told.tp_vlan_tpid, told.tp_vlan_tci].map(u16::to_be_bytes);
    is_there.then_some([tpid[0], tpid[1], tci[0], tci[1]])
}

fn size_of_value<T>(value: &T) -> io::Result<libc::socklen_t> {
    size_of_val(value).try_into().map_err(io::Error::other)
}

fn done(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
