//! What is sent, and how: a message is one datagram, a few hundred bytes of postcard.
//!
//! Requests name the incarnation of the witness that they are for and a recent time of its clock, by which one that was
//! recorded and is sent again counts for nothing; and they are numbered by their claimant, so that of two that overtake
//! each other the later one holds. An answer repeats the number.
//!
//! **Invariant:** what is decoded is bounded by the length of a datagram before anything is allocated for it.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{List, Time};

/// The longest message: it fits into one datagram on any link (RFC 8200 section 5), with what encrypts it.
pub const MAX_BYTES: usize = 1152;

/// The longest name of a host that is told: bytes.
pub const MAX_HOST: usize = 64;

/// The longest text of an agreement: pattern, limit and format.
const MAX_TERMS: usize = 384;

/// The most holders that are told at a time.
pub(crate) const MAX_ENTRIES: usize = 4;

/// What a datagram starts with. Of another version nothing else is certain.
const VERSION: u8 = 1;

/// 128 bits that tell one claimant, or one node, from all others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Id(pub [u8; 16]);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who claims.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Who {
    /// Whose place in the line is where: by when it was started, by the wall clock of its host, in milliseconds since
    /// 1970; of those started together, by its node and then its nonce.
    pub order: Order,
    /// The name of its host, for people.
    pub host: Arc<str>,
}

/// Who comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Order {
    /// When it was started: milliseconds since 1970, by its host's clock.
    pub start: u64,
    /// Which node it is, over reboots.
    pub node: Id,
    /// Which claimant, in this run of it.
    pub nonce: Id,
}

/// Which incarnation of a witness: a random number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// A message, from one node to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// From a claimant to a witness.
    Request(Request),
    /// The answer. The last one may come again when its turn has come to a claimant in line.
    Reply(Reply),
    /// From a witness to a witness.
    Call(Call),
    /// The answer.
    Echo(Echo),
    /// From who wants to know, to a witness.
    Ask(Ask),
    /// The answer.
    Page(Page),
}

/// What a claimant wants from now on of one witness.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    /// The claimant's list of witnesses.
    pub list: List,
    /// The incarnation of the witness that it is for.
    pub epoch: Epoch,
    /// The witness's time, as it told it last.
    pub stamp: Time,
    /// Greater than those of all earlier requests of the claimant to this witness.
    pub number: Number,
    /// Who asks.
    pub who: Who,
    /// What all claimants of the pool are given alike.
    pub terms: Arc<str>,
    /// For how long it asks at a time: milliseconds.
    pub lease: u32,
    /// What for.
    pub wish: Wish,
}

/// Which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Number {
    /// Of which process of the claimant: a later one has the greater number.
    pub process: u64,
    /// Which one of it.
    pub count: u32,
}

/// What a claimant wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Wish {
    /// A slot.
    Seek {
        /// Not before there are so many claimants.
        expected: u32,
        /// Whether it has given up what it tried to take.
        yields: bool,
        /// The slot that it had before: a witness may have forgotten it.
        had: Option<u32>,
    },
    /// That slot.
    Take {
        /// Which.
        slot: u32,
        /// The fencing token that it will have.
        token: u64,
    },
    /// More time for that slot.
    Keep {
        /// Which.
        slot: u32,
        /// The fencing token.
        token: u64,
        /// Whether the claimant has held it without a break, by grants that last yet: those of an earlier process count.
        /// Then nobody else can have had it since, whatever the witness knows.
        unbroken: bool,
    },
    /// Nothing any more.
    Release {
        /// The greatest token that it had or tried to have.
        token: u64,
    },
}

/// What a witness says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reply {
    /// To which claimant.
    pub to: Id,
    /// The witness's incarnation.
    pub epoch: Epoch,
    /// Its time.
    pub stamp: Time,
    /// That of the request.
    pub number: Number,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Nothing: it was for another incarnation, or late. To be sent again as the reply tells.
    Again,
    /// The place of who seeks.
    Place {
        /// The greatest token that the witness knows of.
        highest: u64,
        /// Where it is.
        place: Place,
    },
    /// The slot is the claimant's.
    Granted {
        /// For how long, from when it asked: milliseconds.
        lease: u32,
    },
    /// It is another's.
    Refused {
        /// Whose.
        by: Order,
        /// For how many milliseconds at least, unless it is given back.
        left: u32,
    },
    /// The token is not greater than all that the slot had.
    TooLow {
        /// The greatest that the witness knows of.
        highest: u64,
    },
    /// The slot is not held under that token, or a later process of the claimant has asked since.
    Gone,
    /// Nothing is held.
    Released,
    /// The witness grants nothing yet.
    Silent {
        /// For about so many milliseconds.
        left: u32,
    },
    /// The witness is one of another list: this.
    OtherList(List),
    /// The pool is another one: this.
    OtherTerms(Arc<str>),
    /// There are more claimants than the witness takes.
    Full,
}

