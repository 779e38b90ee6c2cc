//! Resource records (RFC 1035 4.1.3): skipped, up to one that matters.

use super::{Compression, RECORD_FIXED, TYPE_OPT, TYPE_SIG, TYPE_TSIG};
use crate::hook::Walk;

/// Records that are looked through in one message.
///
/// A message that fits the usual MTU of 1500 has room for 132 of the shortest, which have 11 bytes.
pub const MAX_RECORDS: usize = 160;

/// Where a walk over records stopped, and how many records were left then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// Behind the last record, at this offset.
    End(usize),
    /// At OPT; the offset is that of its RDATA.
    Opt(usize, usize),
    /// At a TSIG or SIG(0).
    Signed,
}

impl Stop {
    const SIGNED: u64 = 1 << 63;
    const OPT: u64 = 1 << 62;

    /// As one word, which is how it leaves a subprogram.
    #[inline(always)]
    pub const fn pack(self) -> u64 {
        match self {
            Self::End(at) => at as u64,
            Self::Opt(rdata, left) => rdata as u64 | (left as u64) << 32 | Self::OPT,
            Self::Signed => Self::SIGNED,
        }
    }

    /// The inverse of [`pack`](Self::pack).
    #[inline(always)]
    pub const fn unpack(word: u64) -> Self {
        if word >> 32 == 0 {
            return Self::End(word as usize);
        }
        if word & Self::OPT != 0 {
            return Self::Opt(word as usize & 0x7fff_ffff, (word >> 32) as usize & 0xffff);
        }
        Self::Signed
    }
}

/// Behind or at the record at `at`.
///
/// The owner is told apart by branches, not by arithmetic: the CPU guesses them and does not wait for the byte.
#[inline(always)]
pub fn skip<W: Walk>(message: &W, at: usize) -> Option<Stop> {
    let [length] = message.load(at)?;
    let fixed = if length >= 0xc0 {
        at + 2
    } else if length == 0 {
        at + 1
    } else {
        message.skip_name(at, Compression::Allowed)?
    };
    let rtype: [u8; 2] = message.load(fixed)?;
    let rtype = u16::from_be_bytes(rtype);
    let rdata = fixed + RECORD_FIXED;
    if rtype == TYPE_OPT {
        // RFC 6891 6.1.2: the owner is the root.
        return if length == 0 { Some(Stop::Opt(rdata, 0)) } else { None };
    }
    if rtype == TYPE_TSIG || (rtype == TYPE_SIG && message.load(rdata)? == [0, 0]) {
        return Some(Stop::Signed);
    }
    // Not kept from above: it would go through the stack, which costs a fifth of the whole walk.
    let rdlength: [u8; 2] = message.load(fixed + 8)?;
    Some(Stop::End(rdata + u16::from_be_bytes(rdlength) as usize))
}

/// Over `count` records, until one matters.
#[inline(always)]
pub fn skip_all<W: Walk>(message: &W, start: usize, count: usize) -> Option<Stop> {
    let mut at = start;
    let mut seen = 0;
    while seen < MAX_RECORDS {
        if seen >= count {
            return Some(Stop::End(at));
        }
        seen += 1;
        match message.skip_record(at)? {
            Stop::End(behind) => at = behind,
            Stop::Opt(rdata, _) => return Some(Stop::Opt(rdata, count - seen)),
            Stop::Signed => return Some(Stop::Signed),
        }
    }
    if count == MAX_RECORDS { Some(Stop::End(at)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MAX_OFFSET;
    use proptest::prelude::*;

    fn stop() -> impl Strategy<Value = Stop> {
        // Offsets are those of a frame, and of what its lengths could mean.
        let offset = 0..=MAX_OFFSET + usize::from(u16::MAX) + RECORD_FIXED;
        prop_oneof![
            offset.clone().prop_map(Stop::End),
            (offset, 0..=MAX_RECORDS).prop_map(|(rdata, left)| Stop::Opt(rdata, left)),
            Just(Stop::Signed),
        ]
    }

    proptest! {
        #[test]
        fn a_stop_is_the_same_as_one_word(stop in stop()) {
            prop_assert_eq!(Stop::unpack(stop.pack()), stop);
        }
    }
}
