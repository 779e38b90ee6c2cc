//! What a query asks: its EDNS, and whether it is for the server's own name.

use crate::{
    checksum::Sum,
    dns::{
        Compression, DNSSEC_OK, DnsHdr, Edns, Message, OPCODE, QR, QUESTION_FIXED, RECORD_FIXED, TYPE_OPT,
    },
    hook::Walk,
};

/// What a query asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// OPT and what it says.
    pub edns: Option<AskedEdns>,
    /// A question for the server's own name.
    pub identity: Option<Identity>,
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

/// `id.server.` or `hostname.bind.` (RFC 4892 2), CH TXT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which of them.
    pub question: Question,
    /// The folded sum of the question, in the letters of the requestor.
    pub sum: u16,
}

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

impl Question {
    /// Bytes, type and class included.
    #[inline(always)]
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::IdServer => ID_SERVER.len(),
            Self::HostnameBind => HOSTNAME_BIND.len(),
        }
    }
}

impl Asked {
    const EDNS: u64 = 1 << 32;
    const LATER: u64 = 1 << 33;
    const DO: u64 = 1 << 34;
    const NSID: u64 = 1 << 35;
    const SIGNED: u64 = 1 << 36;
    const ID_SERVER: u64 = 1 << 37;
    const HOSTNAME_BIND: u64 = 1 << 38;

    /// As one word, which is how it leaves a subprogram.
    #[inline(always)]
    pub const fn pack(self) -> u64 {
        let mut word = if self.signed { Self::SIGNED } else { 0 };
        if let Some(AskedEdns { udp_size, later_version, dnssec_ok, nsid }) = self.edns {
            word |= udp_size as u64 | Self::EDNS;
            word |= if later_version { Self::LATER } else { 0 };
            word |= if dnssec_ok { Self::DO } else { 0 };
            word |= if nsid { Self::NSID } else { 0 };
        }
        if let Some(Identity { question, sum }) = self.identity {
            word |= (sum as u64) << 16;
            word |= match question {
                Question::IdServer => Self::ID_SERVER,
                Question::HostnameBind => Self::HOSTNAME_BIND,
            };
        }
        word
    }

    /// The inverse of [`pack`](Self::pack).
    #[inline(always)]
    pub const fn unpack(word: u64) -> Self {
        let sum = (word >> 16) as u16;
        Self {
            edns: if word & Self::EDNS != 0 {
                Some(AskedEdns {
                    udp_size: word as u16,
                    later_version: word & Self::LATER != 0,
                    dnssec_ok: word & Self::DO != 0,
                    nsid: word & Self::NSID != 0,
                })
            } else {
                None
            },
            identity: if word & Self::ID_SERVER != 0 {
                Some(Identity { question: Question::IdServer, sum })
            } else if word & Self::HOSTNAME_BIND != 0 {
                Some(Identity { question: Question::HostnameBind, sum })
            } else {
                None
            },
            signed: word & Self::SIGNED != 0,
        }
    }
}

/// What the query in `start..end` asks; `None`: malformed.
///
/// Most queries have no record at all, or OPT alone: those are not walked. Whether the question is for the server's own
/// name is looked at last: the verifier follows each way in which it is not from there on.
#[inline(always)]
pub fn asked<W: Walk>(message: &W, start: usize, end: usize) -> Option<Asked> {
    let counts: [u8; 8] = message.load(start + 4)?;
    let question = start + DnsHdr::LEN;
    let (edns, behind) = match u64::from_be_bytes(counts) {
        QUESTION => (None, end),
        QUESTION_AND_ONE => {
            let opt = message.skip_name(question, Compression::Forbidden)? + QUESTION_FIXED;
            // The owner, which is the root, and the type.
            let [owner]: [u8; 1] = message.load(opt)?;
            let rtype: [u8; 2] = message.load(opt + 1)?;
            if owner != 0 || u16::from_be_bytes(rtype) != TYPE_OPT {
                return walked(message, start, end);
            }
            let rdata = opt + 1 + RECORD_FIXED;
            let rdlength: [u8; 2] = message.load(rdata - 2)?;
            if rdata + u16::from_be_bytes(rdlength) as usize != end {
                return None;
            }
            let nsid = rdata != end && message.find_nsid(rdata, end)? != end;
            (Some(edns(message, rdata, nsid)?), opt)
        }
        _ => return walked(message, start, end),
    };
    let [flags]: [u8; 1] = message.load(start + 2)?;
    let identity = if flags & (QR | OPCODE) == 0 { identity(message, question, behind) } else { None };
    Some(Asked { edns, identity, signed: false })
}

/// A query with other records than OPT alone: never answered by the kernel.
#[inline(always)]
fn walked<W: Walk>(message: &W, start: usize, end: usize) -> Option<Asked> {
    let none = Asked { edns: None, identity: None, signed: false };
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

/// The question in `at..end`, if it is for the server's own name, in letters of any case.
///
/// Eight bytes at a time, the last overlapping.
#[inline(always)]
fn identity<W: Walk>(message: &W, at: usize, end: usize) -> Option<Identity> {
    let first: [u8; 8] = message.load(at)?;
    if is(first, ID_SERVER, 0) {
        let last: [u8; 8] = message.load(at + 7)?;
        if !is(last, ID_SERVER, 7) || at + ID_SERVER.len() != end {
            return None;
        }
        let rest = u64::from_le_bytes(last) >> 8;
        let sum = Sum::default().words4(first).words4(rest.to_le_bytes()).fold();
        return Some(Identity { question: Question::IdServer, sum });
    }
    if is(first, HOSTNAME_BIND, 0) {
        let (middle, last): ([u8; 8], [u8; 8]) = (message.load(at + 8)?, message.load(at + 11)?);
        if !is(middle, HOSTNAME_BIND, 8) || !is(last, HOSTNAME_BIND, 11) || at + HOSTNAME_BIND.len() != end {
            return None;
        }
        let rest = u64::from_le_bytes(last) >> 40;
        let sum = Sum::default().words4(first).words4(middle).words4(rest.to_le_bytes()).fold();
        return Some(Identity { question: Question::HostnameBind, sum });
    }
    None
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
