//! Images: what is written behind the question of an answer, and into OPT, made beforehand by the agent.
//!
//! An answer to `id.server.` is the query's question and one of five images; an insertion is the sixth. The programs
//! choose one, copy it, and add its sum to the checksum; they patch nothing in it.

use crate::{
    checksum,
    dns::{CLASS_CH, DNSSEC_OK, OPTION_FIXED, OPTION_NSID, RECORD_FIXED, TYPE_OPT, TYPE_TXT},
    memory::{Bytes, Word},
};

/// Bytes of the longest name that can be said.
pub const MAX_NODE_NAME: usize = 128;
/// Bytes of the longest image: a TXT record, and OPT with NSID.
pub const MAX_LEN: usize = 288;
/// Bytes of the shortest image: the option with a name of one byte.
pub const MIN_LEN: usize = OPTION_FIXED + 1;
/// The UDP size that the kernel's own answers tell in OPT: what DNS flag day 2020 recommends.
pub const UDP_SIZE: u16 = 1232;

const WORDS: usize = MAX_LEN / 8;
/// Words of the end of an image.
const LAST: usize = 4;
const TXT_LEN: usize = 2 + RECORD_FIXED + 1;
const OPT_LEN: usize = 1 + RECORD_FIXED;
const _: () = assert!(TXT_LEN + MAX_NODE_NAME + OPT_LEN + OPTION_FIXED + MAX_NODE_NAME <= MAX_LEN);

/// Which image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Variant {
    /// The TXT record.
    Txt = 0,
    /// TXT, OPT.
    TxtOpt = 1,
    /// TXT, OPT with DO.
    TxtOptDo = 2,
    /// TXT, OPT with NSID.
    TxtNsid = 3,
    /// TXT, OPT with NSID and DO.
    TxtNsidDo = 4,
    /// The NSID option alone.
    Option = 5,
    /// As [`Option`](Self::Option), with the name, whatever else stands for it: the agent's own note, which no program
    /// reads.
    Name = 6,
}

impl Variant {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Txt, Self::TxtOpt, Self::TxtOptDo, Self::TxtNsid, Self::TxtNsidDo, Self::Option, Self::Name];
}

/// Images of a record, with a place that is not used.
pub const PER_RECORD: u32 = 8;

/// The index of a record's image.
#[inline(always)]
pub const fn index(record: u32, variant: Variant) -> u32 {
    index_of(record, variant as u32)
}

/// As [`index`], of a variant by its number.
#[inline(always)]
pub(crate) const fn index_of(record: u32, variant: u32) -> u32 {
    record * PER_RECORD + variant
}

/// Bytes, their number and their sum.
///
/// Only an image of a record that is not selected is written: the order does not matter.
#[repr(C)]
#[derive(Debug)]
pub struct Image {
    /// Bytes that count; at least [`MIN_LEN`].
    len: Word,
    /// Their folded sum, as from the offset at which they are written: odd behind the questions, even for the option.
    sum: Word,
    /// The last bytes of those that count: the last of them is the last here.
    last: [Word; LAST],
    words: [Word; WORDS],
}

const _: () = assert!(size_of::<Image>() == 16 + 8 * LAST + MAX_LEN);

impl Default for Image {
    fn default() -> Self {
        Self {
            len: Word::new(0),
            sum: Word::new(0),
            last: [const { Word::new(0) }; LAST],
            words: [const { Word::new(0) }; WORDS],
        }
    }
}

impl Image {
    #[expect(clippy::len_without_is_empty, reason = "what is filled is never empty")]
    /// Bytes that count: [`MIN_LEN`] to [`MAX_LEN`]. `None`: it was never filled.
    #[inline(always)]
    pub fn len(&self) -> Option<usize> {
        let len = self.len.get() as usize;
        if (MIN_LEN..=MAX_LEN).contains(&len) { Some(len) } else { None }
    }

    /// Their folded sum.
    #[inline(always)]
    pub(crate) fn sum(&self) -> u16 {
        self.sum.get() as u16
    }

    /// Copies it to `at`.
    #[inline(always)]
    pub fn copy_to<B: Bytes>(&self, frame: &mut B, at: usize) -> Option<()> {
        let len = self.len()?;
        let [.., last] = &self.last;
        let last = last.get();
        if len < 8 {
            frame.store(at, (self.words[0].get() as u32).to_le_bytes())?;
            return frame.store(at + len - 4, ((last >> 32) as u32).to_le_bytes());
        }
        let mut word = 0;
        while word < WORDS {
            if word * 8 + 8 >= len {
                break;
            }
            frame.store(at + word * 8, self.words[word].get().to_le_bytes())?;
            word += 1;
        }
        frame.store(at + len - 8, last.to_le_bytes())
    }

