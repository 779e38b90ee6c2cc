//! All of a response that must be the same whether the agent is there or not.
//!
//! Taken from the bytes, and not from what a library makes of them: hickory-proto decodes names and forgets how they
//! were compressed. Four things may differ without anybody's doing and are left out: the id, the order of records, which
//! some servers rotate; the TTL, which the clock counts down in a cache; and the part of a cookie that tells the time.

use hickory_proto::{
    op::Edns,
    rr::rdata::opt::{EdnsCode, EdnsOption},
};

use crate::message::Answer;

/// Bytes of a message's header (RFC 1035 4.1.1).
const HEADER: usize = 12;
/// Bytes of TYPE, CLASS, TTL and RDLENGTH (RFC 1035 4.1.3), and where the last two are.
const RECORD_FIXED: usize = 10;
const TTL: std::ops::Range<usize> = 4..8;
const RDLENGTH: usize = 8;
/// The type of OPT (RFC 6891 6.1.2).
const OPT: [u8; 2] = [0, 41];

/// What is left of a response without its NSID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    /// Flags, counts and question.
    head: Vec<u8>,
    /// The records of each section but for OPT, in order of their bytes.
    sections: [Vec<Vec<u8>>; 3],
    /// The number of OPT among the records of the last section.
    opt_at: Option<usize>,
    edns: Option<Edns>,
    cookie: Option<usize>,
}

impl Apart {
    /// Takes the NSID out of it.
    pub fn from_nsid(answer: &Answer) -> Self {
        let mut apart = Self::of(answer);
        if let Some(edns) = &mut apart.edns {
            edns.options_mut().remove(EdnsCode::NSID);
        }
        apart
    }

    /// Leaves the NSID where it is.
    pub fn of(answer: &Answer) -> Self {
        let mut edns = answer.message().edns.clone();
        let cookie = edns.as_mut().and_then(|edns| {
            let length = edns.option(EdnsCode::Cookie).map(|cookie| usize::from(EdnsOption::len(cookie)));
            edns.options_mut().remove(EdnsCode::Cookie);
            length
        });
        let mut walk = Walk { message: answer.bytes(), at: HEADER };
        let counts: [usize; 4] = std::array::from_fn(|section| walk.two(4 + 2 * section));
        let [questions, records @ ..] = counts;
        for _ in 0..questions {
            walk.name();
            walk.at += 4;
        }
        let head = answer.bytes()[2..walk.at].to_vec();
        let mut opt_at = None;
        let sections = records.map(|count| {
            let mut records = Vec::new();
            for index in 0..count {
                let (record, is_opt) = walk.record();
                if is_opt {
                    opt_at = Some(index);
                } else {
                    records.push(record);
                }
            }
            records.sort();
            records
        });
        Self { head, sections, opt_at, edns, cookie }
    }
}

/// A place in a message that hickory-proto has found well-formed.
struct Walk<'a> {
    message: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    fn two(&self, at: usize) -> usize {
        usize::from(u16::from_be_bytes([self.message[at], self.message[at + 1]]))
    }

    /// Steps over a name: labels up to the root's, or up to a pointer (RFC 1035 4.1.4).
    fn name(&mut self) {
        loop {
            match self.message[self.at] {
                0 => return self.at += 1,
                192.. => return self.at += 2,
                label => self.at += 1 + usize::from(label),
            }
        }
    }

    /// Steps over a record: its bytes with a TTL of zero, and whether it is OPT.
    fn record(&mut self) -> (Vec<u8>, bool) {
        let start = self.at;
        self.name();
        let fixed = self.at;
        let is_opt = self.message[fixed..fixed + 2] == OPT;
        self.at += RECORD_FIXED + self.two(fixed + RDLENGTH);
        let mut record = self.message[start..self.at].to_vec();
        record[fixed - start + TTL.start..fixed - start + TTL.end].fill(0);
        (record, is_opt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(additional: &[&[u8]]) -> Answer {
        let head = [0, 7, 128, 0, 0, 1, 0, 1, 0, 0, 0, u8::try_from(additional.len()).expect("few")];
        let question = b"\x01a\0\0\x01\0\x01";
        let record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";
        Answer::decode(&[&head[..], question, record, &additional.concat()].concat())
    }

    const PLAIN: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
    const NSID: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\x06\0\x03\0\x02ab";

    #[test]
    fn only_the_nsid_is_taken_out() {
        assert_eq!(Apart::from_nsid(&answer(&[PLAIN])), Apart::from_nsid(&answer(&[NSID])));
        assert_ne!(Apart::of(&answer(&[PLAIN])), Apart::of(&answer(&[NSID])));
        assert_ne!(Apart::from_nsid(&answer(&[])), Apart::from_nsid(&answer(&[NSID])));
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let is = answer(&[NSID]);
        for at in [2, 13, 20, 24, 33, 34] {
            let mut bytes = is.bytes().to_vec();
            bytes[at] ^= 1;
            if let Ok(other) = std::panic::catch_unwind(|| Answer::decode(&bytes)) {
                assert_ne!(Apart::from_nsid(&other), Apart::from_nsid(&is), "byte {at}");
            }
        }
    }
}
