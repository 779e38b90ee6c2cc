//! Where a claimant keeps its session, so that its next process can go on with it.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::connection::SessionKey;
use crate::host::replace::replace;
use crate::store::Nonce;

/// A file for the session of one claimant of a pool.
#[derive(Clone, Debug)]
pub(super) struct Keep {
    path: PathBuf,
    nonce: Nonce,
    pool: String,
}

/// What is in it.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Whose it is.
    nonce: Nonce,
    /// The node that all is below which it was made for: what it has made elsewhere would live as long as what it makes here.
    pool: String,
    id: i64,
    password: [u8; 16],
    lasts_ms: u64,
}

impl Keep {
    /// At that path, for the claimant `nonce` of the pool at that node. The directory is there.
    pub(super) fn new(path: PathBuf, nonce: Nonce, pool: String) -> Self {
        Self { path, nonce, pool }
    }

    /// The session that this claimant kept.
    pub(super) fn load(&self) -> Option<SessionKey> {
        let text = fs::read(&self.path).ok()?;
        let is_ours = |kept: &Kept| kept.nonce == self.nonce && kept.pool == self.pool;
        let kept = serde_json::from_slice(&text).ok().filter(is_ours);
        kept.map(|Kept { id, password, lasts_ms, .. }| SessionKey {
            id,
            password,
            lasts: Duration::from_millis(lasts_ms),
        })
    }

    /// Keeps a session. Without it, a crash costs the slot, and nothing else.
    pub(super) fn store(&self, session: &SessionKey) {
        if let Err(error) = self.write(session) {
            log::warn!("cannot keep the session in {}: {error}", self.path.display());
        }
    }

    /// Keeps that session no longer.
    pub(super) fn remove(&self, session: &SessionKey) {
        if self.load().as_ref() == Some(session) {
            let _already_gone = fs::remove_file(&self.path);
        }
    }

    fn write(&self, session: &SessionKey) -> io::Result<()> {
        let SessionKey { id, password, lasts } = *session;
        let lasts_ms = lasts.as_millis().try_into().unwrap_or(u64::MAX);
        let kept = Kept { nonce: self.nonce, pool: self.pool.clone(), id, password, lasts_ms };
        replace(&self.path, 0o600, &serde_json::to_vec(&kept)?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_session_is_kept_for_its_claimant_and_for_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("session");
        let nonce = Nonce::random().unwrap();
        let new = |nonce, pool: &str| Keep::new(path.clone(), nonce, pool.to_owned());
        let keep = new(nonce, "/nsid/a");
        assert!(keep.load().is_none());
        let session = SessionKey { id: -7, password: [9; 16], lasts: Duration::from_secs(10) };
        keep.store(&session);
        keep.remove(&SessionKey { id: 7, ..session.clone() });
        assert!(keep.load().as_ref() == Some(&session));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(new(Nonce::random().unwrap(), "/nsid/a").load().is_none());
        assert!(new(nonce, "/nsid/b").load().is_none());
        keep.remove(&session);
        assert!(!path.exists());
        fs::write(&path, "{}").unwrap();
        assert!(keep.load().is_none());
    }
}
