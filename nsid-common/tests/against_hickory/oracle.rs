//! Random DNS messages, built by hickory-proto, with what is known of them from how they were built.

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{
        DNSClass, Name, RData, Record, RecordType,
        rdata::{
            A, NULL, OPT,
            opt::{EdnsOption, NSIDPayload},
        },
    },
};
use nsid_common::model::Model;
use proptest::{collection::vec, prelude::*};

/// As many cases; nothing is kept of those that failed but what is printed.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// With a model of its own for each thread: making one takes longer than most tests.
pub(crate) fn with_model<T>(test: impl FnOnce(&Model) -> T) -> T {
    thread_local!(static MODEL: Model = Model::new());
    MODEL.with(test)
}

/// How a message is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    None,
    Tsig,
    Sig0,
}

/// A message and what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) bytes: Vec<u8>,
    /// The options of OPT in their order; `None`: no OPT.
    pub(crate) options: Option<Vec<(u16, Vec<u8>)>>,
    pub(crate) udp_size: u16,
    pub(crate) dnssec_ok: bool,
    pub(crate) version: u8,
    /// OPT is the last record.
    pub(crate) last: bool,
    pub(crate) signature: Signature,
    /// Bytes of the message to the end of OPT.
    pub(crate) opt_end: usize,
}

impl Case {
    /// Bytes of OPT's RDATA.
    pub(crate) fn rdlength(&self) -> usize {
        self.options.iter().flatten().map(|(_, data)| 4 + data.len()).sum()
    }

    /// Offset of the first NSID.
    pub(crate) fn nsid(&self) -> Option<usize> {
        let options = self.options.as_ref()?;
        let first = options.iter().position(|(code, _)| *code == 3)?;
        let before: usize = options[..first].iter().map(|(_, data)| 4 + data.len()).sum();
        Some(self.opt_end - self.rdlength() + before)
    }
}

fn label() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => vec(b'a'..=b'e', 1..4),
        2 => vec(any::<u8>(), 1..12),
        1 => vec(b'a'..=b'z', 63),
    ]
}

fn name() -> impl Strategy<Value = Name> {
    let fits = |labels: Vec<Vec<u8>>| {
        let mut length = 1;
        let fitting = labels.into_iter().take_while(move |label| {
            length += 1 + label.len();
            length <= 255
        });
        let fitting: Vec<Vec<u8>> = fitting.collect();
        Name::from_labels(fitting.iter().map(Vec::as_slice)).expect("labels of 1 to 63 bytes, 255 in all")
    };
    prop_oneof![
        8 => vec(label(), 0..6).prop_map(fits),
        1 => vec(vec(b'a'..=b'e', 1), 120..=127).prop_map(fits),
        1 => vec(label(), 20..40).prop_map(fits),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let data = prop_oneof![
        4 => any::<[u8; 4]>().prop_map(|[a, b, c, d]| RData::A(A::new(a, b, c, d))),
        2 => (1000..2000_u16, vec(any::<u8>(), 1..24)).prop_map(unknown),
    ];
    (name(), any::<u32>(), data).prop_map(|(name, ttl, data)| Record::from_rdata(name, ttl >> 1, data))
}

/// An ordinary SIG covers a type (RFC 2535 4.1), and signs no message. hickory reads it in one section only.
fn ordinary_sig() -> impl Strategy<Value = Record> {
    vec(1..255_u8, 19..24).prop_map(|data| Record::from_rdata(Name::root(), 0, unknown((24, data))))
}

fn unknown((code, data): (u16, Vec<u8>)) -> RData {
    RData::Unknown { code: RecordType::from(code), rdata: NULL::with(data) }
}

/// Up to 32 options: as many as are looked through.
fn options() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
    // Client subnet (8) is not for random bytes: hickory reads its data.
    let code = prop_oneof![3 => Just(3), 1 => Just(10), 1 => Just(12), 1 => 0x1000..0xffff_u16];
    let data = prop_oneof![3 => vec(any::<u8>(), 0..12), 1 => vec(any::<u8>(), 0..100)];
    prop_oneof![
        4 => vec((code.clone(), data), 0..7),
        1 => vec((code, vec(any::<u8>(), 0..3)), 0..31),
    ]
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    prop_oneof![6 => vec(record(), 0..4), 1 => vec(record(), 0..40), 1 => short_records()]
}

/// More than 128 of them in one message.
fn short_records() -> impl Strategy<Value = Vec<Record>> {
    let record = Record::from_rdata(Name::root(), 1, unknown((1000, vec![1])));
    (0..145_usize).prop_map(move |count| vec![record.clone(); count])
}

