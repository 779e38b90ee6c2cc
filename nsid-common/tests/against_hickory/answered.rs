//! Answers to questions for the server's own name, as hickory-proto and etherparse read them.

use std::net::{IpAddr, SocketAddr};

use super::{
    agreement::options_of,
    oracle::{cases, with_model},
};
use hickory_proto::{
    op::{Message as Decoded, MessageType, OpCode, ResponseCode},
    rr::{DNSClass, RData},
};
use nsid_common::{
    clients::{ANSWERED, NAMED},
    maps::Address,
    model::{Client, Datagram, MAC, Model, Room, checksums_hold},
    outcome::Outcome,
    served::Endpoint,
};
use proptest::{collection::vec, prelude::*};

/// A query for the server's own name.
#[derive(Clone, Debug)]
struct Query {
    question: Vec<u8>,
    id: [u8; 2],
    /// RD and the flags behind it.
    flags: [u8; 2],
    opt: Option<Opt>,
    name: Vec<u8>,
    client: SocketAddr,
    server: SocketAddr,
    tags: Vec<[u16; 2]>,
    padding: usize,
}

#[derive(Clone, Debug)]
struct Opt {
    udp_size: u16,
    dnssec_ok: bool,
    options: Vec<(u16, Vec<u8>)>,
}

impl Query {
    fn message(&self) -> Vec<u8> {
        let mut message =
            [self.id, self.flags, [0, 1], [0, 0], [0, 0], [0, u8::from(self.opt.is_some())]].concat();
        message.extend(&self.question);
        if let Some(Opt { udp_size, dnssec_ok, options }) = &self.opt {
            let options = options.iter().flat_map(|(code, data)| {
                let length = u16::try_from(data.len()).unwrap();
                [&code.to_be_bytes()[..], &length.to_be_bytes(), data].concat()
            });
            let options: Vec<u8> = options.collect();
            message.extend([0, 0, 41]);
            message.extend(udp_size.to_be_bytes());
            message.extend([0, 0, if *dnssec_ok { 0x80 } else { 0 }, 0]);
            message.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
            message.extend(options);
        }
        message
    }

    fn datagram(&self) -> Datagram {
        let mut datagram = Datagram::new(self.client, self.server, self.message());
        datagram.tags.clone_from(&self.tags);
        datagram
    }

    fn asks_for_nsid(&self) -> bool {
        self.opt.as_ref().is_some_and(|opt| opt.options.iter().any(|(code, _)| *code == 3))
    }

    fn prepare(&self, model: &Model) {
        model.serve(
            &Endpoint { address: address(self.server.ip()), port: self.server.port().to_be_bytes() },
            0,
        );
        model.say(0, &self.name, u64::MAX);
        model.attach(1, MAC, 1500);
    }
}

fn address(ip: IpAddr) -> Address {
    match ip {
        IpAddr::V4(ip) => Address::v4(ip.octets()),
        IpAddr::V6(ip) => Address::v6(ip.octets()),
    }
}

fn everyone(model: &mut Model) {
    let everybody = Client { network: Address { high: 0, low: 0 }, prefix_len: 0, says: ANSWERED | NAMED };
    model.set_clients(&[everybody]);
}

fn query() -> impl Strategy<Value = Query> {
    let question = prop_oneof![
        Just(b"\x02id\x06server\0\0\x10\0\x03".to_vec()),
        Just(b"\x02iD\x06SErvEr\0\0\x10\0\x03".to_vec()),
        Just(b"\x08hostname\x04bind\0\0\x10\0\x03".to_vec()),
        Just(b"\x08HOSTNAME\x04BIND\0\0\x10\0\x03".to_vec()),
    ];
    let addresses = prop_oneof![
        (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(client, server)| (client.into(), server.into())),
        // No mapped addresses (RFC 4291 2.5.5.2), whose first bytes are 0.
        (any::<[u8; 15]>(), any::<[u8; 16]>())
            .prop_map(|(client, server)| ([&[0xfd][..], &client].concat().try_into().unwrap(), server))
            .prop_map(|(client, server): ([u8; 16], [u8; 16])| (client.into(), server.into())),
    ];
    let options = vec((prop_oneof![Just(3), Just(10), Just(12)], vec(any::<u8>(), 0..40)), 0..4);
    // Who asks twice is left to the server.
    let once = |options: &Vec<(u16, Vec<u8>)>| options.iter().filter(|(code, _)| *code == 3).count() < 2;
    let options = options.prop_filter("asks twice", once);
    let opt = (any::<u16>(), any::<bool>(), options).prop_map(|(udp_size, dnssec_ok, options)| Opt {
        udp_size,
        dnssec_ok,
        options,
    });
    let name = prop_oneof![vec(b'a'..=b'z', 1..=128), vec(b'a'..=b'z', 1..8), Just(vec![b'x'; 128])];
    let tags = vec(prop_oneof![Just([0x8100, 7]), Just([0x88a8, 7])], 0..=2);
    let flags = (any::<bool>(), any::<u8>()).prop_map(|(rd, low)| [u8::from(rd), low]);
    (
        question,
        any::<[u8; 2]>(),
        flags,
        proptest::option::of(opt),
        name,
        addresses,
        1..=u16::MAX,
        tags,
        0..300_usize,
    )
        .prop_map(|(question, id, flags, opt, name, (client, server), port, tags, padding)| Query {
            question,
            id,
            flags,
            opt,
            name,
            client: SocketAddr::new(client, port),
            server: SocketAddr::new(server, 53),
            tags,
            padding,
        })
}