    /// As [`copy_to`](Self::copy_to), without a loop, so that it needs no call; `false`, and nothing done: it is too short
    /// or too long for that.
    #[inline(always)]
    pub fn copy_at_once<B: Bytes>(&self, frame: &mut B, at: usize) -> Option<bool> {
        let len = self.len()?;
        if !(8..=16 * LAST).contains(&len) {
            return Some(false);
        }
        if len <= 16 {
            self.copy_ends::<1, B>(frame, at, len)?;
        } else if len <= 32 {
            self.copy_ends::<2, B>(frame, at, len)?;
        } else {
            self.copy_ends::<LAST, B>(frame, at, len)?;
        }
        Some(true)
    }

    /// Its first words and its last, which may overlap.
    #[inline(always)]
    fn copy_ends<const N: usize, B: Bytes>(&self, frame: &mut B, at: usize, len: usize) -> Option<()> {
        let first: &mut [[u8; 8]; N] = frame.view_mut(at)?;
        for (eight, word) in first.iter_mut().zip(&self.words) {
            *eight = word.get().to_le_bytes();
        }
        let last: &mut [[u8; 8]; N] = frame.view_mut(at + len - 8 * N)?;
        for (eight, word) in last.iter_mut().zip(&self.last[LAST - N..]) {
            *eight = word.get().to_le_bytes();
        }
        Some(())
    }

    /// Fills it; of each part, what is longer than [`MAX_NODE_NAME`] bytes is cut.
    pub fn fill(&self, said: Said<'_>, variant: Variant) {
        let mut bytes = Builder { bytes: [0; MAX_LEN], len: 0 };
        let Said { name, nsid, text } =
            Said { name: cut(said.name), nsid: cut(said.nsid), text: cut(said.text) };
        if variant == Variant::Option {
            bytes.push_nsid(nsid);
        } else if variant == Variant::Name {
            bytes.push_nsid(name);
        } else {
            // The owner is a pointer to the question, which follows the header (RFC 1035 4.1.4).
            bytes.push(&[0xc0, 12]);
            bytes.push(&TYPE_TXT.to_be_bytes());
            bytes.push(&CLASS_CH.to_be_bytes());
            bytes.push(&0_u32.to_be_bytes());
            bytes.push(&(text.len() as u16 + 1).to_be_bytes());
            bytes.push(&[text.len() as u8]);
            bytes.push(text);
        }
        if let Variant::TxtOpt | Variant::TxtOptDo | Variant::TxtNsid | Variant::TxtNsidDo = variant {
            let dnssec_ok = matches!(variant, Variant::TxtOptDo | Variant::TxtNsidDo);
            let with_nsid = matches!(variant, Variant::TxtNsid | Variant::TxtNsidDo);
            bytes.push(&[0]);
            bytes.push(&TYPE_OPT.to_be_bytes());
            bytes.push(&UDP_SIZE.to_be_bytes());
            bytes.push(&[0, 0, if dnssec_ok { DNSSEC_OK } else { 0 }, 0]);
            if with_nsid {
                bytes.push(&((OPTION_FIXED + nsid.len()) as u16).to_be_bytes());
                bytes.push_nsid(nsid);
            } else {
                bytes.push(&[0, 0]);
            }
        }
        self.store(&bytes, usize::from(!matches!(variant, Variant::Option | Variant::Name)));
    }

    fn store(&self, Builder { bytes, len }: &Builder, at: usize) {
        for (word, eight) in self.words.iter().zip(bytes.as_chunks::<8>().0) {
            word.set(u64::from_le_bytes(*eight));
        }
        let bytes = &bytes[..*len];
        let mut end = [0; 8 * LAST];
        for (to, from) in end.iter_mut().rev().zip(bytes.iter().rev()) {
            *to = *from;
        }
        for (word, eight) in self.last.iter().zip(end.as_chunks::<8>().0) {
            word.set(u64::from_le_bytes(*eight));
        }
        self.sum.set(u64::from(checksum::at_offset(checksum::of(bytes), at)));
        self.len.set(*len as u64);
    }

