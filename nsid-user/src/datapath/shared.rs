//! A map's values in this process's memory.

use std::{
    io,
    marker::PhantomData,
    os::fd::AsFd,
    ptr::{self, NonNull},
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The values of an array map (`BPF_F_MMAPABLE`), which the kernel's programs read meanwhile.
#[derive(Debug)]
pub(super) struct Shared<T> {
    first: NonNull<T>,
    values: usize,
    _values: PhantomData<T>,
}

/// A type that a map's value can be seen as: made of words that are read and written whole, at any time.
///
/// # Safety
/// `repr(C)` of [`Word`](nsid_common::memory::Word)s only: shared references to it allow that others change it, and
/// any bytes are a valid value.
pub(super) unsafe trait Words {}

// SAFETY: `repr(transparent)` of an atomic.
unsafe impl Words for nsid_common::memory::Word {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for nsid_common::maps::Control {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for nsid_common::maps::Served {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for nsid_common::maps::Service {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for nsid_common::maps::Record {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for nsid_common::maps::Interface {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for nsid_common::policy::Policy {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for nsid_common::clients::Interval {}
// SAFETY: `repr(C)` of words.
unsafe impl Words for nsid_common::image::Image {}

impl<T: Words> Shared<T> {
    /// Maps the `values` of a map. The kernel refuses more than the map has.
    pub(super) fn of(map: impl AsFd, values: usize) -> io::Result<Self> {
        // The kernel puts the values of an array at multiples of 8.
        const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() <= 8) };
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let first = unsafe {
            mmap(
                ptr::null_mut(),
                size_of::<T>() * values,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                map.as_fd(),
                0,
            )
        }?;
        let first = NonNull::new(first.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { first, values, _values: PhantomData })
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: mapped by `of` with this address and length, and no reference outlives `self`.
        let unmapped = unsafe { munmap(self.first.as_ptr().cast(), size_of::<T>() * self.values) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

impl<T: Words> std::ops::Deref for Shared<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: mapped by `of`, as many, for as long as `self` lives; `T: Words` allows that others write meanwhile.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.values) }
    }
}
