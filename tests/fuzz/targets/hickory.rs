//! Any bytes as a message: what is found, asked, answered and inserted is what hickory-proto reads.
//!
//! Input: the length of the name, the UDP size that a response is for, and the message.
#![no_main]

#[path = "../../../nsid-common/tests/against_hickory/agreement.rs"]
mod agreement;

use hickory_proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{DNSClass, RData},
};
use libfuzzer_sys::fuzz_target;
use nsid_common::{
    model::{Datagram, Model, checksums_hold},
    outcome::Outcome,
};
use nsid_fuzz::host::on_a_host;
use nsid_packets::{CLIENT4, CLIENT6, SERVER4, SERVER6, State, note};

use agreement::{asks_alike, named_alike, options_of, walks_alike};

fuzz_target!(|bytes: &[u8]| {
    if let Some(([name, udp_size @ ..], message)) = bytes.split_first_chunk::<3>() {
        let udp_size = u16::from_be_bytes(*udp_size);
        let name = usize::from(1 + name % 128);
        on_a_host(|model| {
            State { name, ..State::default() }.set(model);
            let name = vec![b'n'; name];
            walks_alike(model, message);
            asks_alike(model, message);
            for (client, server) in [(CLIENT4, SERVER4), (CLIENT6, SERVER6)] {
                let [client, server] =
                    [client, server].map(|text| text.parse().expect("an address and a port"));
                answered(model, &Datagram::new(client, server, message.to_vec()), &name);
                inserted(model, &Datagram::new(server, client, message.to_vec()), udp_size, &name);
            }
        });
    }
});

fn answered(model: &Model, query: &Datagram, name: &[u8]) {
    let mut left = query.frame();
    if model.queries(&mut left) != Outcome::Answered {
        assert_eq!(left, query.frame());
        return;
    }
    assert!(checksums_hold(&left, query.udp()));
    let answer = Message::from_vec(&left[query.dns()..]).expect("our own answer can be read");
    // One that hickory does not read asks nothing that it could compare.
    let Ok(query) = Message::from_vec(&query.payload) else { return };
    assert_eq!(answer.metadata.id, query.metadata.id);
    assert_eq!(answer.metadata.message_type, MessageType::Response);
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert_eq!(answer.metadata.recursion_desired, query.metadata.recursion_desired);
    assert!(answer.metadata.authoritative && !answer.metadata.truncation);
    assert_eq!(answer.queries, query.queries);
    let [record] = &answer.answers[..] else { panic!("one record: {answer:?}") };
    let RData::TXT(txt) = &record.data else { panic!("TXT: {answer:?}") };
    assert_eq!((&record.name, record.dns_class), (query.queries[0].name(), DNSClass::CH));
    assert_eq!(&*txt.txt_data, &[name.to_vec().into_boxed_slice()]);
    assert_eq!(answer.edns.is_some(), query.edns.is_some());
    let asks = options_of(&query).is_some_and(|options| options.iter().any(|(code, _)| *code == 3));
    let says = options_of(&answer).unwrap_or_default();
    assert_eq!(says, if asks { vec![(3, name.to_vec())] } else { vec![] });
}

fn inserted(model: &Model, response: &Datagram, udp_size: u16, name: &[u8]) {
    note(model, response.payload.first_chunk().copied().unwrap_or_default(), udp_size);
    let mut left = response.frame();
    if !matches!(model.responses(&mut left), Outcome::Inserted | Outcome::Replaced) {
        assert_eq!(left, response.frame());
        return;
    }
    assert!(checksums_hold(&left, response.udp()));
    let message = &left[response.dns()..];
    assert!(message.len() <= usize::from(udp_size.max(512)));
    // Lengths and headers are those of a datagram with that message.
    let same = Datagram { payload: message.to_vec(), ..response.clone() };
    assert_eq!(left, same.frame());
    named_alike(&response.payload, message, name);
    // Once more, over what it has got: the very same, unless the name stands behind more options than are looked through.
    note(model, message.first_chunk().copied().unwrap_or_default(), udp_size);
    let mut again = left.clone();
    let outcome = model.responses(&mut again);
    assert!(matches!(outcome, Outcome::Replaced | Outcome::ResponseMalformed), "{outcome:?}");
    assert_eq!(again, left);
}
