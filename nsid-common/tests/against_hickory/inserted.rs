//! Responses to noted queries: what leaves is the message of before with the name in OPT, or the very same bytes.

use std::net::SocketAddr;

use super::{
    agreement::named_alike,
    oracle::{Case, Signature, cases, message, with_model},
};
use hickory_proto::op::MessageType;
use nsid_common::{
    maps::Address,
    model::{Checksums, Datagram, MAC, Model, Room, Segments},
    outcome::Outcome,
    served::Endpoint,
};
use proptest::{collection::vec, prelude::*};

/// A response, and all that decides on what becomes of it.
#[derive(Clone, Debug)]
struct Response {
    case: Case,
    name: Vec<u8>,
    udp_size: u16,
    mtu: u64,
    client: SocketAddr,
    server: SocketAddr,
    tags: Vec<[u16; 2]>,
}

impl Response {
    fn datagram(&self, payload: &[u8]) -> Datagram {
        let mut datagram = Datagram::new(self.server, self.client, payload.to_vec());
        datagram.tags.clone_from(&self.tags);
        datagram
    }

    /// Serves, says, and notes the query of this response.
    fn prepare(&self, model: &Model) {
        let address = match self.server {
            SocketAddr::V4(server) => Address::v4(server.ip().octets()),
            SocketAddr::V6(server) => Address::v6(server.ip().octets()),
        };
        model.serve(&Endpoint { address, port: self.server.port().to_be_bytes() }, 0);
        model.say(0, &self.name, u64::MAX);
        model.attach(1, MAC, self.mtu);
        let mut query = self.case.bytes[..2].to_vec();
        query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1]);
        query.extend([0, 0, 41]);
        query.extend(self.udp_size.to_be_bytes());
        query.extend([0, 0, 0, 0, 0, 4, 0, 3, 0, 0]);
        let mut frame = Datagram::new(self.client, self.server, query).frame();
        assert_eq!(model.queries(&mut frame), Outcome::QueryNoted);
    }

    fn own_nsids(&self) -> usize {
        self.case.options.iter().flatten().filter(|(code, _)| *code == 3).count()
    }

    /// The message with the name in OPT, if OPT is last.
    fn named(&self) -> Vec<u8> {
        let mut options = vec![];
        let others = self.case.options.iter().flatten().filter(|(code, _)| *code != 3);
        for (code, data) in others.map(|(code, data)| (*code, data)).chain([(3, &self.name)]) {
            options.extend(code.to_be_bytes());
            options.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            options.extend(data);
        }
        let mut message = self.case.bytes[..self.case.opt_end - self.case.rdlength() - 2].to_vec();
        message.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
        message.extend(options);
        message
    }

    /// By the insert rules (RFC 5001, 6891, 8945, 2931).
    fn expected(&self) -> Outcome {
        let Case { signature, options, last, bytes, .. } = &self.case;
        if *signature != Signature::None {
            return Outcome::ResponseSigned;
        }
        if options.is_none() {
            return Outcome::ResponseNoOpt;
        }
        if !last {
            return Outcome::ResponseOptNotLast;
        }
        if self.own_nsids() > 4 || self.case.nsid().is_some_and(|first| bytes.len() - first > 512) {
            return Outcome::ResponseTooLarge;
        }
        let length = self.named().len();
        let before = self.datagram(&[]).frame().len();
        if before + length > 2047 {
            return Outcome::ResponseTooLarge;
        }
        let on_link = before + length - 14 - 4 * self.tags.len();
        if length > usize::from(self.udp_size.max(512)) || on_link as u64 > self.mtu {
            return Outcome::ResponseNoRoom;
        }
        if self.own_nsids() == 0 { Outcome::Inserted } else { Outcome::Replaced }
    }
}

