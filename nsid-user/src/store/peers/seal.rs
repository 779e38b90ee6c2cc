//! What goes on the wire: messages sealed under the cluster's key (XChaCha20-Poly1305), or plain ones where there is none.
//!
//! The nonce is drawn by chance for each message: 192 bits are enough for that, however many are sent. A message that is
//! sent again by a stranger is opened again; that it changes nothing is [`nsid_peers`]'s matter. What a witness says is
//! sealed together with its address: sent again in the name of another witness, it would be that one's voice.
//!
//! ```text
//! 0 MESSAGE                       plain
//! 1 NONCE (24 bytes) SEALED       MESSAGE of a claimant, and 16 bytes that tell whether it is as it was sent
//! 2                               an answer to what could not be opened, or that was not sealed
//! 3 NONCE (24 bytes) SEALED       MESSAGE of the witness at the address that it comes from, and those 16 bytes
//! ```

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use nsid_peers::{DecodeError, MAX_BYTES, Message};

use super::quorum::is_near;
use crate::hex::bytes;
use crate::host::text_file::{self, TextFileError};

/// Bytes of a nonce.
const NONCE_LEN: usize = 24;

/// Bytes of what tells whether a message is as it was sent.
const TAG_LEN: usize = 16;

/// Bytes by which a message is longer when it is sealed.
const OVERHEAD: usize = 1 + NONCE_LEN + TAG_LEN;

/// The longest datagram.
pub(super) const MAX_DATAGRAM: usize = MAX_BYTES + OVERHEAD;

const PLAIN: u8 = 0;
const SEALED: u8 = 1;
const SEALED_BY_WITNESS: u8 = 3;

/// An answer to what could not be opened: shorter than anything that it answers.
pub(super) const CANNOT_OPEN: &[u8] = &[2];

/// What the nodes of a cluster have in common, and nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterKey([u8; 32]);

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(..)")
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum ClusterKeyError {
    /// Its file cannot be read.
    #[error("{}: {source}; name a file that this user may read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: TextFileError,
    },
    /// There is something else in it.
    #[error(
        "{} does not hold a key, which is 32 bytes of two hexadecimal digits each; make one with `openssl rand -hex 32`, and \
         give every node the same",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
}

impl ClusterKey {
    /// The one that the file holds.
    pub fn load(path: &Path) -> Result<Self, ClusterKeyError> {
        /// What an editor may add to 64 digits.
        const MOST: u64 = 80;
        let text = text_file::read(path, MOST)
            .map_err(|source| ClusterKeyError::File { path: path.to_owned(), source })?;
        let key = std::str::from_utf8(&text).ok().and_then(|text| bytes(text.trim())?.try_into().ok());
        key.map(Self).ok_or_else(|| ClusterKeyError::NoKey { path: path.to_owned() })
    }

    #[cfg(test)]
    pub(super) fn for_tests(byte: u8) -> Self {
        Self([byte; 32])
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0.into())
    }
}

/// Why a datagram is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OpenError {
    /// It is sealed under another key, or one of the two nodes has none.
    #[error(
        "it is not sealed under the key of this node; give all nodes of the cluster the same --cluster-key-file"
    )]
    Key,
    /// The other node says so of what it was sent.
    #[error("it cannot open what this node sends; give all nodes of the cluster the same --cluster-key-file")]
    Theirs,
    /// It is plain, and comes from where strangers are.
    #[error("it is not sealed, and comes from an address that is not private")]
    Stranger,
    /// It is no message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// As it is sent, by a witness at that address if it is one. Nothing: it is too long, or the kernel has no random numbers.
pub(super) fn seal(message: &Message, key: Option<&ClusterKey>, at: Option<SocketAddr>) -> Option<Vec<u8>> {
    let text = message.encode()?;
    let Some(key) = key else { return Some([&[PLAIN][..], &text].concat()) };
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).ok()?;
    let seal = if at.is_some() { SEALED_BY_WITNESS } else { SEALED };
    let payload = Payload { msg: &text, aad: &associated_data(seal, at) };
    let sealed = key.cipher().encrypt(&XNonce::from(nonce), payload).ok()?;
    Some([&[seal][..], &nonce, &sealed].concat())
}

/// From a datagram of that sender.
pub(super) fn open(
    datagram: &[u8],
    from: SocketAddr,
    key: Option<&ClusterKey>,
) -> Result<Message, OpenError> {
    match (datagram.split_first(), key) {
        (Some((&PLAIN, text)), None) if is_near(from.ip()) => Ok(Message::decode(text)?),
        (Some((&PLAIN, _)), None) => Err(OpenError::Stranger),
        (Some((seal @ (&SEALED | &SEALED_BY_WITNESS), sealed)), Some(key)) => {
            let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(DecodeError::Malformed)?;
            let at = (*seal == SEALED_BY_WITNESS).then_some(from);
            let payload = Payload { msg: sealed, aad: &associated_data(*seal, at) };
            let text = key.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| OpenError::Key)?;
            let message = Message::decode(&text)?;
            if is_of_a_witness(&message) != at.is_some() {
                return Err(DecodeError::Malformed.into());
            }
            Ok(message)
        }
        (Some((&PLAIN, _)), Some(_)) | (Some((&SEALED | &SEALED_BY_WITNESS, _)), None) => Err(OpenError::Key),
        _ if datagram == CANNOT_OPEN => Err(OpenError::Theirs),
        _ => Err(DecodeError::Malformed.into()),
    }
}

