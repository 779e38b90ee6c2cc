//! The Internet checksum (RFC 1071): sums in ones' complement, added up lazily.
//!
//! All sums are of 16-bit words in little-endian order. The order does not matter as long as it is one and the same
//! (RFC 1071, 2 (B)), and this one costs nothing where the programs run.

use crate::memory::Bytes;

/// A sum of words, not folded: of 2^32 words, at most, which is less than 2^48.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Sum(u64);

impl Sum {
    /// A sum that was folded before.
    #[inline(always)]
    pub const fn of_folded(folded: u16) -> Self {
        Self(folded as u64)
    }

    /// Adds one word.
    #[inline(always)]
    #[must_use]
    pub const fn word(self, word: [u8; 2]) -> Self {
        Self(self.0 + u16::from_le_bytes(word) as u64)
    }

    /// Adds two words.
    #[inline(always)]
    #[must_use]
    pub const fn words2(self, words: [u8; 4]) -> Self {
        Self(self.0 + u32::from_le_bytes(words) as u64)
    }

    /// Adds four words.
    #[inline(always)]
    #[must_use]
    pub const fn words4(self, words: [u8; 8]) -> Self {
        let words = u64::from_le_bytes(words);
        Self(self.0 + (words & 0xffff_ffff) + (words >> 32))
    }

    /// Adds another sum.
    #[inline(always)]
    #[must_use]
    pub const fn plus(self, other: u16) -> Self {
        Self(self.0 + other as u64)
    }

    /// Takes a folded sum away, in ones' complement.
    #[inline(always)]
    #[must_use]
    pub const fn minus(self, other: u16) -> Self {
        self.plus(!other)
    }

    /// Folded to 16 bits.
    #[inline(always)]
    pub const fn fold(self) -> u16 {
        // Less than 2^32 + 2^16.
        let sum = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        // By 1 + 2^16 + 2^32: the product's second word is the sum of this one's words, and so is the third, to which the
        // second carries.
        (sum.wrapping_mul(0x1_0001_0001) >> 32) as u16
    }

    /// The checksum field: the complement.
    #[inline(always)]
    pub const fn checksum(self) -> [u8; 2] {
        (!self.fold()).to_le_bytes()
    }

    /// As [`checksum`](Self::checksum), for UDP, where a field of 0 would mean that there is none (RFC 768).
    #[inline(always)]
    pub const fn udp_checksum(self) -> [u8; 2] {
        match self.checksum() {
            [0, 0] => [0xff, 0xff],
            checksum => checksum,
        }
    }
}

/// The folded sum of bytes that stand at `at`, from their sum as from an even offset.
#[inline(always)]
pub const fn at_offset(sum: u16, at: usize) -> u16 {
    if at & 1 == 0 { sum } else { sum.swap_bytes() }
}

/// The folded sum of bytes in memory, as from an even offset.
pub fn of(bytes: &[u8]) -> u16 {
    let mut sum = Sum::default();
    for pair in bytes.chunks(2) {
        sum = sum.word([pair[0], pair.get(1).copied().unwrap_or(0)]);
    }
    sum.fold()
}

/// Bytes of a frame that are summed, at most.
pub const MAX_SUM: usize = 512;

/// The folded sum of `length` bytes of a frame, as from an even offset; `None` beyond [`MAX_SUM`] or the frame.
#[inline(always)]
pub fn of_frame<B: Bytes>(frame: &B, at: usize, length: usize) -> Option<u16> {
    if length > MAX_SUM {
        return None;
    }
    // The rest's offset does not depend on how the loop ended: else the verifier follows every end of its own.
    let (rest, rest_length) = (at + (length & !7), length & 7);
    let mut sum = Sum::default();
    let mut done = 0;
    while done < MAX_SUM {
        if done + 8 > length {
            break;
        }
        sum = sum.words4(frame.load(at + done)?);
        done += 8;
    }
    let mut single = 0;
    while single < 7 {
        if single >= rest_length {
            break;
        }
        let [byte] = frame.load(rest + single)?;
        sum = sum.word(if single & 1 == 0 { [byte, 0] } else { [0, byte] });
        single += 1;
    }
    Some(sum.fold())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1071_section_3() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(of(&bytes).to_le_bytes(), [0xdd, 0xf2]);
    }

    /// Any sum of as many words as are allowed, with those near a carry among them.
    fn sum() -> impl Strategy<Value = u64> {
        let word = || prop_oneof![any::<u16>(), 0..4_u16, (u16::MAX - 3)..=u16::MAX];
        [word(), word(), word()]
            .prop_map(|words| words.iter().fold(0, |sum, word| sum << 16 | u64::from(*word)))
    }

    proptest! {
        /// Folding keeps the remainder by 2^16 - 1, and 0 for what is 0 alone.
        #[test]
        fn what_is_folded_is_the_remainder(sum in sum()) {
            let remainder = sum.checked_sub(1).map_or(0, |less| less % 0xffff + 1);
            prop_assert_eq!(u64::from(Sum(sum).fold()), remainder);
        }

        #[test]
        fn wider_additions_give_the_same_sum(bytes: [u8; 14]) {
            let [head @ .., e, f] = bytes;
            let (a, b) = (head[..8].try_into().unwrap(), head[8..].try_into().unwrap());
            prop_assert_eq!(Sum::default().words4(a).words2(b).word([e, f]).fold(), of(&bytes));
        }

        #[test]
        fn a_sum_at_an_odd_offset_is_the_sum_behind_one_more_byte(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut shifted = std::vec![0];
            shifted.extend(&bytes);
            prop_assert_eq!(at_offset(of(&bytes), 1), of(&shifted));
        }

        #[test]
        fn what_is_taken_away_leaves_the_rest(a: [u8; 8], b: [u8; 8]) {
            let both = Sum::default().words4(a).words4(b);
            let rest = both.minus(of(&b)).fold();
            // 0 and ffff are the same number in ones' complement.
            prop_assert_eq!(rest % 0xffff, of(&a) % 0xffff);
        }

        #[test]
        fn the_sum_of_a_part_of_a_frame_is_that_of_its_bytes(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            at in 0..64_usize,
            length in 0..600_usize,
        ) {
            let found = of_frame(&Model::new().frame(&mut bytes.clone()), at, length);
            let part = bytes.get(at..at + length).filter(|part| part.len() <= MAX_SUM);
            prop_assert_eq!(found, if length == 0 { Some(0) } else { part.map(of) });
        }
    }
}
