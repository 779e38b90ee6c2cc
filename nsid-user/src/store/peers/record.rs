//! What a witness leaves on its host, for the next one at its address: that it was there, and may have granted something.
//!
//! A file in [`RUN_ROOT`], gone with a reboot; it stays when the agent ends, and counts for as long as what was granted may
//! last.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nsid_peers::{List, Record, Rules};
use serde::{Deserialize, Serialize};

use crate::clock::BootTime;
use crate::host::instance::RUN_ROOT;

/// The files of the witnesses at one address: each instance's agent has its own, since hosts of several network namespaces
/// have one address many times.
#[derive(Clone, Debug)]
pub(super) struct Records {
    directory: PathBuf,
    /// What the names of all of them begin with.
    address: String,
    own: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    list: Vec<SocketAddr>,
    /// The longest lease that it granted.
    lease_ms: u64,
    /// When it ended; none if it was killed, or is there yet.
    ended: Option<BootTime>,
}

impl Records {
    /// That of an instance's witness at `address`.
    pub(super) fn of(address: SocketAddr, instance: &str) -> Self {
        Self::below(Path::new(RUN_ROOT), address, instance)
    }

    pub(super) fn below(root: &Path, address: SocketAddr, instance: &str) -> Self {
        let (directory, address) = (root.join("witnesses"), format!("{address}-"));
        let own = directory.join(format!("{address}{instance}.json"));
        Self { directory, address, own }
    }

    /// What an earlier witness left that may still matter. One of several in a list is known to the others by its address,
    /// whichever instance it was; one that is `alone` looks at what every instance left. A file that cannot be read is one of
    /// nobody knows whom, and an error.
    pub(super) fn read(&self, alone: bool) -> io::Result<Option<Record>> {
        if !alone {
            return read(&self.own);
        }
        let files = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            files => files?,
        };
        let mut last: Option<Record> = None;
        for file in files {
            let file = file?;
            let name = file.file_name();
            let is_of_ours = name.to_str().is_some_and(|name| {
                name.starts_with(&self.address)
                    && Path::new(name).extension().is_some_and(|ext| ext == "json")
            });
            if let Some(record) = if is_of_ours { read(&file.path())? } else { None } {
                let is_longer = last.as_ref().is_none_or(|last| last.lease < record.lease);
                last = if is_longer { Some(record) } else { last };
            }
        }
        Ok(last)
    }

    /// Leaves that: before the first grant, and when the witness ends.
    pub(super) fn leave(&self, record: &Record, ended: Option<BootTime>) -> io::Result<()> {
        let kept = Kept {
            list: record.list.witnesses().to_vec(),
            lease_ms: record.lease.as_millis().try_into().unwrap_or(u64::MAX),
            ended,
        };
        fs::create_dir_all(&self.directory)?;
        let new = self.own.with_added_extension("new");
        fs::write(&new, serde_json::to_vec(&kept)?)?;
        fs::rename(new, &self.own)
    }

    /// Where it is, for people.
    pub(super) fn path(&self) -> &Path {
        &self.own
    }
}

fn read(path: &Path) -> io::Result<Option<Record>> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let Kept { list, lease_ms, ended } = serde_json::from_slice(&text)?;
    let list = List::new(list).map_err(io::Error::other)?;
    let lease = Duration::from_millis(lease_ms);
    let is_over = ended.is_some_and(|ended| ended.saturating_add(Rules::default().kept(lease)).passed());
    Ok((!is_over).then_some(Record { list, lease }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_until_what_was_granted_is_over() {
        let root = tempfile::tempdir().unwrap();
        let address = "10.0.0.1:7400".parse().unwrap();
        let records = Records::below(root.path(), address, "default");
        assert_eq!(records.read(false).unwrap(), None);
        let record = Record { list: List::new(vec![address]).unwrap(), lease: Duration::from_secs(5) };
        records.leave(&record, None).unwrap();
        assert_eq!(records.read(false).unwrap(), Some(record.clone()), "it was killed, or lives");
        records.leave(&record, Some(BootTime::now())).unwrap();
        assert_eq!(records.read(false).unwrap(), Some(record.clone()), "it has just ended");
        let long_ago = BootTime::now().saturating_sub(Duration::from_secs(6));
        records.leave(&record, Some(long_ago)).unwrap();
        assert_eq!(records.read(false).unwrap(), None, "all that it granted is over");
        let other = Records::below(root.path(), address, "other");
        other.leave(&record, None).unwrap();
        assert_eq!(records.read(false).unwrap(), None);
        assert_eq!(records.read(true).unwrap(), Some(record), "nobody else knows of it");
        fs::write(records.path(), "{").unwrap();
        assert!(records.read(false).is_err());
    }
}
