//! Parts of a state that most steps leave as they are: shared, and hashed once.

use std::cell::RefCell;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// A value that is copied when it changes, and has to be sealed before it is compared or hashed.
#[derive(Clone)]
pub(super) struct Part<T> {
    value: Arc<T>,
    fingerprint: u64,
    sealed: bool,
}

impl<T: Clone + Hash> Part<T> {
    pub(super) fn new(value: T) -> Self {
        let fingerprint = fingerprint(&value);
        Self { value: Arc::new(value), fingerprint, sealed: true }
    }

    pub(super) fn change<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        self.sealed = false;
        change(Arc::make_mut(&mut self.value))
    }

    /// No change follows.
    pub(super) fn seal(&mut self) {
        if !self.sealed {
            (self.fingerprint, self.sealed) = (fingerprint(&*self.value), true);
        }
    }

    /// By which equal values come to stand in one order.
    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

fn fingerprint(value: &impl Hash) -> u64 {
    thread_local! {
        static BYTES: RefCell<Bytes> = RefCell::default();
    }
    BYTES.with_borrow_mut(|bytes| {
        bytes.0.clear();
        value.hash(bytes);
        bytes.finish()
    })
}

/// Hashes all in one go, which is faster than the many small writes of a large value.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.0);
        hasher.finish()
    }
}

impl<T> Deref for Part<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Hash for Part<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.fingerprint);
    }
}

impl<T> PartialEq for Part<T> {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl<T: fmt::Debug> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
