//! What a query asks: its EDNS.

use crate::{
    dns::{
        Compression, DNSSEC_OK, DnsHdr, Edns, MAX_LABEL, Message, OPTION_FIXED, OPTION_NSID, QUESTION_FIXED,
        RECORD_FIXED, TYPE_OPT,
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

/// OPT of a query, in the bits of a word that are its own.
impl AskedEdns {
    pub(crate) const SOME: u64 = 1 << 16;
    pub(crate) const LATER: u64 = 1 << 17;
    pub(crate) const DO: u64 = 1 << 18;
    pub(crate) const NSID: u64 = 1 << 19;

    #[inline(always)]
    pub(crate) const fn pack(edns: Option<Self>) -> u64 {
        let Some(Self { udp_size, later_version, dnssec_ok, nsid }) = edns else { return 0 };
        let mut word = udp_size as u64 | Self::SOME;
        word |= if later_version { Self::LATER } else { 0 };
        word |= if dnssec_ok { Self::DO } else { 0 };
        word | if nsid { Self::NSID } else { 0 }
    }

    #[inline(always)]
    pub(crate) const fn unpack(word: u64) -> Option<Self> {
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

/// QDCOUNT, ANCOUNT, NSCOUNT and ARCOUNT.
#[inline(always)]
pub(crate) fn counts<W: Walk>(message: &W, start: usize) -> Option<u64> {
    message.load(start + 4).map(u64::from_be_bytes)
}

/// Whether the record at `at` is OPT: of the root, and of that type.
#[inline(always)]
pub(crate) fn is_opt<W: Walk>(message: &W, at: usize) -> Option<bool> {
    let [owner]: [u8; 1] = message.load(at)?;
    let rtype: [u8; 2] = message.load(at + 1)?;
    Some(owner == 0 && u16::from_be_bytes(rtype) == TYPE_OPT)
}

/// What OPT at `opt` says, which ends the message at `end`; `None`: it does not, or is malformed.
#[inline(always)]
pub(crate) fn last_opt<W: Walk>(message: &W, opt: usize, end: usize) -> Option<AskedEdns> {
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
pub(crate) const QUESTION: u64 = 0x0001_0000_0000_0000;
pub(crate) const QUESTION_AND_ONE: u64 = 0x0001_0000_0000_0001;