/// What of the frame the answer is not: everything is checked but its payload.
fn check_headers(query: &Query, frame: &[u8]) -> Result<(), TestCaseError> {
    let sent = query.datagram();
    let packet = etherparse::SlicedPacket::from_ethernet(frame).unwrap();
    let ethernet = packet.link.as_ref().unwrap().to_header().unwrap().ethernet2().unwrap();
    let [to, from] = sent.macs;
    prop_assert_eq!([ethernet.source, ethernet.destination], [to, from]);
    prop_assert_eq!(&frame[12..sent.ip()], &sent.frame()[12..sent.ip()], "tags and EtherType");
    match packet.net.unwrap() {
        etherparse::NetSlice::Ipv4(ip) => {
            let header = ip.header();
            prop_assert_eq!(header.source_addr(), query.server.ip());
            prop_assert_eq!(header.destination_addr(), query.client.ip());
            prop_assert_eq!((header.ttl(), header.dont_fragment(), header.identification()), (64, true, 0));
            prop_assert_eq!(header.to_header().calc_header_checksum(), header.header_checksum());
            prop_assert_eq!(usize::from(header.total_len()), frame.len() - sent.ip());
        }
        etherparse::NetSlice::Ipv6(ip) => {
            let header = ip.header();
            prop_assert_eq!(header.source_addr(), query.server.ip());
            prop_assert_eq!(header.destination_addr(), query.client.ip());
            prop_assert_eq!((header.hop_limit(), header.traffic_class()), (64, 0));
            prop_assert_eq!(usize::from(header.payload_length()), frame.len() - sent.udp());
        }
        etherparse::NetSlice::Arp(arp) => panic!("{arp:?}"),
    }
    let Some(etherparse::TransportSlice::Udp(udp)) = packet.transport else { panic!("not UDP") };
    prop_assert_eq!((udp.source_port(), udp.destination_port()), (53, query.client.port()));
    prop_assert_ne!(udp.checksum(), 0);
    prop_assert!(checksums_hold(frame, sent.udp()));
    Ok(())
}

fn check_message(query: &Query, message: &[u8]) -> Result<(), TestCaseError> {
    let behind = 12 + query.question.len();
    prop_assert_eq!(&message[12..behind], &query.question, "in the requestor's letters");
    let answer = Decoded::from_vec(message).unwrap();
    prop_assert_eq!(answer.metadata.id.to_be_bytes(), query.id);
    prop_assert_eq!(answer.metadata.message_type, MessageType::Response);
    prop_assert_eq!(answer.metadata.op_code, OpCode::Query);
    prop_assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    prop_assert_eq!(answer.metadata.recursion_desired, query.flags[0] == 1);
    prop_assert!(answer.metadata.authoritative);
    prop_assert!(!answer.metadata.truncation && !answer.metadata.recursion_available);
    prop_assert_eq!((answer.queries.len(), answer.authorities.len(), answer.additionals.len()), (1, 0, 0));
    let [record] = &answer.answers[..] else { panic!("one record") };
    prop_assert_eq!(&record.name, answer.queries[0].name());
    prop_assert_eq!((record.dns_class, record.ttl), (DNSClass::CH, 0));
    let RData::TXT(txt) = &record.data else { panic!("TXT") };
    prop_assert_eq!(&*txt.txt_data, &[query.name.clone().into_boxed_slice()]);
    let expected_options = query
        .opt
        .as_ref()
        .map(|_| if query.asks_for_nsid() { vec![(3, query.name.clone())] } else { vec![] });
    prop_assert_eq!(options_of(&answer), expected_options);
    if let (Some(edns), Some(asked)) = (&answer.edns, &query.opt) {
        prop_assert_eq!((edns.version(), edns.max_payload()), (0, 1232));
        prop_assert_eq!(edns.flags().dnssec_ok, asked.dnssec_ok);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn the_answer_is_right_to_the_last_byte(query in query()) {
        let mut model = Model::new();
        everyone(&mut model);
        query.prepare(&model);
        let mut frame = query.datagram().frame();
        frame.resize(frame.len() + query.padding, 0x77);
        prop_assert_eq!(model.queries(&mut frame), Outcome::Answered);
        check_headers(&query, &frame)?;
        check_message(&query, &frame[query.datagram().dns()..])?;
    }

    #[test]
    fn without_room_or_leave_the_query_passes_as_it_came(query in query()) {
        let before = query.datagram().frame();
        let check = |model: &Model, expected: &[Outcome]| {
            query.prepare(model);
            let mut frame = before.clone();
            let outcome = model.queries(&mut frame);
            prop_assert!(expected.contains(&outcome), "{outcome:?}");
            if outcome != Outcome::Answered || model.control.observe.get() != 0 {
                prop_assert_eq!(&frame, &before);
            }
            Ok(())
        };
        with_model(|model| check(model, &[Outcome::AnswerClient]))?;
        let mut model = Model::new();
        everyone(&mut model);
        model.room = Room::None;
        // Room is not needed where the query is as long as its answer.
        check(&model, &[Outcome::AnswerNoRoom, Outcome::Answered])?;
        model.control.observe.set(1);
        check(&model, &[Outcome::Answered])?;
        model.control.enabled.set(0);
        check(&model, &[Outcome::AnswerOff])?;
    }
}
