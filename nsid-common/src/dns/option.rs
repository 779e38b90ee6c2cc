//! EDNS options (RFC 6891 6.1.2).

use super::{OPTION_FIXED, OPTION_NSID};
use crate::memory::Bytes;

/// Options that are looked through in one OPT.
const MAX_OPTIONS: usize = 32;

/// The offset of the first NSID among the options in `start..end`; `end` if there is none.
#[inline(always)]
pub fn find_nsid<B: Bytes + ?Sized>(message: &B, start: usize, end: usize) -> Option<usize> {
    let mut at = start;
    let mut seen = 0;
    while seen < MAX_OPTIONS {
        if at == end {
            return Some(end);
        }
        if at + OPTION_FIXED > end {
            return None;
        }
        let fixed: [u8; OPTION_FIXED] = message.load(at)?;
        let fixed = u32::from_be_bytes(fixed);
        let behind = at + OPTION_FIXED + (fixed as u16) as usize;
        if (fixed >> 16) as u16 == OPTION_NSID {
            return if behind > end { None } else { Some(at) };
        }
        at = behind;
        seen += 1;
    }
    None
}
