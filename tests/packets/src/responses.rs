//! Responses that leave as they came: not asked for, not readable, not to be touched, or without a name to say.

use nsid_common::{model::Segments, outcome::Outcome};

use super::{
    message::{ID, Message, TYPE_OPT, asking, name, nsid, option, response},
    row::{CLIENT4, Hook, Row, SERVER4, UDP_SIZE, datagram, note, response4, response6},
};

pub(crate) fn rows() -> Vec<Row> {
    [not_noted(), headers(), unreadable(), not_to_be_touched(), state()].into_iter().flatten().collect()
}

/// A response that would be named.
fn ready() -> Message {
    response().a().opt(1232, b"")
}

fn seen(name: &str, rule: &'static str, message: &Message, outcome: Outcome) -> Row {
    Row::passed(Hook::Responses, name, rule, response4(message).frame(), outcome)
}

fn noted(name: &str, rule: &'static str, message: &Message, outcome: Outcome) -> Row {
    seen(name, rule, message, outcome).noted(UDP_SIZE)
}

fn not_noted() -> Vec<Row> {
    let none = Outcome::ResponseNotNoted;
    let to = |name: &str, client: &str| {
        let frame = datagram(SERVER4, client, &ready()).frame();
        Row::passed(Hook::Responses, name, "RFC 5452 9.1", frame, none).noted(UDP_SIZE)
    };
    let aged = |name: &str, ticks: u64, outcome| {
        seen(name, "README, What it does to packets", &response(), outcome).with(move |model| {
            // Notes are made in the past; the clock stays.
            let now = model.jiffies;
            model.jiffies -= ticks << nsid_common::pending::TICK_SHIFT;
            note(model, ID.to_be_bytes(), UDP_SIZE);
            model.jiffies = now;
        })
    };
    vec![
        seen("a response to nothing that was asked", "RFC 5001 2.1", &ready(), none),
        noted("a response with another id", "RFC 5452 9.1", &ready().id(7), none),
        to("a response to another port", "10.0.0.1:4243"),
        to("a response to another address", "10.0.0.9:4242"),
        seen("a response to a query that was asked again without NSID", "RFC 5001 2.1", &ready(), none)
            .noted(UDP_SIZE)
            .with(|model| {
                let plain = super::message::query(&super::message::www());
                assert_eq!(model.queries(&mut super::row::query4(&plain).frame()), Outcome::QueryPlain);
            }),
        aged("a response to a note that is still valid", 140, Outcome::ResponseNoOpt),
        aged("a response to a note too old by a second", 172, none),
        aged("a response to a note of minutes ago", 20_000, none),
        noted("a query from a served port", "RFC 1035 4.1.1", &asking(), Outcome::ResponseNot),
    ]
}

fn headers() -> Vec<Row> {
    let malformed = Outcome::ResponseMalformed;
    vec![
        noted("a response without question", "RFC 9619 3", &ready().counts([0, 1, 0, 1]), malformed),
        noted("a response with two questions", "RFC 9619 3", &ready().counts([2, 1, 0, 1]), malformed),
        noted(
            "a response that counts a record too many",
            "RFC 1035 4.1.1",
            &ready().counts([1, 2, 0, 1]),
            malformed,
        ),
        noted(
            "a response that counts a record too few",
            "RFC 1035 4.1.1",
            &ready().counts([1, 1, 0, 0]),
            malformed,
        ),
        noted(
            "a response that counts 65,535 records",
            "RFC 1035 4.1.1",
            &ready().counts([1, 1, 0xffff, 1]),
            malformed,
        ),
    ]
}

fn unreadable() -> Vec<Row> {
    let row = |name: &str, rule, message: Message| noted(name, rule, &message, Outcome::ResponseMalformed);
    let of_question = |question: &[u8]| super::message::query(question).flags(0x8180).opt(1232, b"");
    let options = |count: usize| response().opt(1232, &option(10, b"").repeat(count));
    vec![
        row("a byte behind the last record", "RFC 1035 4.1", ready().raw(&[0])),
        row("a second OPT", "RFC 6891 6.1.1", ready().opt(1232, b"")),
        row("OPT whose owner is not the root", "RFC 6891 6.1.2", response().opt_of(&name(&[b"x"]), b"")),
        row("OPT whose RDLENGTH is beyond the message", "RFC 6891 6.1.2", response().opt_lying(1, b"")),
        row(
            "OPT whose RDLENGTH is short of the message",
            "RFC 6891 6.1.2",
            response().opt_lying(0, &nsid(b"")),
        ),
        row(
            "a response with an option longer than OPT",
            "RFC 6891 6.1.2",
            response().opt(1232, &[0, 10, 0, 1]),
        ),
        row("a response with NSID longer than OPT", "RFC 5001 2.3", response().opt(1232, &[0, 3, 0, 1])),
        row("a response with three bytes of an option", "RFC 6891 6.1.2", response().opt(1232, &[0, 10, 0])),
        row("more options than are looked through", "README, What it does to packets", options(33)),
        row("a question with a pointer", "RFC 1035 4.1.4", of_question(&[0xc0, 12, 0, 1, 0, 1])),
        row("a question with a label of a reserved kind", "RFC 6891 5", of_question(&[0x80, 0, 0, 1, 0, 1])),
        row(
            "a record with an owner of 128 labels",
            "RFC 1035 2.3.4",
            response().opt_of(&name(&[b"a".as_slice(); 128]), b""),
        ),
        // The server's own option before, and a malformed one behind it, where the first walk does not look.
        noted(
            "a malformed option behind NSID",
            "RFC 6891 6.1.2",
            &response().opt(1232, &[nsid(b""), vec![0, 10, 0, 9]].concat()),
            Outcome::ResponseTooLarge,
        ),
        Row::passed(
            Hook::Responses,
            "bytes behind the datagram",
            "IEEE 802.3 3.2.8",
            response4(&ready()).frame(),
            Outcome::ResponseMalformed,
        )
        .noted(UDP_SIZE)
        .padded(3),
    ]
}