    /// The bytes that count.
    pub fn bytes(&self) -> ([u8; MAX_LEN], usize) {
        let mut bytes = [0; MAX_LEN];
        for (eight, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(&self.words) {
            *eight = word.get().to_le_bytes();
        }
        (bytes, self.len().unwrap_or(0))
    }
}

/// What is said of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// What NSID holds (RFC 5001 2.3: anything).
    pub nsid: &'a [u8],
    /// What TXT of `id.server.` holds.
    pub text: &'a [u8],
}

impl<'a> Said<'a> {
    /// The name itself, in both.
    pub const fn name(name: &'a [u8]) -> Self {
        Self { name, nsid: name, text: name }
    }
}

fn cut(bytes: &[u8]) -> &[u8] {
    bytes.get(..MAX_NODE_NAME).unwrap_or(bytes)
}

struct Builder {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl Builder {
    /// An NSID option.
    fn push_nsid(&mut self, data: &[u8]) {
        self.push(&OPTION_NSID.to_be_bytes());
        self.push(&(data.len() as u16).to_be_bytes());
        self.push(data);
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hook::Hook, model::Model};
    use std::{vec, vec::Vec};

    fn filled(name: &[u8], variant: Variant) -> Vec<u8> {
        let image = Image::default();
        image.fill(Said::name(name), variant);
        let (bytes, len) = image.bytes();
        bytes[..len].to_vec()
    }

    #[test]
    fn an_image_that_was_never_filled_has_no_length() {
        assert_eq!(Image::default().len(), None);
    }

    #[test]
    fn the_option_is_code_length_and_name() {
        assert_eq!(filled(b"ns1", Variant::Option), b"\0\x03\0\x03ns1");
    }

    #[test]
    fn nsid_and_text_may_differ_and_the_name_is_in_neither() {
        let (name, image) = (b"ns1.example", Image::default());
        let said = Said { name, nsid: &[0, 0xff, 7], text: b"00ff07" };
        for variant in Variant::ALL {
            image.fill(said, variant);
            let (bytes, len) = image.bytes();
            let holds = |part: &[u8]| bytes[..len].windows(part.len()).any(|window| window == part);
            let (with_text, with_nsid) = match variant {
                Variant::Txt | Variant::TxtOpt | Variant::TxtOptDo => (true, false),
                Variant::TxtNsid | Variant::TxtNsidDo => (true, true),
                Variant::Option => (false, true),
                Variant::Name => (false, false),
            };
            assert_eq!(holds(b"\x0600ff07"), with_text, "{variant:?}");
            assert_eq!(holds(&[0, 3, 0, 3, 0, 0xff, 7]), with_nsid, "{variant:?}");
            assert_eq!(holds(name), variant == Variant::Name, "{variant:?}");
        }
    }

    #[test]
    fn a_name_is_cut_at_the_longest() {
        let name = [b'n'; MAX_NODE_NAME + 1];
        for variant in Variant::ALL {
            assert_eq!(filled(&name, variant), filled(&name[..MAX_NODE_NAME], variant));
        }
    }

    #[test]
    fn every_image_of_every_length_is_copied_whole_and_nothing_beside_it() {
        let model = Model::new();
        let name: Vec<u8> = (1..=128).collect();
        for length in 1..=MAX_NODE_NAME {
            for variant in Variant::ALL {
                let image = &model.images[variant as usize];
                image.fill(Said::name(&name[..length]), variant);
                let expected = filled(&name[..length], variant);
                for at in [0, 7] {
                    let mut bytes = vec![0xee; at + expected.len() + 9];
                    model.frame(&mut bytes).write_image(at, variant as u32).unwrap();
                    assert_eq!(bytes[at..at + expected.len()], expected);
                    assert!(
                        bytes[..at].iter().chain(&bytes[at + expected.len()..]).all(|byte| *byte == 0xee)
                    );
                }
                let offset = usize::from(!matches!(variant, Variant::Option | Variant::Name));
                assert_eq!(image.sum(), checksum::at_offset(checksum::of(&expected), offset));
            }
        }
    }

    #[test]
    fn an_image_refilled_with_a_shorter_name_keeps_nothing_of_the_longer() {
        let image = Image::default();
        for variant in Variant::ALL {
            image.fill(Said::name(&[b'x'; MAX_NODE_NAME]), variant);
            image.fill(Said::name(b"ns1"), variant);
            let (bytes, len) = image.bytes();
            assert_eq!(bytes[..len], filled(b"ns1", variant));
        }
    }
}
