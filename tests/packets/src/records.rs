//! Records where they may not be, or not be alone: OPT of another section, signatures that are not last, and names of
//! records that are put together.

use nsid_common::outcome::Outcome;

use super::{
    message::{Message, a_record_of, cookie, id_server, name, nsid, option, query, response, www},
    row::{Hook, NAME, Row, UDP_SIZE, query4, response4},
};

pub(crate) fn rows() -> Vec<Row> {
    [sections(), twice(), signatures(), owners(), identity()].into_iter().flatten().collect()
}

fn seen(name: &str, rule: &'static str, message: &Message, outcome: Outcome) -> Row {
    Row::passed(Hook::Queries, name, rule, query4(message).frame(), outcome)
}

fn noted(name: &str, rule: &'static str, message: &Message, outcome: Outcome) -> Row {
    Row::passed(Hook::Responses, name, rule, response4(message).frame(), outcome).noted(UDP_SIZE)
}

const QUERY: Outcome = Outcome::QueryMalformed;
const RESPONSE: Outcome = Outcome::ResponseMalformed;

/// OPT is in the additional section, or it is none (RFC 6891 6.1.1).
fn sections() -> Vec<Row> {
    const RULE: &str = "RFC 6891 6.1.1";
    let asked = || query(&www()).opt(1232, &nsid(b""));
    let said = || response().opt(1232, b"");
    vec![
        seen("OPT in the answer section", RULE, &asked().counts([1, 1, 0, 0]), QUERY),
        seen("OPT in the authority section", RULE, &asked().counts([1, 0, 1, 0]), QUERY),
        seen(
            "OPT in the answer section before a record of the additional section",
            RULE,
            &asked().additional().counts([1, 1, 0, 1]),
            QUERY,
        ),
        seen(
            "OPT in the additional section behind an answer",
            RULE,
            &query(&www()).a().opt(1232, &nsid(b"")),
            Outcome::QueryNoted,
        ),
        noted("OPT in the answer section of a response", RULE, &said().counts([1, 1, 0, 0]), RESPONSE),
        noted("OPT in the authority section of a response", RULE, &said().counts([1, 0, 1, 0]), RESPONSE),
        noted(
            "OPT in the answer section of a response with an additional record",
            RULE,
            &said().additional().counts([1, 1, 0, 1]),
            RESPONSE,
        ),
    ]
}

/// More than one OPT, wherever they are.
fn twice() -> Vec<Row> {
    const RULE: &str = "RFC 6891 6.1.1";
    let asked = nsid(b"");
    vec![
        seen("OPT first and last", RULE, &query(&www()).opt(1232, &asked).additional().opt(1232, b""), QUERY),
        seen("a second OPT that asks", RULE, &query(&www()).opt(1232, b"").opt(1232, &asked), QUERY),
        seen("three OPT", RULE, &query(&www()).opt(512, b"").opt(512, b"").opt(512, b""), QUERY),
        seen("id.server with two OPT", RULE, &query(&id_server()).opt(1232, &asked).opt(1232, &asked), QUERY),
        noted(
            "a second OPT behind another record",
            RULE,
            &response().opt(1232, b"").additional().opt(1232, b""),
            RESPONSE,
        ),
        noted(
            "a second OPT that is longer than the message",
            RULE,
            &response().opt(1232, b"").opt_lying(9, b""),
            RESPONSE,
        ),
    ]
}