fn response() -> impl Strategy<Value = Response> {
    let addresses = prop_oneof![
        (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(client, server)| (client.into(), server.into())),
        (any::<[u8; 16]>(), any::<[u8; 16]>()).prop_map(|(client, server)| (client.into(), server.into())),
    ];
    let name = prop_oneof![vec(any::<u8>(), 1..=128), vec(any::<u8>(), 1..8), vec(any::<u8>(), 128)];
    let udp_size = prop_oneof![1 => 0..2000_u16, 1 => Just(512), 2 => Just(1232), 4 => Just(4096)];
    let mtu = prop_oneof![1 => 1280..1500_u64, 4 => Just(1500), 4 => Just(9000)];
    let tags = vec(prop_oneof![Just([0x8100, 7]), Just([0x88a8, 7])], 0..=2);
    (message(MessageType::Response), name, udp_size, mtu, addresses, any::<u16>(), tags).prop_map(
        |(case, name, udp_size, mtu, (client, server), port, tags)| Response {
            case,
            name,
            udp_size,
            mtu,
            client: SocketAddr::new(client, port),
            server: SocketAddr::new(server, 53),
            tags,
        },
    )
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn a_response_leaves_with_the_name_or_as_it_came(response in response()) {
        with_model(|model| {
            response.prepare(model);
            let before = response.datagram(&response.case.bytes).frame();
            let mut frame = before.clone();
            let outcome = model.responses(&mut frame);
            prop_assert_eq!(outcome, response.expected());
            if !matches!(outcome, Outcome::Inserted | Outcome::Replaced) {
                prop_assert_eq!(frame, before);
                return Ok(());
            }
            let named = response.named();
            let expected = response.datagram(&named);
            prop_assert_eq!(&frame, &expected.frame(), "lengths and checksums too");
            named_alike(&response.case.bytes, &frame[expected.dns()..], &response.name);
            Ok(())
        })?;
    }

    #[test]
    fn a_datagram_without_checksum_stays_without(response in response()) {
        with_model(|model| {
            response.prepare(model);
            let datagram = response.datagram(&response.case.bytes);
            let mut frame = datagram.frame();
            frame[datagram.udp() + 6..][..2].fill(0);
            let outcome = model.responses(&mut frame);
            prop_assert_eq!(outcome, response.expected());
            prop_assert_eq!(&frame[datagram.udp() + 6..][..2], [0, 0]);
            Ok(())
        })?;
    }

    #[test]
    fn the_second_response_to_a_query_is_not_named(response in response()) {
        with_model(|model| {
            response.prepare(model);
            let frame = response.datagram(&response.case.bytes).frame();
            model.responses(&mut frame.clone());
            let mut second = frame.clone();
            prop_assert_eq!(model.responses(&mut second), Outcome::ResponseNotNoted);
            prop_assert_eq!(second, frame);
            Ok(())
        })?;
    }
}

proptest! {
    #![proptest_config(cases(50))]

    /// The field holds the sum of the pseudo-header, in which only the length changes.
    #[test]
    fn a_checksum_that_the_device_completes_stays_one(response in response()) {
        let mut model = Model::new();
        model.checksums = Checksums::Partial;
        response.prepare(&model);
        let partial = |payload: &[u8]| {
            let datagram = response.datagram(payload);
            let mut frame = datagram.frame();
            // The pseudo-header's sum: that of the whole, which is ffff, less that of the datagram.
            let mut rest = 0_u32;
            for pair in frame[datagram.udp()..].chunks(2) {
                rest += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
            }
            let sum = 0xffff - u16::try_from(rest % 0xffff).unwrap();
            frame[datagram.udp() + 6..][..2].copy_from_slice(&sum.to_be_bytes());
            frame
        };
        let mut frame = partial(&response.case.bytes);
        let before = frame.clone();
        let expected = match model.responses(&mut frame) {
            Outcome::Inserted | Outcome::Replaced => partial(&response.named()),
            _ => before,
        };
        prop_assert_eq!(frame, expected);
    }

    #[test]
    fn what_cannot_be_edited_leaves_as_it_came(response in response()) {
        for (room, segments, enabled, observe) in [
            (Room::None, Segments::One, 1, 0),
            (Room::Enough, Segments::Several, 1, 0),
            (Room::Enough, Segments::One, 0, 0),
            (Room::Enough, Segments::One, 1, 1),
        ] {
            let mut model = Model::new();
            response.prepare(&model);
            (model.room, model.segments) = (room, segments);
            model.control.enabled.set(enabled);
            model.control.observe.set(observe);
            let before = response.datagram(&response.case.bytes).frame();
            let mut frame = before.clone();
            let outcome = model.responses(&mut frame);
            let named = matches!(response.expected(), Outcome::Inserted | Outcome::Replaced);
            let grows = named && response.named().len() > response.case.bytes.len();
            let expected = match (room, segments, enabled) {
                (_, _, 0) => Outcome::ResponseOff,
                (_, Segments::Several, _) => Outcome::ResponseSegmented,
                (Room::None, _, _) if grows => Outcome::ResponseResize,
                _ => response.expected(),
            };
            prop_assert_eq!(outcome, expected);
            if room == Room::Enough || grows {
                prop_assert_eq!(frame, before);
            }
        }
    }
}
