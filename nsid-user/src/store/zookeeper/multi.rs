//! Several requests in one, done or read at one point in time (`MultiOperationRecord` and `MultiResponse`, ZooKeeper 3.8).

use super::jute::{Decoder, Encoder, Malformed};
use super::protocol::{Code, Create, Delete, GetData, Request, SetData, Stat, WatchChildren};

/// Does all of it or nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Multi<'a>(pub(super) &'a [Op<'a>]);

/// A part of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op<'a> {
    Create(Create<'a>),
    Delete(Delete<'a>),
    SetData(SetData<'a>),
}

/// What a part of it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// A node with that path.
    Created(String),
    Deleted,
    /// The data of a node that is so from then on.
    Set(Stat),
}

impl Request for Multi<'_> {
    const TYPE: i32 = 14;
    /// Which part failed, and why, if nothing was done.
    type Answer = Result<Vec<Done>, (usize, Code)>;

    fn write(&self, to: &mut Encoder<'_>) {
        for op in self.0 {
            match op {
                Op::Create(create) => write_part(create, to),
                Op::Delete(delete) => write_part(delete, to),
                Op::SetData(set) => write_part(set, to),
            }
        }
        write_end(to);
    }

    fn read(answer: &mut Decoder<'_>) -> Result<Self::Answer, Malformed> {
        let mut done = Vec::new();
        for at in 0.. {
            match read_part(answer)? {
                None => break,
                Some(Create::TYPE) => done.push(Done::Created(Create::read(answer)?)),
                Some(Delete::TYPE) => done.push(Done::Deleted),
                Some(SetData::TYPE) => done.push(Done::Set(SetData::read(answer)?)),
                // Those before the one that failed have no code.
                Some(FAILED) => match Code::of(answer.int()?) {
                    None => {}
                    Some(code) => return Ok(Err((at, code))),
                },
                Some(_) => return Err(Malformed),
            }
        }
        Ok(Ok(done))
    }

    fn is_making(&self) -> bool {
        self.0.iter().any(|op| match op {
            Op::Create(create) => create.is_making(),
            Op::Delete(_) | Op::SetData(_) => false,
        })
    }
}

/// Reads all of it at one point in time.
#[derive(Clone, Copy, Debug)]
pub(super) struct MultiRead<'a>(pub(super) &'a [Read<'a>]);

/// A part of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read<'a> {
    Data(&'a str),
    Children(&'a str),
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Data(Vec<u8>, Stat),
    Children(Vec<String>),
    Nothing(Code),
}

impl Request for MultiRead<'_> {
    const TYPE: i32 = 22;
    type Answer = Vec<Seen>;

    fn write(&self, to: &mut Encoder<'_>) {
        for read in self.0 {
            match read {
                Read::Data(path) => write_part(&GetData(path), to),
                Read::Children(path) => {
                    write_part_header(WatchChildren::TYPE, to);
                    to.text(path).bool(false);
                }
            }
        }
        write_end(to);
    }

    fn read(answer: &mut Decoder<'_>) -> Result<Vec<Seen>, Malformed> {
        let mut seen = Vec::new();
        while let Some(part) = read_part(answer)? {
            seen.push(match part {
                GetData::TYPE => GetData::read(answer).map(|(data, stat)| Seen::Data(data, stat))?,
                WatchChildren::TYPE => Seen::Children(answer.texts()?),
                FAILED => Seen::Nothing(Code::of(answer.int()?).ok_or(Malformed)?),
                _ => return Err(Malformed),
            });
        }
        Ok(seen)
    }
}

/// The type of a part that failed.
const FAILED: i32 = -1;

fn write_part<R: Request>(request: &R, to: &mut Encoder<'_>) {
    write_part_header(R::TYPE, to);
    request.write(to);
}

fn write_part_header(of_type: i32, to: &mut Encoder<'_>) {
    to.int(of_type).bool(false).int(-1);
}

fn write_end(to: &mut Encoder<'_>) {
    to.int(-1).bool(true).int(-1);
}

/// The type of the next part; nothing at the end.
fn read_part(answer: &mut Decoder<'_>) -> Result<Option<i32>, Malformed> {
    let (of_type, done, _code) = (answer.int()?, answer.bool()?, answer.int()?);
    Ok((!done).then_some(of_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_whole_that_failed_the_part_is_told_that_failed() {
        let mut answer = Vec::new();
        let mut parts = Encoder(&mut answer);
        // `RUNTIMEINCONSISTENCY`: what was not tried.
        for code in [0, -110, -2] {
            parts.int(FAILED).bool(false).int(code).int(code);
        }
        write_end(&mut parts);
        assert_eq!(Multi::read(&mut Decoder(&answer)), Ok(Err((1, Code::NodeExists))));
    }

    #[test]
    fn of_a_whole_that_was_done_each_part_tells_what_it_did() {
        let mut answer = Vec::new();
        let mut parts = Encoder(&mut answer);
        parts.int(Delete::TYPE).bool(false).int(0);
        parts.int(Create::TYPE).bool(false).int(0).text("/a");
        // Made and changed; by which change, and when.
        parts.int(SetData::TYPE).bool(false).int(0).long(7).long(8).long(0).long(0);
        parts.int(1).int(4).int(0).long(9).int(0).int(2).long(7);
        write_end(&mut parts);
        let stat = Stat { czxid: 7, version: 1, cversion: 4, children: 2 };
        let done = vec![Done::Deleted, Done::Created("/a".to_owned()), Done::Set(stat)];
        assert_eq!(Multi::read(&mut Decoder(&answer)), Ok(Ok(done)));
    }
}
