//! Whether a build of the programs can go on with the maps of another: if both define them alike, and mean the same by
//! what is in them.

use aya_obj::{Object, ParseError};
use nsid_common::maps::REVISION;

use super::maps::Maps;

/// What the object's pinned maps are, and what is in them, in one number.
pub(super) fn of(object: &[u8]) -> Result<u64, ParseError> {
    let Object { maps, .. } = Object::parse(object)?;
    let mut hash = Fnv::new().with(REVISION);
    for name in Maps::NAMES {
        hash = name.bytes().fold(hash, |hash, byte| hash.with(u32::from(byte)));
        let map = maps.get(name).unwrap_or_else(|| panic!("the object has no map {name}"));
        for part in [map.map_type(), map.key_size(), map.value_size(), map.max_entries(), map.map_flags()] {
            hash = hash.with(part);
        }
    }
    Ok(hash.0)
}

/// FNV-1a of 64 bits (draft-eastlake-fnv): the same in every build, which the standard library's hash need not be.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn with(self, word: u32) -> Self {
        let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(word.to_le_bytes().into_iter().fold(self.0, step))
    }
}
