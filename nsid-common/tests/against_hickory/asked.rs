//! What a query asks, against hickory-proto and against how it was built.

use super::oracle::{Signature, cases, message, with_model};
use hickory_proto::op::MessageType;
use nsid_common::{
    asked::{Asked, AskedEdns, asked},
    identity::{Identity, Question, identity},
};
use proptest::prelude::*;

fn asks(bytes: &[u8]) -> Option<Asked> {
    with_model(|model| asked(&model.frame(&mut bytes.to_vec()), 0, bytes.len()))
}

/// A query of one question, built byte by byte, with or without an empty OPT.
fn question(flags: u16, question: &[u8], opt: Option<&[u8]>) -> Vec<u8> {
    let mut message = vec![0x12, 0x34];
    message.extend(flags.to_be_bytes());
    message.extend([0, 1, 0, 0, 0, 0, 0, u8::from(opt.is_some())]);
    message.extend(question);
    message.extend(opt.unwrap_or_default());
    message
}

const ID_SERVER: &[u8] = b"\x02id\x06server\0\0\x10\0\x03";
const HOSTNAME_BIND: &[u8] = b"\x08hostname\x04bind\0\0\x10\0\x03";
const EMPTY_OPT: &[u8] = &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];

fn identity_of(message: &[u8]) -> Option<Question> {
    let found = with_model(|model| identity(&model.frame(&mut message.to_vec()), 0, message.len()))?;
    assert_eq!(
        asks(message),
        Some(Asked { edns: found.edns(), signed: false }),
        "its OPT is that of any query"
    );
    let questions = [Question::IdServer, Question::HostnameBind];
    questions.into_iter().find(|question| Identity::new(*question, found.sum(), found.edns()) == found)
}

/// The same letters in any case.
fn in_any_case(question: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<bool>(), question.len()).prop_map(move |upper| {
        let in_case = |(byte, upper): (&u8, bool)| if upper { byte.to_ascii_uppercase() } else { *byte };
        question.iter().zip(upper).map(in_case).collect()
    })
}

fn edns() -> impl Strategy<Value = Option<AskedEdns>> {
    let edns = (any::<u16>(), any::<[bool; 3]>()).prop_map(|(udp_size, [later_version, dnssec_ok, nsid])| {
        AskedEdns { udp_size, later_version, dnssec_ok, nsid }
    });
    proptest::option::of(edns)
}

#[test]
fn only_a_standard_query_for_an_identity_is_one() {
    // QR or an OPCODE make it something else (RFC 1035 4.1.1); the other flags do not.
    for (flags, expected) in [
        (0x0000, Some(Question::IdServer)),
        (0x0100, Some(Question::IdServer)),
        (0x07ff, Some(Question::IdServer)),
        (0x8000, None),
        (0x0800, None),
        (0x4000, None),
    ] {
        assert_eq!(identity_of(&question(flags, ID_SERVER, None)), expected, "{flags:#06x}");
        assert_eq!(identity_of(&question(flags, ID_SERVER, Some(EMPTY_OPT))), expected, "{flags:#06x}, OPT");
    }
}

#[test]
fn bytes_behind_the_message_are_not_answered() {
    // With four bytes behind it, one is as long as the other.
    for (identity, behind) in [ID_SERVER, HOSTNAME_BIND].into_iter().flat_map(|of| [(of, 1), (of, 4)]) {
        let behind = &[0; 4][..behind];
        assert_eq!(identity_of(&[&question(0, identity, None)[..], behind].concat()), None);
        assert_eq!(asks(&[&question(0, identity, Some(EMPTY_OPT))[..], behind].concat()), None);
    }
}

#[test]
fn an_identity_question_with_another_record_is_not_answered() {
    let a_record = b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\x0a\0\0\x01";
    let mut message = question(0, ID_SERVER, Some(a_record));
    assert_eq!(identity_of(&message), None);
    assert_eq!(asks(&message), Some(Asked { edns: None, signed: false }));
    (message[11], message[7]) = (0, 1);
    assert_eq!(identity_of(&message), None, "as an answer");
    assert_eq!(asks(&message), Some(Asked { edns: None, signed: false }), "as an answer");
    let mut message = question(0, ID_SERVER, Some(&[a_record, EMPTY_OPT].concat()));
    message[11] = 2;
    assert_eq!(identity_of(&message), None);
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn what_was_built_is_asked(case in message(MessageType::Query)) {
        let edns = case.options.as_ref().map(|options| AskedEdns {
            udp_size: case.udp_size,
            later_version: case.version != 0,
            dnssec_ok: case.dnssec_ok,
            nsid: options.iter().any(|(code, _)| *code == 3),
        });
        let expected = match case.signature {
            Signature::None => Asked { edns, signed: false },
            Signature::Tsig | Signature::Sig0 => Asked { edns: None, signed: true },
        };
        prop_assert_eq!(asks(&case.bytes), Some(expected));
    }

    #[test]
    fn an_identity_is_asked_for_in_letters_of_any_case(
        id in in_any_case(ID_SERVER),
        hostname in in_any_case(HOSTNAME_BIND),
        opt: bool,
    ) {
        let opt = opt.then_some(EMPTY_OPT);
        prop_assert_eq!(identity_of(&question(0x0100, &id, opt)), Some(Question::IdServer));
        prop_assert_eq!(identity_of(&question(0x0100, &hostname, opt)), Some(Question::HostnameBind));
    }

    #[test]
    fn any_other_byte_of_the_question_makes_it_another(at in 0..19_usize, bit in 0..8_u32) {
        for identity in [ID_SERVER, HOSTNAME_BIND] {
            let Some(byte) = identity.get(at) else { continue };
            let mut other = identity.to_vec();
            other[at] ^= 1 << bit;
            let same = byte.is_ascii_alphabetic() && bit == 5;
            prop_assert_eq!(identity_of(&question(0, &other, None)).is_some(), same);
        }
    }

    #[test]
    fn what_is_asked_is_the_same_as_one_word(edns in edns(), signed: bool) {
        let asked = Asked { edns, signed };
        prop_assert_eq!(Asked::unpack(asked.pack()), asked);
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), start in 0..300_usize, end in 0..300_usize) {
        let mut bytes = bytes;
        with_model(|model| asked(&model.frame(&mut bytes), start, end));
        with_model(|model| identity(&model.frame(&mut bytes), start, end));
    }
}