fn not_to_be_touched() -> Vec<Row> {
    let own = |count: usize| response().opt(1232, &nsid(b"own").repeat(count));
    vec![
        noted("a response without OPT", "RFC 6891 7", &response().a(), Outcome::ResponseNoOpt),
        noted(
            "OPT that is not the last record",
            "RFC 6891 6.1.1",
            &response().opt(1232, b"").additional(),
            Outcome::ResponseOptNotLast,
        ),
        noted("a response with TSIG", "RFC 8945 5.3", &ready().tsig(), Outcome::ResponseSigned),
        noted("a response with TSIG alone", "RFC 8945 5.3", &response().tsig(), Outcome::ResponseSigned),
        noted("a response with SIG(0)", "RFC 2931 3.1", &ready().sig0(), Outcome::ResponseSigned),
        noted(
            "five NSID of the server's own",
            "README, What it does to packets",
            &own(5),
            Outcome::ResponseTooLarge,
        ),
        noted(
            "more behind the server's own NSID than is moved",
            "README, What it does to packets",
            &response().opt(1232, &[nsid(b""), option(12, &[0; 505])].concat()),
            Outcome::ResponseTooLarge,
        ),
        seen(
            "a response longer than can be reached",
            "README, What it does to packets",
            &long(2048),
            Outcome::ResponseTooLarge,
        )
        .noted(4096)
        .with(|model| model.interfaces[1].mtu.set(9000)),
    ]
}

/// A response whose frame is so many bytes long.
pub(crate) fn long(frame: usize) -> Message {
    let rest = response4(&response().opt(4096, b"")).frame().len();
    response().filler(frame - rest).opt(4096, b"")
}

fn state() -> Vec<Row> {
    let row = |name: &str, rule, outcome| noted(name, rule, &ready(), outcome);
    vec![
        row("switched off", "README, What it does to packets", Outcome::ResponseOff)
            .with(|model| model.control.enabled.set(0)),
        row("only observed", "README, What it does to packets", Outcome::Inserted)
            .with(|model| model.control.observe.set(1)),
        noted(
            "only observed with the server's own NSID",
            "README, What it does to packets",
            &response().opt(1232, &nsid(b"own")),
            Outcome::Replaced,
        )
        .with(|model| model.control.observe.set(1)),
        row("a lapsed name", "README, What it does to packets", Outcome::ResponseLapsed)
            .with(|model| model.deadline(0).set(1)),
        row("a silenced name", "README, What it does to packets", Outcome::ResponseLapsed)
            .with(|model| model.deadline(0).set(0)),
        row("an image that was never filled", "README, What it does to packets", Outcome::ResponseLapsed)
            .with(|model| {
                let selected = usize::try_from(model.services[0].selected.get()).unwrap();
                model.images[selected * 8 + 5] = nsid_common::image::Image::default();
            }),
        row("a packet of several segments", "README, What it does to packets", Outcome::ResponseSegmented)
            .with(|model| model.segments = Segments::Several),
        row("an interface that is not attached", "README, What it does to packets", Outcome::ResponseNoRoom)
            .with(|model| model.interfaces[1].index.set(0)),
        Row::passed(
            Hook::Responses,
            "a second response",
            "RFC 5001 2.1",
            response6(&ready()).frame(),
            Outcome::ResponseNotNoted,
        )
        .noted(UDP_SIZE)
        .with(|model| {
            assert_eq!(model.responses(&mut response6(&ready()).frame()), Outcome::Inserted);
        }),
        Row::passed(
            Hook::Responses,
            "the other service's response to a query of the first",
            "README, What it does to packets",
            datagram("10.0.0.3:5353", CLIENT4, &ready()).frame(),
            Outcome::ResponseNotNoted,
        )
        .noted(UDP_SIZE),
        seen(
            "a type with the number of OPT as its class",
            "RFC 1035 4.1.3",
            &response().a().counts([1, 1, 0, 0]),
            Outcome::ResponseNoOpt,
        )
        .noted(UDP_SIZE)
        .patched(RECORD_CLASS, &TYPE_OPT.to_be_bytes()),
    ]
}

/// Offset of the class of the first record behind the question.
const RECORD_CLASS: usize = 42 + 12 + 17 + 4;
