//! What a query asks: its EDNS, and whether it is for the server's own name.

use crate::{
    checksum::Sum,
    dns::{
        Compression, DNSSEC_OK, DnsHdr, Edns, MAX_LABEL, Message, OPCODE, OPTION_FIXED, OPTION_NSID, QR,
        QUESTION_FIXED, RECORD_FIXED, TYPE_OPT,
    },
    hook::Walk,
};

/// What a query asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// OPT and what it says.
    pub edns: Option<AskedEdns>,
    /// TSIG or SIG(0).
    pub signed: bool,
}

/// What a query's OPT says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedEdns {
    /// The UDP payload size that the requestor takes, as it says it.
    pub udp_size: u16,
    /// The version is above 0.
    pub later_version: bool,
    /// DO.
    pub dnssec_ok: bool,
    /// There is an NSID option, whatever is in it (RFC 5001 2.1).
    pub nsid: bool,
}

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

/// OPT of a query, in the bits of a word that are its own.
impl AskedEdns {
    const SOME: u64 = 1 << 16;
    const LATER: u64 = 1 << 17;
    const DO: u64 = 1 << 18;
    const NSID: u64 = 1 << 19;

    #[inline(always)]
    const fn pack(edns: Option<Self>) -> u64 {
        let Some(Self { udp_size, later_version, dnssec_ok, nsid }) = edns else { return 0 };
        let mut word = udp_size as u64 | Self::SOME;
        word |= if later_version { Self::LATER } else { 0 };
        word |= if dnssec_ok { Self::DO } else { 0 };
        word | if nsid { Self::NSID } else { 0 }
    }

    #[inline(always)]
    const fn unpack(word: u64) -> Option<Self> {
        if word & Self::SOME == 0 {
            return None;
        }
        Some(Self {
            udp_size: word as u16,
            later_version: word & Self::LATER != 0,
            dnssec_ok: word & Self::DO != 0,
            nsid: word & Self::NSID != 0,
        })
    }
}

impl Asked {
    const SIGNED: u64 = 1 << 20;

    /// As one word, which is how it leaves a subprogram.
    #[inline(always)]
    pub const fn pack(self) -> u64 {
        AskedEdns::pack(self.edns) | if self.signed { Self::SIGNED } else { 0 }
    }

    /// The inverse of [`pack`](Self::pack).
    #[inline(always)]
    pub const fn unpack(word: u64) -> Self {
        Self { edns: AskedEdns::unpack(word), signed: word & Self::SIGNED != 0 }
    }
}

/// What the query in `start..end` asks, whatever its question is; `None`: malformed.
///
/// Most queries have no record at all, or OPT alone: those are not walked.
#[inline(always)]
pub fn asked<W: Walk>(message: &W, start: usize, end: usize) -> Option<Asked> {
    match counts(message, start)? {
        QUESTION => Some(Asked { edns: None, signed: false }),
        QUESTION_AND_ONE => {
            let opt = behind_name(message, start + DnsHdr::LEN)? + QUESTION_FIXED;
            if !is_opt(message, opt)? {
                return walked(message, start, end);
            }
            Some(Asked { edns: Some(last_opt(message, opt, end)?), signed: false })
        }
        _ => walked(message, start, end),
    }
}

