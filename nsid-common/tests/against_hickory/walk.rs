//! The walk over a message against hickory-proto: what both find in the same bytes.

use super::{
    agreement::{asks_alike, options_of, walks_alike},
    oracle::{Case, Signature, cases, message, with_model},
};
use hickory_proto::op::{Message as Decoded, MessageType};
use nsid_common::dns::{Edns, Message, walk};
use proptest::{collection::vec, prelude::*, sample::Index};

fn walked(bytes: &[u8]) -> Option<Message> {
    with_model(|model| walk(&model.frame(&mut bytes.to_vec()), 0, bytes.len()))
}

fn expected(case: &Case) -> Message {
    if case.signature != Signature::None {
        return Message::Signed;
    }
    match case.options {
        None => Message::Plain,
        Some(_) => {
            Message::Edns(Edns { rdata: case.opt_end - case.rdlength(), nsid: case.nsid(), last: case.last })
        }
    }
}

fn kind() -> impl Strategy<Value = MessageType> {
    prop_oneof![Just(MessageType::Query), Just(MessageType::Response)]
}

/// A change of a message: bytes set, cut off or added.
#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Set(at, byte) => *at.get_mut(bytes) = *byte,
            Self::Flip(at, bit) => *at.get_mut(bytes) ^= 1 << bit,
            Self::Cut(at) => bytes.truncate(at.index(bytes.len()).max(1)),
            Self::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
        }
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        4 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        1 => any::<Index>().prop_map(Mutation::Cut),
        1 => (any::<Index>(), vec(any::<u8>(), 1..4)).prop_map(|(at, more)| Mutation::Insert(at, more)),
    ]
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn what_was_built_is_found(case in kind().prop_flat_map(message)) {
        prop_assert_eq!(walked(&case.bytes), Some(expected(&case)));
        let decoded = Decoded::from_vec(&case.bytes).unwrap();
        prop_assert_eq!(options_of(&decoded), case.options);
    }

    #[test]
    fn a_finding_is_the_same_as_one_word(case in kind().prop_flat_map(message)) {
        let found = walked(&case.bytes).unwrap();
        prop_assert_eq!(Message::unpack(found.pack()), found);
    }

    #[test]
    fn a_byte_more_or_less_at_the_end_is_malformed(case in kind().prop_flat_map(message)) {
        prop_assume!(case.signature == Signature::None);
        prop_assert_eq!(walked(&case.bytes[..case.bytes.len() - 1]), None);
        prop_assert_eq!(walked(&[&case.bytes[..], &[0]].concat()), None);
    }

    #[test]
    fn mutants_are_read_as_hickory_reads_them(
        case in kind().prop_flat_map(message),
        mutations in vec(mutation(), 1..4),
    ) {
        let mut bytes = case.bytes;
        for mutation in &mutations {
            mutation.apply(&mut bytes);
        }
        with_model(|model| {
            walks_alike(model, &bytes);
            asks_alike(model, &bytes);
        });
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in vec(any::<u8>(), 0..200), start in 0..300_usize, end in 0..300_usize) {
        let mut bytes = bytes;
        with_model(|model| walk(&model.frame(&mut bytes), start, end));
    }
}