fn edns() -> impl Strategy<Value = (u16, bool, u8, Vec<(u16, Vec<u8>)>)> {
    (
        // hickory writes no size below 512.
        prop_oneof![1 => 512..=u16::MAX, 1 => Just(1232)],
        any::<bool>(),
        prop_oneof![3 => Just(0), 1 => any::<u8>()],
        options(),
    )
}

/// A well-formed message that can be reached whole behind all headers.
pub(crate) fn message(kind: MessageType) -> impl Strategy<Value = Case> {
    let signature =
        prop_oneof![8 => Just(Signature::None), 1 => Just(Signature::Tsig), 1 => Just(Signature::Sig0)];
    let header = (any::<u16>(), any::<[bool; 6]>(), 0..6_u8, 0..16_u8);
    let additionals = (records(), proptest::option::weighted(0.1, ordinary_sig()));
    let opt = (proptest::option::weighted(0.8, edns()), prop_oneof![5 => Just(0), 1 => 1..3_usize]);
    (header, name(), any::<u16>(), records(), records(), additionals, opt, signature)
        .prop_map(move |(header, name, rtype, answers, authorities, (additionals, sig), opt, signature)| {
            let (id, [aa, tc, rd, ra, ad, cd], op_code, rcode) = header;
            // UPDATE (5) gives the sections another meaning (RFC 2136), which hickory checks.
            let mut message =
                Message::new(id, kind, if op_code == 5 { OpCode::Query } else { OpCode::from_u8(op_code) });
            message.metadata.authoritative = aa;
            message.metadata.truncation = tc;
            message.metadata.recursion_desired = rd;
            message.metadata.recursion_available = ra;
            message.metadata.authentic_data = ad;
            message.metadata.checking_disabled = cd;
            message.metadata.response_code = ResponseCode::from(0, rcode);
            message.add_query(Query::query(name, RecordType::from(rtype)));
            message
                .add_answers(answers)
                .add_authorities(authorities)
                .add_additionals(additionals.into_iter().chain(sig));
            case(message, opt, signature)
        })
        .prop_filter("longer than can be reached", |case| case.bytes.len() < 1850)
}

type Opt = (Option<(u16, bool, u8, Vec<(u16, Vec<u8>)>)>, usize);

/// The message with OPT, which has `behind` of the additional records behind it.
fn case(mut message: Message, (opt, behind): Opt, signature: Signature) -> Case {
    let (mut options, mut last, mut opt_end) = (None, false, 0);
    let (mut udp_size, mut dnssec_ok, mut version) = (0, false, 0);
    if let Some((size, with_do, edns_version, opt)) = opt {
        let mut edns = Edns::new();
        edns.set_version(edns_version).set_dnssec_ok(with_do);
        *edns.options_mut() =
            OPT::new(opt.iter().map(|(code, data)| ((*code).into(), option(*code, data))).collect());
        let mut record = Record::from(&edns);
        record.dns_class = DNSClass::OPT(size);
        let mut behind = message.additionals.split_off(message.additionals.len().saturating_sub(behind));
        last = behind.is_empty() && signature == Signature::None;
        message.additionals.push(record);
        opt_end = message.to_vec().expect("fits a message").len();
        message.additionals.append(&mut behind);
        (udp_size, dnssec_ok, version, options) = (size, with_do, edns_version, Some(opt));
    }
    match signature {
        Signature::None => {}
        Signature::Tsig => {
            message.add_additional(signed(250, tsig()));
        }
        Signature::Sig0 => {
            message.add_additional(signed(24, [&[0, 0][..], &[1; 30]].concat()));
        }
    }
    let bytes = message.to_vec().expect("fits a message");
    Case { bytes, options, udp_size, dnssec_ok, version, last, signature, opt_end }
}

fn signed(code: u16, data: Vec<u8>) -> Record {
    let mut record = Record::from_rdata(Name::root(), 0, unknown((code, data)));
    record.dns_class = DNSClass::ANY;
    record
}

/// RFC 8945 4.2: algorithm, time, fudge, MAC, original id, error, other data.
fn tsig() -> Vec<u8> {
    let mac = [7; 32];
    [b"\x0bhmac-sha256\0", &[0, 0, 0x65, 0, 0, 0, 1, 44, 0, 32][..], &mac, &[0; 6]].concat()
}

fn option(code: u16, data: &[u8]) -> EdnsOption {
    match code {
        3 => EdnsOption::NSID(NSIDPayload::new(data).expect("a short one")),
        _ => EdnsOption::Unknown(code, data.to_vec()),
    }
}