/// The query in `start..end`, if it is one for the server's own name, in letters of any case.
#[inline(always)]
pub fn identity<W: Walk>(message: &W, start: usize, end: usize) -> Option<Identity> {
    if !begins_identity(message, start) {
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
pub fn begins_identity<W: Walk>(message: &W, start: usize) -> bool {
    let Some([flags]) = message.load(start + 2) else { return false };
    let Some(first) = message.load(start + DnsHdr::LEN) else { return false };
    flags & (QR | OPCODE) == 0 && (is(first, ID_SERVER, 0) || is(first, HOSTNAME_BIND, 0))
}

/// QDCOUNT, ANCOUNT, NSCOUNT and ARCOUNT.
#[inline(always)]
fn counts<W: Walk>(message: &W, start: usize) -> Option<u64> {
    message.load(start + 4).map(u64::from_be_bytes)
}

/// Whether the record at `at` is OPT: of the root, and of that type.
#[inline(always)]
fn is_opt<W: Walk>(message: &W, at: usize) -> Option<bool> {
    let [owner]: [u8; 1] = message.load(at)?;
    let rtype: [u8; 2] = message.load(at + 1)?;
    Some(owner == 0 && u16::from_be_bytes(rtype) == TYPE_OPT)
}

/// What OPT at `opt` says, which ends the message at `end`; `None`: it does not, or is malformed.
#[inline(always)]
fn last_opt<W: Walk>(message: &W, opt: usize, end: usize) -> Option<AskedEdns> {
    let rdata = opt + 1 + RECORD_FIXED;
    let rdlength: [u8; 2] = message.load(rdata - 2)?;
    if rdata + u16::from_be_bytes(rdlength) as usize != end {
        return None;
    }
    let nsid = rdata != end && first_nsid(message, rdata, end)? != end;
    edns(message, rdata, nsid)
}

/// The offset behind the name at `start`: that of a few labels without a call.
#[inline(always)]
fn behind_name<W: Walk>(message: &W, start: usize) -> Option<usize> {
    /// Of 63 bytes each, they would not make the name too long.
    const LABELS: usize = 3;
    let mut at = start;
    let mut label = 0;
    while label <= LABELS {
        let [length]: [u8; 1] = message.load(at)?;
        if length == 0 {
            return Some(at + 1);
        }
        if length > MAX_LABEL {
            return None;
        }
        at += 1 + length as usize;
        label += 1;
    }
    message.skip_name(start, Compression::Forbidden)
}

/// As [`Walk::find_nsid`], of a query's options, without a call where it stands first, as it often does.
#[inline(always)]
pub(crate) fn first_nsid<W: Walk>(message: &W, start: usize, end: usize) -> Option<usize> {
    let first: [u8; OPTION_FIXED] = message.load(start)?;
    if first == NSID && start + OPTION_FIXED <= end { Some(start) } else { message.find_nsid(start, end) }
}

/// An NSID option as a query has it: without data (RFC 5001 2.1).
const NSID: [u8; OPTION_FIXED] = [0, OPTION_NSID as u8, 0, 0];

/// A query with other records than OPT alone: never answered by the kernel.
#[inline(always)]
fn walked<W: Walk>(message: &W, start: usize, end: usize) -> Option<Asked> {
    let none = Asked { edns: None, signed: false };
    match message.walk(start, end)? {
        Message::Signed => Some(Asked { signed: true, ..none }),
        Message::Plain => Some(none),
        Message::Edns(Edns { rdata, nsid, .. }) => {
            Some(Asked { edns: Some(edns(message, rdata, nsid.is_some())?), ..none })
        }
    }
}

/// What stands between the type and RDLENGTH of OPT (RFC 6891 6.1.3).
///
/// ```text
///  0              16       24        32               48
/// |  UDP size      | RCODE  | VERSION |DO|     Z       |
/// ```
#[inline(always)]
fn edns<W: Walk>(message: &W, rdata: usize, nsid: bool) -> Option<AskedEdns> {
    let fixed: [u8; 8] = message.load(rdata - 8)?;
    let fixed = u64::from_be_bytes(fixed);
    Some(AskedEdns {
        udp_size: (fixed >> 48) as u16,
        later_version: (fixed >> 32) as u8 != 0,
        dnssec_ok: (fixed >> 24) as u8 & DNSSEC_OK != 0,
        nsid,
    })
}

/// QDCOUNT, ANCOUNT, NSCOUNT and ARCOUNT of a question alone, and with one additional record.
const QUESTION: u64 = 0x0001_0000_0000_0000;
const QUESTION_AND_ONE: u64 = 0x0001_0000_0000_0001;

/// The question at `at`, which [begins](begins_identity) as one for the server's own name, if it is, its length and its sum.
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
