//! What a directory's claimants are given alike.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::store::{Agreement, Disagreement};

/// The file in a pool's directory.
fn path(directory: &Path) -> PathBuf {
    directory.join("agreement")
}

/// Agrees with what stands there, or has it stand there; and with the pools beside this one, of two of which that make the
/// same name the younger gives way.
pub(super) fn agree(directory: &Path, own: &Agreement) -> io::Result<Result<(), (PathBuf, Disagreement)>> {
    let path = path(directory);
    let stored = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(&path, own)?;
            fs::read(&path)?
        }
        stored => stored?,
    };
    if let Err(disagreement) = own.check(&stored) {
        return Ok(Err((path, disagreement)));
    }
    let age = (modified(&path)?, path.clone());
    let Some(parent) = directory.parent() else { return Ok(Ok(())) };
    for pool in fs::read_dir(parent)? {
        let other = self::path(&pool?.path());
        // A file, or a directory without one, is no pool.
        let Ok(since) = modified(&other) else { continue };
        if (since, other.clone()) < age
            && let Err(disagreement) = own.check_beside(&fs::read(&other)?)
        {
            return Ok(Err((other, disagreement)));
        }
    }
    Ok(Ok(()))
}

/// What stands there; nothing if nobody ever claimed, or it cannot be understood.
pub(super) fn read(directory: &Path) -> io::Result<Option<Agreement>> {
    match fs::read(path(directory)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        stored => Ok(serde_json::from_slice(&stored?).ok()),
    }
}

/// As a whole, unless another one has been first.
fn create(path: &Path, own: &Agreement) -> io::Result<()> {
    let new = path.with_extension(format!("{}.new", getrandom::u64().map_err(io::Error::other)?));
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let linked = file.write_all(own.to_json().as_bytes()).and_then(|()| match fs::hard_link(&new, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    fs::remove_file(new)?;
    linked
}

fn modified(path: &Path) -> io::Result<SystemTime> {
    fs::metadata(path)?.modified()
}
