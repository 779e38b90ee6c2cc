//! Who waits in line, as far as others can see.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::store::Nonce;

const PREFIX: &str = "waiting-";

/// A claimant in line: a file, and a lock on it that the kernel takes from the dead. Removed on Drop.
#[derive(Debug)]
pub(super) struct Waiting {
    path: PathBuf,
    _lock: File,
}

impl Waiting {
    /// Begins to wait.
    pub(super) fn begin(directory: &Path, nonce: Nonce) -> io::Result<Self> {
        let path = directory.join(format!("{PREFIX}{nonce}"));
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.try_lock()?;
        Ok(Self { path, _lock: file })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // One that stays is nobody's, and not counted.
        let _ = fs::remove_file(&self.path);
    }
}

/// How many wait.
pub(super) fn count(directory: &Path) -> io::Result<usize> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut count = 0;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_locked(&entry.path())? {
            count += 1;
        }
    }
    Ok(count)
}

fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
