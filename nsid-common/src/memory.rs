//! Memory that others change: a frame's bytes, and the words of the maps.
//!
//! A frame is read and written by value at any offset, or through views of fixed headers. A view is a reference to a
//! header of known size: one bounds check for all its fields, and no arithmetic on pointers behind it. It cannot
//! outlive the frame's handle, which resizing consumes (see [`Answer`](crate::hook::Answer) and
//! [`Edit`](crate::hook::Edit)).
//!
//! **Invariant:** the only `unsafe` of this crate is in this file.

#[cfg(not(target_arch = "bpf"))]
use core::sync::atomic::Ordering::Relaxed;
use core::{fmt, sync::atomic::AtomicU64};

use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
};

/// A word of a map: the kernel's programs and the agent read and write it at any time, whole.
///
/// LLVM does not select atomic loads for BPF before version 4 of its instructions; there, a volatile access of an
/// aligned word is one instruction, and so whole.
#[derive(Default)]
#[repr(transparent)]
pub struct Word(AtomicU64);

impl Word {
    /// A word of that value.
    pub const fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    /// Its value now.
    #[inline(always)]
    pub fn get(&self) -> u64 {
        #[cfg(not(target_arch = "bpf"))]
        return self.0.load(Relaxed);
        // SAFETY: the reference is to an aligned word that is there.
        #[cfg(target_arch = "bpf")]
        return unsafe { self.0.as_ptr().read_volatile() };
    }

    /// Changes its value.
    #[inline(always)]
    pub fn set(&self, value: u64) {
        #[cfg(not(target_arch = "bpf"))]
        self.0.store(value, Relaxed);
        // SAFETY: the reference is to an aligned word that is there, in memory that may be written.
        #[cfg(target_arch = "bpf")]
        unsafe {
            self.0.as_ptr().write_volatile(value);
        }
    }

    /// Adds to its value, at once also for other CPUs: the one atomic instruction of BPF before version 3, which Rust
    /// does not know of.
    #[inline(always)]
    pub fn add(&self, value: u64) {
        #[cfg(not(target_arch = "bpf"))]
        self.0.fetch_add(value, Relaxed);
        // SAFETY: the reference is to an aligned word that is there, in memory that may be written.
        #[cfg(target_arch = "bpf")]
        unsafe {
            core::arch::asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) self.0.as_ptr(), in(reg) value, options(nostack));
        }
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(formatter)
    }
}

/// The last offset at which a load, a store or a view may begin.
///
/// The verifier needs a bound that is a mask (nsid-ebpf, `frame.rs`); a frame of an interface with the usual MTU of
/// 1500 lies below it.
pub const MAX_OFFSET: usize = 2047;

/// A frame, or as much of it as can be reached.
pub trait Bytes {
    /// Bytes of the whole frame, those that cannot be reached included.
    fn length(&self) -> usize;
    /// The `N` bytes at `at`; `None` where the frame ends before them, or `at` is beyond [`MAX_OFFSET`].
    fn load<const N: usize>(&self, at: usize) -> Option<[u8; N]>;
    /// Stores `N` bytes at `at`; `None`, and nothing stored, where [`load`](Self::load) would have been.
    fn store<const N: usize>(&mut self, at: usize, bytes: [u8; N]) -> Option<()>;
    /// The header at the frame's first byte.
    fn first<T: Header>(&self) -> Option<&T>;
    /// The header at `at`.
    fn view<T: Header>(&self, at: usize) -> Option<&T>;
    /// The header at `at`, to be written.
    fn view_mut<T: Header>(&mut self, at: usize) -> Option<&mut T>;
}

/// A type that is its bytes on the wire.
///
/// # Safety
/// The type has alignment 1 and no padding, and any bytes are a valid value of it.
pub unsafe trait Header: Copy {}

// SAFETY: an array of bytes.
unsafe impl<const N: usize> Header for [u8; N] {}
// SAFETY: an array of bytes.
unsafe impl<const N: usize, const M: usize> Header for [[u8; N]; M] {}
// SAFETY: network-types declares it `repr(C)` of bytes and arrays of bytes.
unsafe impl Header for Ipv4Hdr {}
// SAFETY: as `Ipv4Hdr`.
unsafe impl Header for Ipv6Hdr {}
// SAFETY: as `Ipv4Hdr`.
unsafe impl Header for UdpHdr {}
// SAFETY: `repr(C)` of headers, each with alignment 1 and without padding.
unsafe impl Header for crate::dns::DnsHdr {}
// SAFETY: `repr(C)` of headers, each with alignment 1 and without padding.
unsafe impl<Ip: Header> Header for crate::ip::Headers<Ip> {}

