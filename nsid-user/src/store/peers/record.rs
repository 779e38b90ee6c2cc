//! What a witness leaves on its host, for the next one at its address: that it was there, and may have granted something.
//!
//! A file in [`RUN_ROOT`], gone with a reboot; it stays when the agent ends. What was granted is over at some time; which
//! list it was granted by counts for longer.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nsid_peers::{List, Record, Rules};
use serde::{Deserialize, Serialize};

use crate::clock::BootTime;
use crate::host::instance::{RUN_ROOT, WITNESSES};
use crate::host::replace::replace;

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
        let (directory, address) = (root.join(WITNESSES), format!("{address}-"));
        let own = directory.join(format!("{address}{instance}.json"));
        Self { directory, address, own }
    }

    /// What an earlier witness left. One of several in a list is known to the others by its address, whichever instance it
    /// was; one that is `alone` looks at what the witnesses of other instances may still be granting, too. A file that cannot
    /// be read is one of nobody knows whom, and an error.
    pub(super) fn read(&self, alone: bool) -> io::Result<Option<Record>> {
        let own = read(&self.own)?;
        if !alone {
            return Ok(own);
        }
        let files = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(own),
            files => files?,
        };
        let mut last = own;
        for file in files {
            let file = file?;
            let name = file.file_name();
            let is_of_ours = name.to_str().is_some_and(|name| {
                name.starts_with(&self.address)
                    && Path::new(name).extension().is_some_and(|ext| ext == "json")
            });
            if is_of_ours && let Some(record) = read(&file.path())?.filter(|record| !record.is_over) {
                let is_longer = |last: &Record| last.is_over || last.lease < record.lease;
                last = if last.as_ref().is_none_or(is_longer) { Some(record) } else { last };
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
        replace(&self.own, 0o644, &serde_json::to_vec(&kept)?)
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
    Ok(Some(Record { list, lease, is_over }))
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
        let list = List::new(vec![address]).unwrap();
        let record = Record { list, lease: Duration::from_secs(5), is_over: false };
        records.leave(&record, None).unwrap();
        assert_eq!(records.read(false).unwrap(), Some(record.clone()), "it was killed, or lives");
        records.leave(&record, Some(BootTime::now())).unwrap();
        assert_eq!(records.read(false).unwrap(), Some(record.clone()), "it has just ended");
        let long_ago = BootTime::now().saturating_sub(Duration::from_secs(6));
        records.leave(&record, Some(long_ago)).unwrap();
        let over = Some(Record { is_over: true, ..record.clone() });
        assert_eq!(records.read(false).unwrap(), over, "all that it granted is over");
        let other = Records::below(root.path(), address, "other");
        other.leave(&record, None).unwrap();
        assert_eq!(records.read(false).unwrap(), over);
        assert_eq!(records.read(true).unwrap(), Some(record.clone()), "nobody else knows of it");
        other.leave(&record, Some(long_ago)).unwrap();
        assert_eq!(records.read(true).unwrap(), over);
        fs::write(records.path(), "{").unwrap();
        assert!(records.read(false).is_err());
    }
}
