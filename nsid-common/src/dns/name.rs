//! Names (RFC 1035 3.1, 4.1.4): only ever skipped.

use super::MAX_NAME;
use crate::memory::Bytes;

/// Whether a name may end in a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As in a question, which nothing precedes that could be pointed at.
    Forbidden,
    /// As in the owner of a record.
    Allowed,
}

/// Labels of the longest name: 127 of one byte, and the root.
const MAX_LABELS: usize = 128;
/// Of a label.
pub(crate) const MAX_LABEL: u8 = 63;
/// Both bits set: a pointer, two bytes long.
const POINTER: u8 = 0xc0;

/// The offset behind the name at `start`.
#[inline(always)]
pub fn skip<B: Bytes + ?Sized>(message: &B, start: usize, compression: Compression) -> Option<usize> {
    let mut at = start;
    let mut label = 0;
    while label < MAX_LABELS {
        let [length] = message.load(at)?;
        if length == 0 || length >= POINTER {
            if length != 0 && compression == Compression::Forbidden {
                return None;
            }
            at += if length == 0 { 1 } else { 2 };
            return if at - start <= MAX_NAME { Some(at) } else { None };
        }
        if length > MAX_LABEL {
            return None;
        }
        at += 1 + length as usize;
        label += 1;
    }
    None
}
