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

/// The file of the witness at one address.
#[derive(Clone, Debug)]
pub(super) struct Records(PathBuf);

#[derive(Serialize, Deserialize)]
struct Kept {
    list: Vec<SocketAddr>,
    /// The longest lease that it granted.
    lease_ms: u64,
    /// When it ended; none if it was killed, or is there yet.
    ended: Option<BootTime>,
}

impl Records {
    /// That of the witness at `address`.
    pub(super) fn of(address: SocketAddr) -> Self {
        Self::below(Path::new(RUN_ROOT), address)
    }

    pub(super) fn below(root: &Path, address: SocketAddr) -> Self {
        Self(root.join("witnesses").join(format!("{address}.json")))
    }

    /// What an earlier witness left that may still matter. A file that cannot be read is one of nobody knows whom, and an
    /// error.
    pub(super) fn read(&self) -> io::Result<Option<Record>> {
        let text = match fs::read(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let Kept { list, lease_ms, ended } = serde_json::from_slice(&text)?;
        let list = List::new(list).map_err(io::Error::other)?;
        let lease = Duration::from_millis(lease_ms);
        let is_over = ended.is_some_and(|ended| ended.saturating_add(Rules::default().kept(lease)).passed());
        Ok((!is_over).then_some(Record { list, lease }))
    }

    /// Leaves that: before the first grant, and when the witness ends.
    pub(super) fn leave(&self, record: &Record, ended: Option<BootTime>) -> io::Result<()> {
        let kept = Kept {
            list: record.list.witnesses().to_vec(),
            lease_ms: record.lease.as_millis().try_into().unwrap_or(u64::MAX),
            ended,
        };
        if let Some(directory) = self.0.parent() {
            fs::create_dir_all(directory)?;
        }
        let new = self.0.with_added_extension("new");
        fs::write(&new, serde_json::to_vec(&kept)?)?;
        fs::rename(new, &self.0)
    }

    /// Where it is, for people.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_until_what_was_granted_is_over() {
        let root = tempfile::tempdir().unwrap();
        let address = "10.0.0.1:7400".parse().unwrap();
        let records = Records::below(root.path(), address);
        assert_eq!(records.read().unwrap(), None);
        let record = Record { list: List::new(vec![address]).unwrap(), lease: Duration::from_secs(5) };
        records.leave(&record, None).unwrap();
        assert_eq!(records.read().unwrap(), Some(record.clone()), "it was killed, or lives");
        records.leave(&record, Some(BootTime::now())).unwrap();
        assert_eq!(records.read().unwrap(), Some(record.clone()), "it has just ended");
        let long_ago = BootTime::now().saturating_sub(Duration::from_secs(6));
        records.leave(&record, Some(long_ago)).unwrap();
        assert_eq!(records.read().unwrap(), None, "all that it granted is over");
        fs::write(records.path(), "{").unwrap();
        assert!(records.read().is_err());
    }
}
