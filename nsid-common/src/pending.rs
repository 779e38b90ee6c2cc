//! The pending table: which queries asked for NSID, until their responses come by.
//!
//! Sets of four notes, shared by all CPUs. A note is one word, so that it is read and written at once; the oldest of
//! a full set gives way. Two CPUs that write to one set at once can lose a note: one response without NSID.
//!
//! ```text
//! |63            32|31          16|15           0|
//! |  fingerprint   |     tick     |   UDP size   |
//! ```

use crate::{
    maps::{Control, Maps},
    memory::Word,
};

/// Sets of the table.
pub const SETS: u32 = 16_384;
/// Notes of a set.
pub const WAYS: usize = 4;
/// A tick is this power of two of jiffies: 16 to 160 ms. With 16 bits for it, age is told apart for 17 minutes.
pub const TICK_SHIFT: u32 = 4;

/// A set of notes, on one cache line; 0 is none.
#[repr(C, align(32))]
#[derive(Debug, Default)]
pub struct Set(pub [Word; WAYS]);

/// What identifies an exchange: a keyed hash of both addresses, both ports and the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange(u64);

impl Exchange {
    /// From the words of the addresses, the requestor's first, its port, the server's, and the id.
    #[inline(always)]
    pub fn new(
        control: &Control,
        addresses: &[u64],
        requestor: [u8; 2],
        server: [u8; 2],
        id: [u8; 2],
    ) -> Self {
        let mut hash = control.pending_key[0].get();
        for word in addresses {
            hash = mix(hash ^ word);
        }
        let ports_and_id = u16::from_le_bytes(requestor) as u64
            | (u16::from_le_bytes(server) as u64) << 16
            | (u16::from_le_bytes(id) as u64) << 32;
        Self(mix(mix(hash ^ ports_and_id) ^ control.pending_key[1].get()))
    }

    #[inline(always)]
    const fn set(self) -> u32 {
        self.0 as u32 & (SETS - 1)
    }

    /// Never 0, so that no note is.
    #[inline(always)]
    const fn fingerprint(self) -> u64 {
        self.0 >> 32 | 1
    }
}

#[inline(always)]
const fn mix(word: u64) -> u64 {
    let word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word ^ word >> 32
}

#[inline(always)]
fn tick<M: Maps>(maps: &M) -> u16 {
    (maps.jiffies() >> TICK_SHIFT) as u16
}

/// Notes that the query of an exchange asked, and the UDP size that it takes: in the place of an earlier note of the
/// same exchange, else in a free one, else in the oldest's.
#[inline(always)]
pub(crate) fn note<M: Maps>(maps: &M, exchange: Exchange, udp_size: u16) {
    let Some(Set([first, second, third, fourth])) = maps.pending(exchange.set()) else { return };
    let fingerprint = exchange.fingerprint();
    let now = tick(maps);
    let note = fingerprint << 32 | u64::from(now) << 16 | u64::from(udp_size);
    let (a, b, c, d) = (first.get(), second.get(), third.get(), fourth.get());
    if a >> 32 == fingerprint {
        return first.set(note);
    }
    if b >> 32 == fingerprint {
        return second.set(note);
    }
    if c >> 32 == fingerprint {
        return third.set(note);
    }
    if d >> 32 == fingerprint {
        return fourth.set(note);
    }
    let age = |note: u64| if note == 0 { u16::MAX } else { now.wrapping_sub((note >> 16) as u16) };
    let (a, b, c, d) = (age(a), age(b), age(c), age(d));
    if a >= b && a >= c && a >= d {
        first.set(note);
    } else if b >= c && b >= d {
        second.set(note);
    } else if c >= d {
        third.set(note);
    } else {
        fourth.set(note);
    }
}

/// Forgets an exchange: a later query of the same addresses, ports and id did not ask, and an NSID that was not asked
/// for is worse than a missing one.
#[inline(always)]
pub(crate) fn forget<M: Maps>(maps: &M, exchange: Exchange) {
    let _ = find(maps, exchange);
}

/// Takes the note of an exchange: the UDP size of its requestor, if it was noted and the note is still valid.
#[inline(always)]
pub(crate) fn take<M: Maps>(maps: &M, exchange: Exchange, valid_ticks: u64) -> Option<u16> {
    let note = find(maps, exchange)?;
    let age = tick(maps).wrapping_sub((note >> 16) as u16);
    if u64::from(age) <= valid_ticks { Some(note as u16) } else { None }
}

#[inline(always)]
fn find<M: Maps>(maps: &M, exchange: Exchange) -> Option<u64> {
    let Set(notes) = maps.pending(exchange.set())?;
    for note in notes {
        let found = note.get();
        if found >> 32 == exchange.fingerprint() {
            note.set(0);
            return Some(found);
        }
    }
    None
}
