//! Queries for the server's own name, which the kernel answers.

use crate::{
    asked::{AskedEdns, QUESTION, QUESTION_AND_ONE, counts, is_opt, last_opt},
    checksum::Sum,
    dns::{DnsHdr, OPCODE, QR},
    hook::Walk,
};

/// A query for the server's own name: `id.server.` or `hostname.bind.` (RFC 4892 2), CH TXT, with OPT or alone.
///
/// One word, as it goes into a subprogram, and read without a branch: the verifier would follow each of its ways through
/// all that makes an answer.
///
/// ```text
/// |63     48|47      32|31         21|   20   |19                   0|
/// |    0    |   sum    |      0      |hostname|  OPT, as in `Asked`  |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64);

/// The questions that are answered in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `id.server.`
    IdServer,
    /// `hostname.bind.`
    HostnameBind,
}

const ID_SERVER: &[u8; 15] = b"\x02id\x06server\0\0\x10\0\x03";
const HOSTNAME_BIND: &[u8; 19] = b"\x08hostname\x04bind\0\0\x10\0\x03";

// An image is summed as from an odd offset, which it stands at behind a question of odd length.
const _: () = assert!(ID_SERVER.len() % 2 == 1 && HOSTNAME_BIND.len() % 2 == 1);

impl Identity {
    const HOSTNAME_BIND: u64 = 1 << 20;

    /// From the question, its folded sum in the letters of the requestor, and what OPT says.
    #[inline(always)]
    pub const fn new(question: Question, sum: u16, edns: Option<AskedEdns>) -> Self {
        let question = match question {
            Question::IdServer => 0,
            Question::HostnameBind => Self::HOSTNAME_BIND,
        };
        Self((sum as u64) << 32 | question | AskedEdns::pack(edns))
    }

    /// From the word that went into a subprogram.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The word that goes into a subprogram.
    #[inline(always)]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// The folded sum of the question.
    #[inline(always)]
    pub const fn sum(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// What OPT says.
    #[inline(always)]
    pub const fn edns(self) -> Option<AskedEdns> {
        AskedEdns::unpack(self.0)
    }

    /// The UDP payload size that the requestor takes, as it says it; 0 without OPT.
    #[inline(always)]
    pub(crate) const fn udp_size(self) -> u16 {
        self.0 as u16
    }

    /// OPT records: 1 or 0.
    #[inline(always)]
    pub(crate) const fn opts(self) -> u8 {
        (self.0 >> AskedEdns::SOME.trailing_zeros() & 1) as u8
    }

    /// Whether the version of EDNS is above 0.
    #[inline(always)]
    pub(crate) const fn later_version(self) -> bool {
        self.0 & AskedEdns::LATER != 0
    }

    /// Whether NSID is asked for.
    #[inline(always)]
    pub(crate) const fn nsid(self) -> bool {
        self.0 & AskedEdns::NSID != 0
    }

    /// Which [image](crate::image::Variant) answers it, by its number.
    #[inline(always)]
    pub(crate) const fn variant(self) -> u32 {
        let dnssec_ok = (self.0 >> AskedEdns::DO.trailing_zeros() & 1) as u32;
        let nsid = (self.0 >> AskedEdns::NSID.trailing_zeros() & 1) as u32;
        self.opts() as u32 + dnssec_ok + 2 * nsid
    }

    /// Bytes that the question of `hostname.bind.` has more: 4 or 0.
    #[inline(always)]
    const fn longer(self) -> usize {
        (self.0 >> (Self::HOSTNAME_BIND.trailing_zeros() - 2) & 4) as usize
    }

    /// Bytes of the question, type and class included.
    #[inline(always)]
    pub(crate) const fn question_len(self) -> usize {
        ID_SERVER.len() + self.longer()
    }

    /// Offsets of three parts of eight bytes, which overlap and are the question.
    #[inline(always)]
    pub(crate) const fn question_parts(self) -> [usize; 3] {
        [0, 7 + self.longer() / 4, 7 + self.longer()]
    }
}

const _: () = assert!(HOSTNAME_BIND.len() == ID_SERVER.len() + 4);

/// The query in `start..end`, if it is one for the server's own name, in letters of any case.
#[inline(always)]
pub fn identity<W: Walk>(message: &W, start: usize, end: usize) -> Option<Identity> {
    if !begins(message, start) {
        return None;
    }
    let at = start + DnsHdr::LEN;
    let (question, len, sum) = identity_question(message, at)?;
    let edns = match counts(message, start)? {
        QUESTION if at + len == end => None,
        QUESTION_AND_ONE if is_opt(message, at + len)? => Some(last_opt(message, at + len, end)?),
        _ => return None,
    };
    Some(Identity::new(question, sum, edns))
}

/// Whether the message at `start` may be a query for the server's own name: eight bytes of its question are.
#[inline(always)]
pub fn begins<W: Walk>(message: &W, start: usize) -> bool {
    let Some([flags]) = message.load(start + 2) else { return false };
    let Some(first) = message.load(start + DnsHdr::LEN) else { return false };
    flags & (QR | OPCODE) == 0 && (is(first, ID_SERVER, 0) || is(first, HOSTNAME_BIND, 0))
}

/// The question at `at`, which [begins](begins) as one for the server's own name, if it is, its length and its sum.
///
/// Eight bytes at a time, the last overlapping.
#[inline(always)]
fn identity_question<W: Walk>(message: &W, at: usize) -> Option<(Question, usize, u16)> {
    let first: [u8; 8] = message.load(at)?;
    if is(first, ID_SERVER, 0) {
        let last: [u8; 8] = message.load(at + 7)?;
        let rest = u64::from_le_bytes(last) >> 8;
        let sum = Sum::default().words4(first).words4(rest.to_le_bytes()).fold();
        return if is(last, ID_SERVER, 7) { Some((Question::IdServer, ID_SERVER.len(), sum)) } else { None };
    }
    let (middle, last): ([u8; 8], [u8; 8]) = (message.load(at + 8)?, message.load(at + 11)?);
    let rest = u64::from_le_bytes(last) >> 40;
    let sum = Sum::default().words4(first).words4(middle).words4(rest.to_le_bytes()).fold();
    let same = is(middle, HOSTNAME_BIND, 8) && is(last, HOSTNAME_BIND, 11);
    if same { Some((Question::HostnameBind, HOSTNAME_BIND.len(), sum)) } else { None }
}

/// Whether eight bytes are those of a question from `at` on, but for the case of its letters.
#[inline(always)]
const fn is<const N: usize>(bytes: [u8; 8], question: &[u8; N], at: usize) -> bool {
    let (mut lower, mut letters) = ([0_u8; 8], [0_u8; 8]);
    let mut i = 0;
    while i < 8 {
        lower[i] = question[at + i];
        if lower[i].is_ascii_lowercase() {
            letters[i] = 0x20;
        }
        i += 1;
    }
    u64::from_le_bytes(bytes) | u64::from_le_bytes(letters) == u64::from_le_bytes(lower)
}