const _: () = assert!(align_of::<crate::ip::Headers<Ipv4Hdr>>() == 1);
const _: () = assert!(size_of::<crate::ip::Headers<Ipv4Hdr>>() == 54);
const _: () = assert!(align_of::<crate::ip::Headers<Ipv6Hdr>>() == 1);
const _: () = assert!(size_of::<crate::ip::Headers<Ipv6Hdr>>() == 74);

/// Bytes that are moved, at most.
pub const MAX_MOVE: usize = 512;

/// Moves `length` bytes from `from` to `to`, which is before it; `None` beyond [`MAX_MOVE`] or the frame.
#[inline(always)]
pub fn move_back<B: Bytes>(frame: &mut B, from: usize, to: usize, length: usize) -> Option<()> {
    if length > MAX_MOVE {
        return None;
    }
    // As in `checksum::of_frame`.
    let (rest, rest_length) = (length & !7, length & 7);
    let mut done = 0;
    while done < MAX_MOVE {
        if done + 8 > length {
            break;
        }
        let eight: [u8; 8] = frame.load(from + done)?;
        frame.store(to + done, eight)?;
        done += 8;
    }
    let mut single = 0;
    while single < 7 {
        if single >= rest_length {
            break;
        }
        let one: [u8; 1] = frame.load(from + rest + single)?;
        frame.store(to + rest + single, one)?;
        single += 1;
    }
    Some(())
}

/// A frame in memory.
impl Bytes for [u8] {
    fn length(&self) -> usize {
        self.len()
    }

    fn load<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.get(range::<N>(at)?)?.try_into().ok()
    }

    fn store<const N: usize>(&mut self, at: usize, bytes: [u8; N]) -> Option<()> {
        self.get_mut(range::<N>(at)?)?.copy_from_slice(&bytes);
        Some(())
    }

    fn first<T: Header>(&self) -> Option<&T> {
        self.view(0)
    }

    fn view<T: Header>(&self, at: usize) -> Option<&T> {
        if at > MAX_OFFSET {
            return None;
        }
        let bytes = self.get(at..at.checked_add(size_of::<T>())?)?;
        // SAFETY: `bytes` are as many as `T` has, borrowed as long as the result; `T: Header` takes any bytes at any
        // address.
        Some(unsafe { &*bytes.as_ptr().cast() })
    }

    fn view_mut<T: Header>(&mut self, at: usize) -> Option<&mut T> {
        if at > MAX_OFFSET {
            return None;
        }
        let bytes = self.get_mut(at..at.checked_add(size_of::<T>())?)?;
        // SAFETY: as in `view`, and `bytes` are borrowed exclusively; any `T` leaves valid bytes, since it has no padding.
        Some(unsafe { &mut *bytes.as_mut_ptr().cast() })
    }
}

fn range<const N: usize>(at: usize) -> Option<core::ops::Range<usize>> {
    if at > MAX_OFFSET { None } else { Some(at..at.checked_add(N)?) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use proptest::prelude::*;

    #[test]
    fn what_does_not_lie_within_the_frame_is_not_reached() {
        let frame = [1_u8, 2, 3];
        assert_eq!(frame[..].load(1), Some([2, 3]));
        assert_eq!(frame[..].load::<2>(2), None);
        assert_eq!(frame[..].load::<1>(usize::MAX), None);
        assert_eq!(frame[..].view::<[u8; 2]>(2), None);
        assert_eq!(Bytes::first::<[u8; 3]>(&frame[..]), Some(&[1, 2, 3]));
    }

    #[test]
    fn what_begins_beyond_the_last_offset_is_not_reached() {
        let frame = [0_u8; MAX_OFFSET + 2];
        assert!(frame[..].load::<2>(MAX_OFFSET).is_some());
        assert!(frame[..].load::<1>(MAX_OFFSET + 1).is_none());
        assert!(frame[..].view::<[u8; 1]>(MAX_OFFSET + 1).is_none());
    }

    proptest! {
        #[test]
        fn what_is_moved_back_arrives_as_it_was(
            bytes in proptest::collection::vec(any::<u8>(), 1..600),
            to in 0..64_usize,
            by in 1..64_usize,
            length in 0..600_usize,
        ) {
            let mut frame = bytes.clone();
            let moved = move_back(&mut Model::new().frame(&mut frame), to + by, to, length);
            let fits = length <= MAX_MOVE && (length == 0 || to + by + length <= bytes.len());
            prop_assert_eq!(moved.is_some(), fits);
            if fits {
                let mut expected = bytes;
                if length != 0 {
                    expected.copy_within(to + by..to + by + length, to);
                }
                prop_assert_eq!(frame, expected);
            }
        }
    }
}