/// TSIG and SIG(0) wherever they are: what is signed is left alone, also if it is signed in the wrong place.
fn signatures() -> Vec<Row> {
    let (query_signed, response_signed) = (Outcome::QuerySigned, Outcome::ResponseSigned);
    let asked = nsid(b"");
    vec![
        seen("TSIG before OPT", "RFC 8945 5.1", &query(&www()).tsig().opt(1232, &asked), query_signed),
        seen("TSIG twice", "RFC 8945 5.1", &query(&www()).tsig().tsig(), query_signed),
        seen("TSIG and SIG(0)", "RFC 2931 3.1", &query(&www()).opt(1232, &asked).sig0().tsig(), query_signed),
        seen("SIG(0) alone", "RFC 2931 3.1", &query(&www()).sig0(), query_signed),
        seen(
            "SIG(0) behind OPT and another record",
            "RFC 2931 3.1",
            &query(&www()).opt(1232, &asked).additional().sig0(),
            query_signed,
        ),
        seen(
            "id.server with SIG(0)",
            "RFC 2931 3.1",
            &query(&id_server()).opt(1232, &asked).sig0(),
            query_signed,
        ),
        noted(
            "a response with TSIG before OPT",
            "RFC 8945 5.3",
            &response().tsig().opt(1232, b""),
            response_signed,
        ),
        noted(
            "a response with TSIG and the server's own NSID",
            "RFC 8945 5.3",
            &response().opt(1232, &nsid(b"own")).tsig(),
            response_signed,
        ),
        noted(
            "a response with SIG(0) behind OPT and another record",
            "RFC 2931 3.1",
            &response().opt(1232, b"").additional().sig0(),
            response_signed,
        ),
        noted("a response with SIG(0) alone", "RFC 2931 3.1", &response().a().sig0(), response_signed),
    ]
}

/// Owners of records: plain, compressed, and as they may not be.
fn owners() -> Vec<Row> {
    let of = |owner: &[u8]| {
        let before = || response().raw(&a_record_of(owner));
        let with = |options: &[u8]| before().opt(1232, options).counts([1, 1, 0, 1]);
        (with(b""), with(&nsid(NAME)))
    };
    let fine = |text: &str, owner: &[u8]| {
        let (came, left) = of(owner);
        Row::edited(text, "RFC 1035 4.1.4", Outcome::Inserted, &response4(&came), &left)
    };
    let wrong = |text: &str, rule, owner: &[u8]| noted(text, rule, &of(owner).0, RESPONSE);
    let long = |last: usize| name(&[&[b'a'; 63], &[b'b'; 63], &[b'c'; 63], &vec![b'd'; last]]);
    vec![
        fine("an owner that is a pointer", &[0xc0, 12]),
        fine("an owner that ends in a pointer", b"\x03www\xc0\x10"),
        // Where a pointer leads is the resolver's business: nothing of ours follows it.
        fine("an owner that points at itself", &[0xc0, 29]),
        fine("an owner that points behind the message", &[0xff, 0xff]),
        fine("an owner of 127 labels", &name(&[b"l".as_slice(); 127])),
        fine("an owner of 255 bytes", &long(61)),
        fine("an owner of 126 labels and a pointer", &[&b"\x01l".repeat(126)[..], &[0xc0, 12]].concat()),
        wrong("an owner of 128 labels", "RFC 1035 2.3.4", &name(&[b"l".as_slice(); 128])),
        wrong("an owner of 256 bytes", "RFC 1035 2.3.4", &long(62)),
        wrong(
            "an owner with a label of 64 bytes",
            "RFC 1035 2.3.4",
            &[&[0x40][..], &[b'a'; 64], &[0]].concat(),
        ),
        wrong("an owner with a label of a reserved kind", "RFC 6891 5", &[0x80, 0]),
        wrong("an owner with a label that ends the message", "RFC 1035 3.1", &[0x3f]),
    ]
}

/// Questions for the server's own name with options that are not right to the end: the server says so itself.
fn identity() -> Vec<Row> {
    let row = |text: &str, options: &[&[u8]]| {
        let asked = query(&id_server()).opt(1232, &options.concat());
        seen(text, "RFC 6891 6.1.2", &asked, QUERY)
    };
    let (asked, broken) = (nsid(b""), &[0, 10, 0, 9][..]);
    vec![
        row("id.server with a malformed option", &[broken]),
        row("id.server with a malformed option behind NSID", &[&asked, broken]),
        row("id.server with a malformed option behind NSID twice", &[&asked, &asked, broken]),
        // Behind a second NSID nothing is looked at: the server answers, and its answer gets the name.
        row("id.server with NSID twice and a cookie", &[&asked, &cookie(), &asked]),
        row(
            "id.server with a malformed option behind NSID three times",
            &[&asked, &option(12, b"pad"), &asked, &asked, broken],
        ),
    ]
}