/// What is sealed with a message and not sent (RFC 8439 2.8).
fn associated_data(seal: u8, at: Option<SocketAddr>) -> Vec<u8> {
    let mut data = vec![seal];
    if let Some(at) = at {
        match at.ip().to_canonical() {
            IpAddr::V4(address) => data.extend(address.octets()),
            IpAddr::V6(address) => data.extend(address.octets()),
        }
        data.extend(at.port().to_be_bytes());
    }
    data
}

/// Whether only witnesses send such messages.
fn is_of_a_witness(message: &Message) -> bool {
    match message {
        Message::Reply(_) | Message::Call(_) | Message::Echo(_) | Message::Page(_) => true,
        Message::Request(_) | Message::Ask(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use nsid_peers::Ask;

    use super::*;

    const NEAR: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 7400);

    fn message() -> Message {
        Message::Ask(Ask { pool: "worker{id}.n5.test".into(), number: 7, from: 3 })
    }

    fn key(byte: u8) -> ClusterKey {
        ClusterKey::for_tests(byte)
    }

    #[test]
    fn a_message_is_opened_under_the_key_that_it_was_sealed_under_and_no_other() {
        let sealed = seal(&message(), Some(&key(1)), None).unwrap();
        assert_eq!(open(&sealed, NEAR, Some(&key(1))), Ok(message()));
        assert_eq!(open(&sealed, NEAR, Some(&key(2))), Err(OpenError::Key));
        assert_eq!(open(&sealed, NEAR, None), Err(OpenError::Key));
        assert_ne!(seal(&message(), Some(&key(1)), None), Some(sealed), "a nonce that comes twice");
        let plain = seal(&message(), None, None).unwrap();
        assert_eq!(open(&plain, NEAR, None), Ok(message()));
        assert_eq!(open(&plain, NEAR, Some(&key(1))), Err(OpenError::Key));
        assert_eq!(open(&plain, "192.0.2.1:7400".parse().unwrap(), None), Err(OpenError::Stranger));
    }

    #[test]
    fn what_a_witness_says_is_opened_as_that_ones_alone() {
        let key = key(1);
        let call = nsid_peers::Call {
            list: nsid_peers::List::new(vec![NEAR]).unwrap(),
            epoch: nsid_peers::Epoch(7),
            sent: nsid_peers::Time::default(),
        };
        let said = Message::Call(call);
        let sealed = seal(&said, Some(&key), Some(NEAR)).unwrap();
        assert_eq!(open(&sealed, NEAR, Some(&key)), Ok(said.clone()));
        for other in ["10.0.0.2:7400", "10.0.0.1:7401", "[2001:db8::1]:7400"] {
            assert_eq!(open(&sealed, other.parse().unwrap(), Some(&key)), Err(OpenError::Key), "{other}");
        }
        for (message, at) in [(said, None), (message(), Some(NEAR))] {
            let sealed = seal(&message, Some(&key), at).unwrap();
            assert_eq!(open(&sealed, NEAR, Some(&key)), Err(DecodeError::Malformed.into()), "{message:?}");
        }
    }

    #[test]
    fn a_bit_that_was_turned_on_the_way_is_found_wherever_it_is() {
        let sealed = seal(&message(), Some(&key(1)), None).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut turned = sealed.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&turned, NEAR, Some(&key(1))).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(open(&sealed[..length], NEAR, Some(&key(1))).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn what_answers_a_stranger_is_shorter_than_what_he_sent() {
        assert_eq!(open(CANNOT_OPEN, NEAR, None), Err(OpenError::Theirs));
        assert!(CANNOT_OPEN.len() < seal(&message(), None, None).unwrap().len());
    }

    #[test]
    fn a_key_is_64_digits_and_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        for (text, is_key) in
            [("1f".repeat(32) + "\n", true), ("1f".repeat(31), false), ("x".repeat(64), false)]
        {
            std::fs::write(&path, &text).unwrap();
            let loaded = ClusterKey::load(&path);
            assert_eq!(loaded.is_ok(), is_key, "{text}");
            assert!(!format!("{loaded:?}").contains("1f1f"));
        }
        assert!(matches!(ClusterKey::load(&dir.path().join("none")), Err(ClusterKeyError::File { .. })));
    }
}
