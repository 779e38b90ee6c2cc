//! What NSID holds, as a person gives it: the name, bytes, or an HMAC of the name.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::hex::{bytes, digits};

/// What NSID holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Nsid {
    /// The name.
    #[default]
    Name,
    /// These bytes, whatever the name.
    Hex(Vec<u8>),
    /// An HMAC of the name, under the key in a file.
    Hmac(PathBuf),
}

/// Bytes that may be given: as hexadecimal digits, they have to fit where a name does.
const BYTES_MAX: usize = nsid_common::image::MAX_NODE_NAME / 2;

impl FromStr for Nsid {
    type Err = NsidError;

    fn from_str(text: &str) -> Result<Self, NsidError> {
        match text.split_once(':') {
            None if text == "name" => Ok(Self::Name),
            Some(("hex", digits)) => match bytes(digits) {
                Some(bytes) if (1..=BYTES_MAX).contains(&bytes.len()) => Ok(Self::Hex(bytes)),
                Some(_) | None => Err(NsidError::Hex { digits: digits.to_owned() }),
            },
            Some(("hmac", file)) if file.starts_with('/') => Ok(Self::Hmac(file.into())),
            Some(("hmac", file)) => Err(NsidError::Relative { file: file.to_owned() }),
            Some(_) | None => Err(NsidError::Unknown { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Nsid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("name"),
            Self::Hex(bytes) => write!(f, "hex:{}", digits(bytes)),
            Self::Hmac(file) => write!(f, "hmac:{}", file.display()),
        }
    }
}

/// Why a text is no [`Nsid`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NsidError {
    /// No bytes, or too many.
    #[error("hex:{digits} is not 1 to {BYTES_MAX} bytes of two hexadecimal digits each, such as hex:6e7331")]
    Hex {
        /// What stands for them.
        digits: String,
    },
    /// A path that means something else to the agent than to who gives it.
    #[error("the key file {file:?} is no whole path; write hmac:/etc/nsid/key, say")]
    Relative {
        /// The path.
        file: String,
    },
    /// None of the forms.
    #[error("unknown form {text:?} of the NSID; the forms are name, hex:DIGITS and hmac:FILE")]
    Unknown {
        /// The text.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_nsid_is_the_name_or_bytes_or_an_hmac() {
        for text in ["name", "hex:6e7331", "hex:00", "hmac:/etc/nsid/key"] {
            assert_eq!(text.parse::<Nsid>().map(|nsid| nsid.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("hex:FFa0".parse(), Ok(Nsid::Hex(vec![0xff, 0xa0])));
        assert!(format!("hex:{}", "00".repeat(BYTES_MAX)).parse::<Nsid>().is_ok());
        let long = format!("hex:{}", "00".repeat(BYTES_MAX + 1));
        for text in ["hex:", "hex:0", "hex:0g", "hex:+1", "hex:ä", &long] {
            assert!(matches!(text.parse::<Nsid>(), Err(NsidError::Hex { .. })), "{text}");
        }
        for text in ["hmac:", "hmac:key"] {
            assert!(matches!(text.parse::<Nsid>(), Err(NsidError::Relative { .. })), "{text}");
        }
        for text in ["", "Name", "hex", "hmac", "sha256:/key"] {
            assert!(matches!(text.parse::<Nsid>(), Err(NsidError::Unknown { .. })), "{text}");
        }
    }
}
