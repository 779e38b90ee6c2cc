//! A frame in the kernel's memory: the one place of packet pointer arithmetic.
//!
//! What the verifier accepts here was found by trial, on kernels 6.1 to 7.3: an offset that is not constant has to be
//! bounded, and added to the frame's start, in one `asm!` block, or LLVM bounds one register and adds another. The
//! offset is a `usize`: with `u32`, shifts are inserted that lose the bound.

use core::arch::asm;

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use nsid_common::memory::{Bytes, Header, MAX_OFFSET};

/// The context of a program: where the frame begins and ends that it can reach directly.
pub trait Context: Copy {
    /// Addresses of the first byte, and behind the last.
    fn bounds(self) -> (usize, usize);
    /// Bytes of the whole frame.
    fn length(self) -> usize;
    /// The index of the interface that the frame is at.
    fn interface_index(self) -> u32;
}

impl Context for *mut xdp_md {
    #[inline(always)]
    fn bounds(self) -> (usize, usize) {
        // SAFETY: the kernel gives a valid context.
        let data = unsafe { (*self).data };
        // SAFETY: as above.
        let data_end = unsafe { (*self).data_end };
        (data as usize, data_end as usize)
    }

    #[inline(always)]
    fn length(self) -> usize {
        let (data, data_end) = self.bounds();
        data_end - data
    }

    #[inline(always)]
    fn interface_index(self) -> u32 {
        // SAFETY: the kernel gives a valid context.
        unsafe { (*self).ingress_ifindex }
    }
}

impl Context for *mut __sk_buff {
    #[inline(always)]
    fn bounds(self) -> (usize, usize) {
        // SAFETY: the kernel gives a valid context.
        let data = unsafe { (*self).data };
        // SAFETY: as above.
        let data_end = unsafe { (*self).data_end };
        (data as usize, data_end as usize)
    }

    #[inline(always)]
    fn length(self) -> usize {
        // SAFETY: the kernel gives a valid context.
        unsafe { (*self).len as usize }
    }

    #[inline(always)]
    fn interface_index(self) -> u32 {
        // SAFETY: the kernel gives a valid context.
        unsafe { (*self).ifindex }
    }
}

/// No context: of a frame that has one, the maps alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoContext;

impl Context for NoContext {
    #[inline(always)]
    fn bounds(self) -> (usize, usize) {
        (0, 0)
    }

    #[inline(always)]
    fn length(self) -> usize {
        0
    }

    #[inline(always)]
    fn interface_index(self) -> u32 {
        0
    }
}

/// A frame, until a helper may have moved it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<C> {
    /// The program's context.
    pub(crate) context: C,
    data: usize,
    data_end: usize,
}

impl<C: Context> Frame<C> {
    /// The frame as it is now.
    #[inline(always)]
    pub fn new(context: C) -> Self {
        let (data, data_end) = context.bounds();
        Self { context, data, data_end }
    }

    /// Bytes that can be reached directly.
    #[inline(always)]
    pub fn reachable(&self) -> usize {
        self.data_end - self.data
    }

    /// The address of `size` bytes at `at`.
    #[inline(always)]
    fn pointer(&self, at: usize, size: usize) -> Option<usize> {
        if at > MAX_OFFSET {
            return None;
        }
        let mut pointer = at;
        // SAFETY: the block changes one register, and nothing else.
        unsafe {
            asm!(
                "{0} &= 2047",
                "{0} += {1}",
                inout(reg) pointer,
                in(reg) self.data,
                options(pure, nomem, nostack),
            );
        }
        if pointer + size > self.data_end { None } else { Some(pointer) }
    }
}

const _: () = assert!(MAX_OFFSET == 2047);

impl<C: Context> Bytes for Frame<C> {
    #[inline(always)]
    fn length(&self) -> usize {
        self.context.length()
    }

    #[inline(always)]
    fn load<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let pointer = self.pointer(at, N)?;
        // SAFETY: `pointer` has checked that `N` bytes are there.
        Some(unsafe { (pointer as *const [u8; N]).read_unaligned() })
    }

    #[inline(always)]
    fn store<const N: usize>(&mut self, at: usize, bytes: [u8; N]) -> Option<()> {
        let pointer = self.pointer(at, N)?;
        // SAFETY: `pointer` has checked that `N` bytes are there.
        unsafe { (pointer as *mut [u8; N]).write_unaligned(bytes) };
        Some(())
    }

    #[inline(always)]
    fn first<T: Header>(&self) -> Option<&T> {
        if self.data + size_of::<T>() > self.data_end {
            return None;
        }
        // SAFETY: the bytes are there, `T: Header` takes any, and no helper is called while `self` is borrowed.
        Some(unsafe { &*(self.data as *const T) })
    }

    #[inline(always)]
    fn view<T: Header>(&self, at: usize) -> Option<&T> {
        let pointer = self.pointer(at, size_of::<T>())?;
        // SAFETY: as in `first`.
        Some(unsafe { &*(pointer as *const T) })
    }

    #[inline(always)]
    fn view_mut<T: Header>(&mut self, at: usize) -> Option<&mut T> {
        let pointer = self.pointer(at, size_of::<T>())?;
        // SAFETY: as in `first`, and `self` is borrowed exclusively.
        Some(unsafe { &mut *(pointer as *mut T) })
    }
}
