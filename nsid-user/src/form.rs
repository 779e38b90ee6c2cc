//! What is said in the place of a name: the name, bytes given by hand, or an HMAC of the name.
//!
//! `id.server.` says the same as NSID does, bytes as hexadecimal digits: who hides the name in the one would give it
//! away in the other.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use hmac::{Hmac, KeyInit, Mac};
use nsid_common::image;
use sha2::Sha256;
use thiserror::Error;

use crate::{
    config::{Nsid, Period},
    hex::{bytes, digits},
    host::text_file::{self, TextFileError},
    name::NodeName,
};

/// Bytes of an HMAC that are said: half of them, which is as few as RFC 2104 5 recommends.
const SAID: usize = 16;

/// What is said in the place of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The name.
    #[default]
    Name,
    /// These bytes.
    Bytes(Vec<u8>),
    /// The HMAC-SHA256 of `NAME/N` under the key, cut to half, where N is the number of the period since 1970.
    Hmac {
        /// The key.
        key: Key,
        /// How long a period is.
        period: Period,
    },
}

/// A key, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl Key {
    /// Bytes that a key may have: of less, too little is secret (RFC 2104 3); more are hashed down by HMAC.
    const BYTES: std::ops::RangeInclusive<usize> = SAID..=64;

    /// Bytes of its file, with digits of their own and white space around them.
    const FILE_MAX: u64 = 4096;

    fn load(path: &Path) -> Result<Self, FormError> {
        let text = text_file::read(path, Self::FILE_MAX)
            .map_err(|source| FormError::Unreadable { path: path.to_owned(), source })?;
        let digits = str::from_utf8(text.trim_ascii()).ok();
        let key = digits.and_then(bytes).filter(|key| Self::BYTES.contains(&key.len()));
        key.map(Self).ok_or_else(|| FormError::NoKey { path: path.to_owned() })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Why there is no key.
#[derive(Debug, Error)]
pub enum FormError {
    /// Its file cannot be read.
    #[error("nsid: cannot read the key file {}: {source}; name one that this user may read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: TextFileError,
    },
    /// Its file holds something else.
    #[error(
        "nsid: {} does not hold a key, which is 16 to 64 bytes of two hexadecimal digits each; make one with \
         `openssl rand -hex 32`",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
}

/// A name, and what is said in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    name: NodeName,
    nsid: Vec<u8>,
    text: Vec<u8>,
}

impl Wording {
    /// As it is written into images.
    pub fn parts(&self) -> image::Said<'_> {
        image::Said { name: self.name.as_str().as_bytes(), nsid: &self.nsid, text: &self.text }
    }
}

impl Form {
    /// That which a person gave, with what its file holds.
    pub fn load(nsid: &Nsid, period: Period) -> Result<Self, FormError> {
        Ok(match nsid {
            Nsid::Name => Self::Name,
            Nsid::Hex(bytes) => Self::Bytes(bytes.clone()),
            Nsid::Hmac(path) => Self::Hmac { key: Key::load(path)?, period },
        })
    }

    /// The same with periods of that length: no file is read again.
    #[must_use]
    pub fn with_period(self, period: Period) -> Self {
        match self {
            Self::Hmac { key, .. } => Self::Hmac { key, period },
            other => other,
        }
    }

    /// What is said of a name at that time.
    pub fn of(&self, name: &NodeName, now: SystemTime) -> Wording {
        let by_digits =
            |nsid: Vec<u8>| Wording { name: name.clone(), text: digits(&nsid).into_bytes(), nsid };
        match self {
            Self::Name => {
                let bytes = name.as_str().as_bytes().to_vec();
                Wording { name: name.clone(), nsid: bytes.clone(), text: bytes }
            }
            Self::Bytes(bytes) => by_digits(bytes.clone()),
            Self::Hmac { key, period } => {
                let number = since_1970(now).as_secs() / period.seconds();
                let mut hmac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes keys of any length");
                hmac.update(format!("{name}/{number}").as_bytes());
                by_digits(hmac.finalize().into_bytes()[..SAID].to_vec())
            }
        }
    }

    /// How long what is said of a name at that time stays so; `None`: for ever.
    pub fn lasts(&self, now: SystemTime) -> Option<Duration> {
        let Self::Hmac { period, .. } = self else { return None };
        let (now, period) = (since_1970(now), period.seconds());
        Some(Duration::from_secs((now.as_secs() / period + 1) * period).saturating_sub(now))
    }
}

/// A clock before 1970 is one that nobody set.
fn since_1970(now: SystemTime) -> Duration {
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn a_key_is_in_a_regular_file_or_nowhere() {
        let error = Key::load(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.contains("/dev/zero: it is a device"), "{error}");
    }

    fn hmac() -> Form {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, format!("{KEY}\n")).unwrap();
        Form::load(&Nsid::Hmac(path), Period::default()).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// `printf %s ns1.example.net/20000 | openssl dgst -sha256 -mac HMAC -macopt hexkey:$KEY`
    #[test]
    fn an_hmac_is_what_openssl_makes_of_name_and_period() {
        let name = "ns1.example.net".parse().unwrap();
        let said = hmac().of(&name, at(20_000 * 86_400 + 7));
        assert_eq!(digits(&said.nsid), "92dae9bb980055ba47b5b1c93bc01361");
        assert_eq!(said.text, digits(&said.nsid).as_bytes());
    }

    #[test]
    fn an_hmac_is_another_for_another_name_and_in_another_period() {
        let (form, name) = (hmac(), "ns1.example.net".parse().unwrap());
        let first = form.of(&name, at(86_400));
        assert_eq!(form.of(&name, at(2 * 86_400 - 1)), first);
        assert_ne!(form.of(&name, at(2 * 86_400)).nsid, first.nsid);
        assert_ne!(form.of(&"ns2.example.net".parse().unwrap(), at(86_400)).nsid, first.nsid);
        assert_eq!(form.lasts(at(86_400)), Some(Duration::from_hours(24)));
        assert_eq!(form.lasts(at(2 * 86_400 - 1)), Some(Duration::from_secs(1)));
    }

    #[test]
    fn bytes_are_said_as_digits_in_text_and_a_name_as_it_is() {
        let name = "ns1".parse().unwrap();
        let bytes = Form::Bytes(vec![0, 0xff]).of(&name, at(0));
        assert_eq!((bytes.nsid, bytes.text), (vec![0, 0xff], b"00ff".to_vec()));
        let said = Form::Name.of(&name, at(0));
        assert_eq!((said.nsid, said.text), (b"ns1".to_vec(), b"ns1".to_vec()));
        assert_eq!(Form::Name.lasts(at(0)), None);
    }

    #[test]
    fn a_key_is_enough_digits_and_is_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let load = || Form::load(&Nsid::Hmac(path.clone()), Period::default());
        assert!(matches!(load(), Err(FormError::Unreadable { .. })));
        for text in ["", "secret", &KEY[..30], &KEY[..33], &KEY.repeat(3)] {
            fs::write(&path, text).unwrap();
            let error = load().unwrap_err().to_string();
            assert!(error.contains("openssl rand") && (text.is_empty() || !error.contains(text)), "{error}");
        }
        fs::write(&path, KEY).unwrap();
        assert!(!format!("{:?}", load().unwrap()).contains("0, 1, 2"));
    }
}
