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

/// Sets of the table, 2 MiB in all: with 10,000 queries outstanding, 2 notes in 100,000 give way to others. Half as many
/// sets would lose 34, a quarter 400 (simulated and measured: nsid-packets, `outstanding`).
pub const SETS: u32 = 65_536;
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
        let ports_and_id = u64::from(u16::from_le_bytes(requestor))
            | u64::from(u16::from_le_bytes(server)) << 16
            | u64::from(u16::from_le_bytes(id)) << 32;
        Self(mix(mix(hash ^ ports_and_id) ^ control.pending_key[1].get()))
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
pub(crate) const fn mix(word: u64) -> u64 {
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
pub fn note<M: Maps>(maps: &M, exchange: Exchange, udp_size: u16) {
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

/// What is known of an exchange when a query of it comes: it asked, and takes so many bytes, or it did not ask.
#[inline(always)]
pub(crate) fn renew<M: Maps>(maps: &M, exchange: Exchange, asked: bool, udp_size: u16) {
    if asked {
        note(maps, exchange, udp_size);
    } else {
        forget(maps, exchange);
    }
}

/// Forgets an exchange: a later query of the same addresses, ports and id did not ask, and an NSID that was not asked
/// for is worse than a missing one.
#[inline(always)]
pub(crate) fn forget<M: Maps>(maps: &M, exchange: Exchange) {
    let _ = remove(maps, exchange);
}

/// Takes the note of an exchange: the UDP size of its requestor, if it was noted and the note is still valid.
#[inline(always)]
pub(crate) fn take<M: Maps>(maps: &M, exchange: Exchange, valid_ticks: u64) -> Option<u16> {
    let note = remove(maps, exchange)?;
    let age = tick(maps).wrapping_sub((note >> 16) as u16);
    if u64::from(age) <= valid_ticks { Some(note as u16) } else { None }
}

/// Takes the note of an exchange out of the table, however old it is.
#[inline(always)]
fn remove<M: Maps>(maps: &M, exchange: Exchange) -> Option<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// An exchange in a set, with a fingerprint; the lowest bit of a fingerprint is always 1.
    fn exchange(set: u32, fingerprint: u32) -> Exchange {
        Exchange(u64::from(fingerprint) << 33 | u64::from(set))
    }

    /// As many jiffies later.
    fn later(model: &mut Model, ticks: u64) {
        model.jiffies += ticks << TICK_SHIFT;
    }

    fn noted(model: &Model, exchange: Exchange, udp_size: u16) {
        note(&model.frame(&mut Vec::new()), exchange, udp_size);
    }

    fn taken(model: &Model, exchange: Exchange) -> Option<u16> {
        take(&model.frame(&mut Vec::new()), exchange, model.control.pending_ticks.get())
    }

    #[test]
    fn a_note_is_taken_once() {
        let model = Model::new();
        noted(&model, exchange(7, 1), 1232);
        assert_eq!(taken(&model, exchange(8, 1)), None, "another set");
        assert_eq!(taken(&model, exchange(7, 2)), None, "another fingerprint");
        assert_eq!(taken(&model, exchange(7, 1)), Some(1232));
        assert_eq!(taken(&model, exchange(7, 1)), None);
    }

    #[test]
    fn what_is_forgotten_is_not_taken_and_others_of_its_set_are() {
        let model = Model::new();
        noted(&model, exchange(7, 1), 512);
        noted(&model, exchange(7, 2), 4096);
        forget(&model.frame(&mut Vec::new()), exchange(7, 1));
        assert_eq!(taken(&model, exchange(7, 1)), None);
        assert_eq!(taken(&model, exchange(7, 2)), Some(4096));
    }

    #[test]
    fn a_second_note_of_an_exchange_takes_the_place_of_the_first() {
        let model = Model::new();
        for fingerprint in 0..WAYS as u32 {
            noted(&model, exchange(7, fingerprint), 512);
        }
        for fingerprint in 0..WAYS as u32 {
            noted(&model, exchange(7, fingerprint), 1232);
        }
        for fingerprint in 0..WAYS as u32 {
            assert_eq!(taken(&model, exchange(7, fingerprint)), Some(1232));
            assert_eq!(taken(&model, exchange(7, fingerprint)), None);
        }
    }

    #[test]
    fn the_oldest_of_a_full_set_gives_way_wherever_it_stands() {
        for oldest in 0..WAYS {
            let mut model = Model::new();
            let ways = 0..WAYS as u32;
            ways.clone().for_each(|way| noted(&model, exchange(7, way), 512));
            for way in ways.filter(|way| *way as usize != oldest) {
                later(&mut model, 1);
                noted(&model, exchange(7, way), 512);
            }
            noted(&model, exchange(7, 100), 4096);
            for way in 0..WAYS {
                let expected = if way == oldest { None } else { Some(512) };
                assert_eq!(taken(&model, exchange(7, way as u32)), expected, "{way} of {oldest}");
            }
            assert_eq!(taken(&model, exchange(7, 100)), Some(4096));
        }
    }

    #[test]
    fn the_oldest_is_told_where_the_ticks_wrap() {
        let mut model = Model::new();
        model.jiffies = (0xfffe << TICK_SHIFT) | 1 << 40;
        for fingerprint in 0..=WAYS as u32 {
            noted(&model, exchange(7, fingerprint), 512);
            later(&mut model, 1);
        }
        assert_eq!(taken(&model, exchange(7, 0)), None);
        for fingerprint in 1..=WAYS as u32 {
            assert_eq!(taken(&model, exchange(7, fingerprint)), Some(512));
        }
    }

    #[test]
    fn a_note_is_valid_to_the_last_tick_and_not_beyond() {
        for start in [0, 0xfff0_u64] {
            let mut model = Model::new();
            let valid = model.control.pending_ticks.get();
            for (age, expected) in [(0, Some(512)), (valid, Some(512)), (valid + 1, None), (0xffff, None)] {
                model.jiffies = start << TICK_SHIFT;
                noted(&model, exchange(7, 1), 512);
                later(&mut model, age);
                assert_eq!(taken(&model, exchange(7, 1)), expected, "{age} ticks from {start}");
                assert_eq!(taken(&model, exchange(7, 1)), None, "also one too old is gone");
            }
        }
    }

    #[test]
    fn both_directions_of_an_exchange_are_one_and_any_other_is_not() {
        let control = Model::new().control;
        let asked = Exchange::new(&control, &[1, 2], [3, 4], [0, 53], [5, 6]);
        assert_eq!(Exchange::new(&control, &[1, 2], [3, 4], [0, 53], [5, 6]), asked);
        for other in [
            Exchange::new(&control, &[2, 1], [3, 4], [0, 53], [5, 6]),
            Exchange::new(&control, &[1, 2], [0, 53], [3, 4], [5, 6]),
            Exchange::new(&control, &[1, 2], [3, 4], [0, 53], [6, 5]),
            Exchange::new(&control, &[1, 3], [3, 4], [0, 53], [5, 6]),
        ] {
            assert_ne!(other, asked);
        }
        control.pending_key[0].set(1);
        assert_ne!(Exchange::new(&control, &[1, 2], [3, 4], [0, 53], [5, 6]), asked);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Note(u32, u16),
        Forget(u32),
        Take(u32),
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..WAYS as u32, any::<u16>()).prop_map(|(exchange, size)| Step::Note(exchange, size)),
            1 => (0..WAYS as u32).prop_map(Step::Forget),
            4 => (0..WAYS as u32).prop_map(Step::Take),
            2 => prop_oneof![0..3_u64, 100..200_u64].prop_map(Step::Wait),
        ];
        proptest::collection::vec(step, 1..60)
    }

    proptest! {
        /// As many exchanges as a set has ways never disturb each other: the set is a map with an age.
        #[test]
        fn a_set_is_a_map_of_valid_notes(steps in steps(), start: u32) {
            let mut model = Model::new();
            model.jiffies = u64::from(start);
            let valid = model.control.pending_ticks.get();
            let mut expected = [None::<(u64, u16)>; WAYS];
            for step in steps {
                let now = model.jiffies >> TICK_SHIFT;
                match step {
                    Step::Note(which, size) => {
                        noted(&model, exchange(7, which), size);
                        expected[which as usize] = Some((now, size));
                    }
                    Step::Forget(which) => {
                        forget(&model.frame(&mut Vec::new()), exchange(7, which));
                        expected[which as usize] = None;
                    }
                    Step::Take(which) => {
                        let note = expected[which as usize].take().filter(|(then, _)| now - then <= valid);
                        prop_assert_eq!(taken(&model, exchange(7, which)), note.map(|(_, size)| size));
                    }
                    Step::Wait(ticks) => later(&mut model, ticks),
                }
            }
        }
    }
}
