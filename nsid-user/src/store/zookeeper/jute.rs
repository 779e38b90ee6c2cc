//! Jute, in which ZooKeeper writes what it sends and takes: numbers of a fixed size, the most significant byte first,
//! and whatever varies in length behind its length (`BinaryOutputArchive`, zookeeper-jute).

/// How long the length of a buffer, a text, a list or a packet is.
pub(super) const LENGTH: usize = 4;

/// An answer that breaks off, or has something else where a part of it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an answer that is none of ZooKeeper's")]
pub(super) struct Malformed;

/// Writes, at the end of what there is.
pub(super) struct Encoder<'a>(pub(super) &'a mut Vec<u8>);

impl Encoder<'_> {
    pub(super) fn bool(&mut self, value: bool) -> &mut Self {
        self.0.push(value.into());
        self
    }

    pub(super) fn int(&mut self, value: i32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn long(&mut self, value: i64) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn buffer(&mut self, bytes: &[u8]) -> &mut Self {
        self.length(bytes.len());
        self.0.extend(bytes);
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.buffer(text.as_bytes())
    }

    /// Of what stands behind it. Nothing that is written here is too long for it.
    pub(super) fn length(&mut self, length: usize) -> &mut Self {
        self.int(length.try_into().unwrap_or(i32::MAX))
    }
}

/// Reads, from the beginning of what is left.
pub(super) struct Decoder<'a>(pub(super) &'a [u8]);

impl<'a> Decoder<'a> {
    pub(super) fn bool(&mut self) -> Result<bool, Malformed> {
        let [byte] = self.bytes()?;
        Ok(byte != 0)
    }

    pub(super) fn int(&mut self) -> Result<i32, Malformed> {
        Ok(i32::from_be_bytes(self.bytes()?))
    }

    pub(super) fn long(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.bytes()?))
    }

    /// No buffer has the length -1.
    pub(super) fn buffer(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.int()?.max(0).unsigned_abs() as usize;
        let (buffer, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(buffer)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.buffer()?).map_err(|_| Malformed)
    }

    pub(super) fn texts(&mut self) -> Result<Vec<String>, Malformed> {
        let count = self.int()?.max(0);
        (0..count).map(|_| Ok(self.text()?.to_owned())).collect()
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(flag: bool, int: i32, long: i64, bytes: Vec<u8>, text: String) {
            let mut written = Vec::new();
            Encoder(&mut written).bool(flag).int(int).long(long).buffer(&bytes).text(&text);
            let mut read = Decoder(&written);
            prop_assert_eq!(read.bool(), Ok(flag));
            prop_assert_eq!(read.int(), Ok(int));
            prop_assert_eq!(read.long(), Ok(long));
            prop_assert_eq!(read.buffer(), Ok(&bytes[..]));
            prop_assert_eq!(read.text(), Ok(&text[..]));
            prop_assert_eq!(read.0, b"");
        }

        #[test]
        fn what_breaks_off_is_malformed(texts: Vec<String>, cut: prop::sample::Index) {
            let mut written = Vec::new();
            let mut list = Encoder(&mut written);
            list.length(texts.len());
            for text in &texts {
                list.text(text);
            }
            prop_assert_eq!(Decoder(&written).texts(), Ok(texts));
            let cut = cut.index(written.len());
            prop_assert_eq!(Decoder(&written[..cut]).texts(), Err(Malformed));
        }

        #[test]
        fn any_bytes_are_read_or_malformed(bytes: Vec<u8>) {
            let _read = Decoder(&bytes).texts();
            let _read = Decoder(&bytes).buffer();
        }
    }

    #[test]
    fn numbers_begin_with_the_most_significant_byte_and_lengths_are_numbers() {
        let mut written = Vec::new();
        Encoder(&mut written).int(-2).buffer(b"ab");
        assert_eq!(written, [0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 2, b'a', b'b']);
        assert_eq!(Decoder(&[0xff; 4]).buffer(), Ok(&[][..]), "the length of none");
    }
}