/// Where a claimant is that seeks a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Place {
    /// It has one.
    Has {
        /// Which.
        slot: u32,
        /// Under which token.
        token: u64,
    },
    /// That one is for it to take.
    Offered {
        /// Which.
        slot: u32,
    },
    /// There are not as many claimants as it expects.
    Early {
        /// How many there are.
        seen: u32,
    },
    /// None is free.
    Waits {
        /// So many have their turn before.
        before: u32,
    },
}

/// One witness to another: that it is there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Call {
    /// The caller's list, and so who is called.
    pub list: List,
    /// Its incarnation.
    pub epoch: Epoch,
    /// When it called, by its clock.
    pub sent: Time,
}

/// What the other one knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Echo {
    /// Its own list.
    pub list: List,
    /// Its own incarnation.
    pub epoch: Epoch,
    /// Whose call it answers.
    pub caller: Epoch,
    /// Which call.
    pub sent: Time,
    /// The longest lease that it, or another one, may have granted: milliseconds.
    pub lease: u32,
    /// Whether it can have had no earlier incarnation, as far as its host tells.
    pub first: bool,
    /// Whether it knows of another incarnation at the caller's address.
    pub knows_another: bool,
}

/// Who has which slot, from `from` on? It is as long as any answer, so that nobody who asks in another's name has that one
/// be sent more than was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ask {
    /// Of which pool.
    pub pool: Arc<str>,
    /// Returned with the answer.
    pub number: u64,
    /// From which slot on.
    pub from: u32,
}

/// Some of a pool's holders, as one witness knows them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Page {
    /// That of the question.
    pub number: u64,
    /// The witness's list.
    pub list: List,
    /// What the pool's claimants are given alike; empty if nobody claimed.
    pub terms: Arc<str>,
    /// Holders, in the order of their slots.
    pub entries: Vec<Entry>,
    /// The slot to ask from next; none if these are the last.
    pub next: Option<u32>,
    /// How many are in line.
    pub waiting: u32,
}

/// One holder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The place in the pool.
    pub slot: u32,
    /// The fencing token.
    pub token: u64,
    /// Who has it.
    pub who: Who,
    /// For how long it asks at a time: milliseconds.
    pub lease: u32,
    /// For how many milliseconds it has had it.
    pub age: u64,
}

/// Why a datagram is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It was sent by another version of nsid.
    #[error("it is of version {0} of the messages, not {VERSION}")]
    Version(u8),
    /// It is too long, too short or garbled.
    #[error("it is no message")]
    Malformed,
}

impl Message {
    /// As it is sent. Nothing: a text in it is too long.
    pub fn encode(&self) -> Option<Vec<u8>> {
        if !self.is_bounded() {
            return None;
        }
        let mut bytes = postcard::to_extend(self, vec![VERSION]).ok()?;
        if let Self::Ask(_) = self {
            bytes.resize(MAX_BYTES.max(bytes.len()), 0);
        }
        (bytes.len() <= MAX_BYTES).then_some(bytes)
    }

    /// From a datagram.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (version, rest) = bytes.split_first().ok_or(DecodeError::Malformed)?;
        if *version != VERSION {
            return Err(DecodeError::Version(*version));
        }
        if bytes.len() > MAX_BYTES {
            return Err(DecodeError::Malformed);
        }
        match postcard::take_from_bytes::<Self>(rest) {
            Ok((message @ Self::Ask(_), rest))
                if bytes.len() == MAX_BYTES && rest.iter().all(|byte| *byte == 0) && message.is_bounded() =>
            {
                Ok(message)
            }
            Ok((Self::Ask(_), _)) => Err(DecodeError::Malformed),
            Ok((message, [])) if message.is_bounded() => Ok(message),
            Ok(_) | Err(_) => Err(DecodeError::Malformed),
        }
    }

    fn is_bounded(&self) -> bool {
        match self {
            Self::Request(request) => request.who.host.len() <= MAX_HOST && request.terms.len() <= MAX_TERMS,
            Self::Reply(reply) => match &reply.verdict {
                Verdict::OtherTerms(terms) => terms.len() <= MAX_TERMS,
                _ => true,
            },
            Self::Call(_) | Self::Echo(_) => true,
            Self::Ask(ask) => ask.pool.len() <= MAX_TERMS,
            Self::Page(page) => {
                page.terms.len() <= MAX_TERMS
                    && page.entries.len() <= MAX_ENTRIES
                    && page.entries.iter().all(|entry| entry.who.host.len() <= MAX_HOST)
            }
        }
    }
}

/// A message and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outgoing {
    /// The address.
    pub to: SocketAddr,
    /// The message.
    pub message: Message,
}
