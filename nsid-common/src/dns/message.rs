//! A whole message with one question: where its OPT and NSID are, and whether it is signed.

use super::{Compression, DnsHdr, MAX_RECORDS, QUESTION_FIXED, Stop};
use crate::hook::Walk;

/// What a walk over a message found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message {
    /// With TSIG or SIG(0): nothing else is known of it.
    Signed,
    /// Without OPT.
    Plain,
    /// With OPT.
    Edns(Edns),
}

/// OPT, and what follows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edns {
    /// Offset of OPT's RDATA.
    pub rdata: usize,
    /// Offset of the first NSID option, if there is one.
    pub nsid: Option<usize>,
    /// OPT is the last record.
    pub last: bool,
}

impl Message {
    const SIGNED: u64 = 1 << 63;
    const LAST: u64 = 1 << 62;

    /// As one word, which is how it leaves a subprogram.
    #[inline(always)]
    pub const fn pack(self) -> u64 {
        match self {
            Self::Signed => Self::SIGNED,
            Self::Plain => 0,
            Self::Edns(Edns { rdata, nsid, last }) => {
                let nsid = match nsid {
                    Some(at) => at as u64,
                    None => 0,
                };
                rdata as u64 | nsid << 16 | if last { Self::LAST } else { 0 }
            }
        }
    }

    /// The inverse of [`pack`](Self::pack).
    #[inline(always)]
    pub const fn unpack(word: u64) -> Self {
        if word == 0 {
            return Self::Plain;
        }
        if word & Self::SIGNED != 0 {
            return Self::Signed;
        }
        let nsid = (word >> 16) as usize & 0xffff;
        Self::Edns(Edns {
            rdata: word as usize & 0xffff,
            nsid: if nsid == 0 { None } else { Some(nsid) },
            last: word & Self::LAST != 0,
        })
    }
}

/// Walks the message in `start..end`.
///
/// `None`: it is malformed, does not end at `end`, does not have one question, has a second OPT or one of another section,
/// or has more records or options than are looked through.
#[inline(always)]
pub fn walk<W: Walk>(message: &W, start: usize, end: usize) -> Option<Message> {
    let counts: [u8; 8] = message.load(start + 4)?;
    let counts = u64::from_be_bytes(counts);
    if counts >> 48 != 1 {
        return None;
    }
    let additional = (counts as u16) as usize;
    let records = ((counts >> 32) as u16) as usize + ((counts >> 16) as u16) as usize + additional;
    if records > MAX_RECORDS {
        return None;
    }
    let question = message.skip_name(start + DnsHdr::LEN, Compression::Forbidden)? + QUESTION_FIXED;
    let (rdata, left) = match message.skip_records(question, records)? {
        Stop::Signed => return Some(Message::Signed),
        Stop::End(at) => return if at == end { Some(Message::Plain) } else { None },
        // RFC 6891 6.1.1: OPT is in the additional section.
        Stop::Opt(_, left) if left >= additional => return None,
        Stop::Opt(rdata, left) => (rdata, left),
    };
    let rdlength: [u8; 2] = message.load(rdata - 2)?;
    let opt_end = rdata + u16::from_be_bytes(rdlength) as usize;
    let nsid = message.find_nsid(rdata, opt_end)?;
    if left != 0 {
        match message.skip_records(opt_end, left)? {
            Stop::Signed => return Some(Message::Signed),
            Stop::Opt(..) => return None,
            Stop::End(at) => {
                if at != end {
                    return None;
                }
            }
        }
    } else if opt_end != end {
        return None;
    }
    Some(Message::Edns(Edns {
        rdata,
        nsid: if nsid == opt_end { None } else { Some(nsid) },
        last: left == 0,
    }))
}
