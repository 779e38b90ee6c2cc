//! One slot of a pool on disk: its record, and the lock that changes to it need.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::clock::BootTime;
use crate::host::replace::replace;
use crate::store::{Holder, NodeId, Nonce};

/// Around the slot's number in the files' names: before it, and after it in the lock's.
const PREFIX: &str = "slot-";
const LOCK: &str = ".lock";

/// Who has a slot, and until when nobody else may take it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The boot that `expires` counts from.
    pub(super) boot: String,
    /// None: given back. Where it is missing, nobody knows: without this, serde would take that for None.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) holder: Option<Holder>,
    /// Which node gave it back.
    #[serde(default)]
    pub(super) last: Option<NodeId>,
    /// Stays when the slot is given back: the next holder's is greater.
    pub(super) token: u64,
    /// `CLOCK_BOOTTIME` in nanoseconds, without the margin of a deadline: the kernel has been silent for that long
    /// when the slot is given away.
    pub(super) expires: u64,
}

impl Record {
    /// Who has the slot at present. What an earlier boot left says nothing: no kernel program outlives its boot.
    pub(super) fn holder(&self, boot: &str) -> Option<&Holder> {
        self.holder.as_ref().filter(|_| self.boot == boot && !self.expires().passed())
    }

    /// Which node has the slot, or had it last.
    pub(super) fn node(&self) -> Option<&NodeId> {
        self.holder.as_ref().map(|holder| &holder.node).or(self.last.as_ref())
    }

    /// When the slot is free again.
    pub(super) fn expires(&self) -> BootTime {
        BootTime::from_nanos(self.expires)
    }

    /// Whether it is of that claim, however often it was renewed.
    pub(super) fn is_of(&self, boot: &str, nonce: Nonce, token: u64) -> bool {
        let holder = self.holder.as_ref().map(|holder| holder.nonce);
        (&*self.boot, holder, self.token) == (boot, Some(nonce), token)
    }
}

/// The files of one slot.
pub(super) struct Slot {
    record: PathBuf,
    lock: PathBuf,
}

impl Slot {
    /// Of the pool in that directory.
    pub(super) fn new(directory: &Path, slot: u32) -> Self {
        Self {
            record: directory.join(format!("{PREFIX}{slot}")),
            lock: directory.join(format!("{PREFIX}{slot}{LOCK}")),
        }
    }

    /// Where the record is.
    pub(super) fn path(&self) -> &Path {
        &self.record
    }

    /// The record as it is now, whole even while another is being written: they are renamed into place.
    ///
    /// One that is there but cannot be understood is [`io::ErrorKind::InvalidData`].
    pub(super) fn read(&self) -> io::Result<Option<Record>> {
        match fs::read(&self.record) {
            Ok(json) => serde_json::from_slice(&json)
                .map(Some)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The right to change the record, if nobody else has it at this moment. Never waits: who has it may have been
    /// stopped (SIGSTOP) in that moment. The kernel takes it from the dead.
    pub(super) fn try_lock(&self) -> io::Result<Option<LockedSlot<'_>>> {
        // Never removed: a lock on a file that is gone locks nothing.
        let lock =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.lock)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(LockedSlot { slot: self, _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The slots below `limit` that have a record or once had, of the pool in that directory.
///
/// A record that is being replaced may be missed by who lists the directory (`readdir(3)`); its lock, which was there
/// first and is never replaced, is not.
pub(super) fn used(directory: &Path, limit: u32) -> io::Result<BTreeSet<u32>> {
    let mut slots = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        slots.extend(entry?.file_name().to_str().and_then(slot_of).filter(|slot| *slot < limit));
    }
    Ok(slots)
}

fn slot_of(file: &str) -> Option<u32> {
    let slot = file.strip_prefix(PREFIX)?;
    slot.strip_suffix(LOCK).unwrap_or(slot).parse().ok()
}

/// A slot whose record nobody else can change.
pub(super) struct LockedSlot<'a> {
    slot: &'a Slot,
    _lock: File,
}

impl LockedSlot<'_> {
    /// The record, which stays as it is.
    pub(super) fn read(&self) -> io::Result<Option<Record>> {
        self.slot.read()
    }

    /// Replaces the record. A host that crashes needs none.
    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        replace(&self.slot.record, 0o600, &serde_json::to_vec(record)?)
    }
}
