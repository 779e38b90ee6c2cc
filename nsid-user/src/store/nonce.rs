//! Who a claimant is: a random number that outlives its process.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::host::replace::replace;

/// 128 random bits, 32 hex digits in writing.
///
/// An agent keeps its own beside its other state, so that it is the same claimant after a crash and gets its slot
/// back; no two agents may use one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nonce(u128);

/// Why there is no nonce.
#[derive(Debug, thiserror::Error)]
pub enum NonceError {
    /// Its file can be neither read nor written.
    #[error("cannot keep the claimant's nonce in {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel has no random numbers.
    #[error("no random numbers for the claimant's nonce: {0}")]
    Random(#[from] getrandom::Error),
}

/// A text that is no nonce.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not 32 hex digits")]
pub struct ParseNonceError(String);

impl Nonce {
    /// One that nobody else has.
    pub fn random() -> Result<Self, NonceError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(u128::from_ne_bytes(bytes)))
    }

    /// The one that `path` keeps; a new one, kept there from now on, where there is none or it cannot be read as
    /// one.
    pub fn load_or_create(path: &Path) -> Result<Self, NonceError> {
        let failed = |source| NonceError::File { path: path.to_owned(), source };
        match fs::read(path) {
            Ok(bytes) => match String::from_utf8_lossy(&bytes).trim_end().parse() {
                Ok(nonce) => return Ok(nonce),
                Err(error) => log::warn!("{}: {error}; a new nonce replaces it", path.display()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let nonce = Self::random()?;
        nonce.keep_in(path)?;
        Ok(nonce)
    }

    /// Is what [`load_or_create`](Nonce::load_or_create) returns from now on.
    pub(super) fn keep_in(self, path: &Path) -> Result<(), NonceError> {
        let kept = replace(path, 0o600, format!("{self}\n").as_bytes());
        kept.map_err(|source| NonceError::File { path: path.to_owned(), source })
    }

    /// As it is sent.
    pub(super) fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// From what [`to_bytes`](Nonce::to_bytes) makes of it.
    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// That of one service of the incarnation, so that two of them can be in one pool.
    #[must_use]
    pub fn of_service(self, service: u32) -> Self {
        Self(self.0 ^ u128::from(service))
    }

    /// A number below `over`, as good as drawn by chance for each claimant, and always the same for this one.
    pub(super) fn spread(self, over: usize) -> usize {
        usize::try_from(self.0 % over as u128).unwrap_or(0)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Nonce {
    type Err = ParseNonceError;

    fn from_str(text: &str) -> Result<Self, ParseNonceError> {
        // `from_str_radix` alone would take a sign.
        if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            u128::from_str_radix(text, 16).map(Self).map_err(|_| ParseNonceError(text.to_owned()))
        } else {
            Err(ParseNonceError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Nonce {
    type Error = ParseNonceError;

    fn try_from(text: String) -> Result<Self, ParseNonceError> {
        text.parse()
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> Self {
        nonce.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_nonce_is_made_once_and_read_ever_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nonce");
        let nonce = Nonce::load_or_create(&path).unwrap();
        assert_eq!(Nonce::load_or_create(&path).unwrap(), nonce);
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{nonce}\n"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(Nonce::random().unwrap(), nonce);
    }

    #[test]
    fn what_is_no_nonce_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nonce");
        for text in ["", "12", "+0000000000000000000000000000001", "g0000000000000000000000000000000"] {
            fs::write(&path, text).unwrap();
            let nonce = Nonce::load_or_create(&path).unwrap();
            assert_eq!(Nonce::load_or_create(&path).unwrap(), nonce, "{text:?}");
        }
    }

    #[test]
    fn a_nonce_that_cannot_be_kept_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("absent/nonce");
        let error = Nonce::load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}
