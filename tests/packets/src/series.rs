//! Rows that go through all of something: flags, numbers of records, positions of options, and where a frame ends.

use nsid_common::outcome::Outcome;

use super::{
    insertions::with,
    message::{
        Message, answer, asking, cookie, id_server, nsid, option, query, question_of_labels, response, www,
    },
    row::{Hook, NAME, Row, UDP_SIZE, query4, query6, response4, response6},
};

pub(crate) fn rows() -> Vec<Row> {
    [flags(), rcodes(), labels(), records(), options(), cuts(), lengths()].into_iter().flatten().collect()
}

fn seen(name: String, rule: &'static str, message: &Message, outcome: Outcome) -> Row {
    Row::passed(Hook::Queries, name, rule, query4(message).frame(), outcome)
}

fn noted(name: String, rule: &'static str, message: &Message, outcome: Outcome) -> Row {
    Row::passed(Hook::Responses, name, rule, response4(message).frame(), outcome).noted(UDP_SIZE)
}

fn named(name: String, rule: &'static str, came: &Message, left: &Message) -> Row {
    Row::edited(name, rule, Outcome::Inserted, &response4(came), left)
}

/// QR, every OPCODE, and TC: a query that asks is noted and a response to it named, whatever it is about (RFC 5001 2.2);
/// only a standard query is answered.
fn flags() -> Vec<Row> {
    const RULE: &str = "RFC 1035 4.1.1";
    const QR: u16 = 0x8000;
    const TC: u16 = 0x0200;
    let mut rows = vec![];
    for opcode in 0..16_u16 {
        for tc in [0, TC] {
            let flags = opcode << 11 | tc;
            let what = format!("OPCODE {opcode}{}", if tc == 0 { "" } else { " with TC" });
            rows.push(seen(format!("{what} that asks"), RULE, &asking().flags(flags), Outcome::QueryNoted));
            let (came, left) = with(b"");
            rows.push(named(
                format!("{what} that was asked"),
                RULE,
                &came.clone().flags(QR | flags),
                &left.flags(QR | flags),
            ));
            rows.push(seen(
                format!("{what} that is a response, where queries come"),
                RULE,
                &asking().flags(QR | flags),
                Outcome::QueryNot,
            ));
            rows.push(noted(
                format!("{what} that is a query, where responses come"),
                RULE,
                &came.flags(flags),
                Outcome::ResponseNot,
            ));
            let identity = query(&id_server()).flags(flags);
            let what = format!("{what} for id.server");
            rows.push(if opcode == 0 {
                Row::answered(what, RULE, &query4(&identity), &answer(&id_server(), NAME).flags(0x8400))
            } else {
                seen(what, RULE, &identity, Outcome::QueryPlain)
            });
        }
    }
    rows
}

/// RFC 6891 7: OPT is in errors, too.
fn rcodes() -> Vec<Row> {
    let of = |rcode: u16| {
        let (came, left) = with(b"");
        let name = format!("RCODE {rcode}");
        named(name, "RFC 5001 2.2", &came.flags(0x8180 | rcode), &left.flags(0x8180 | rcode))
    };
    let extended = |rcode: u32| {
        let both = |options: &[u8]| response().opt_with(1232, rcode << 24, options);
        named(format!("extended RCODE {}", rcode << 4), "RFC 6891 6.1.3", &both(b""), &both(&nsid(NAME)))
    };
    (0..16).map(of).chain([1, 2, 0xff].map(extended)).collect()
}

/// Names of 1 to 128 labels, and of every length from 241 bytes to one too many.
fn labels() -> Vec<Row> {
    let row = |what: String, labels: &[&[u8]], fits: bool| {
        let question = question_of_labels(labels);
        let asked = query(&question).opt(1232, &nsid(b""));
        let outcome = if fits { Outcome::QueryNoted } else { Outcome::QueryMalformed };
        let query = seen(format!("a query for {what}"), "RFC 1035 2.3.4", &asked, outcome);
        let came = query_answered(&question).opt(1232, b"");
        let name = format!("a response for {what}");
        let response = if fits {
            let left = query_answered(&question).opt(1232, &nsid(NAME));
            named(name, "RFC 1035 2.3.4", &came, &left)
        } else {
            noted(name, "RFC 1035 2.3.4", &came, Outcome::ResponseMalformed)
        };
        [query, response]
    };
    let short = [1, 2, 63, 126, 127, 128].map(|labels: usize| {
        row(format!("a name of {labels} labels"), &vec![b"l".as_slice(); labels], labels <= 127)
    });
    // Three labels of 63 bytes take 192; the root takes 1, and the length of the last label 1.
    let long = (241..=256_usize).map(|bytes| {
        let last = vec![b'd'; bytes - 194];
        row(
            format!("a name of {bytes} bytes in four labels"),
            &[&[b'a'; 63], &[b'b'; 63], &[b'c'; 63], &last],
            bytes <= 255,
        )
    });
    short.into_iter().chain(long).flatten().collect()
}

fn query_answered(question: &[u8]) -> Message {
    query(question).flags(0x8180)
}

/// 0 to 64 records before OPT, which nothing depends on, and about as many as are looked through.
fn records() -> Vec<Row> {
    const RULE: &str = "RFC 1035 4.1";
    let mut rows = vec![];
    for count in (0..=64_u16).chain([100, 158, 159, 160, 161]) {
        let records = |message: Message| (0..count).fold(message, |message, _| message.raw(SHORT));
        let fits = count < 160;
        let asked = records(query(&www())).opt(4096, &nsid(b"")).counts([1, 0, 0, count + 1]);
        let outcome = if fits { Outcome::QueryNoted } else { Outcome::QueryMalformed };
        rows.push(seen(format!("a query with {count} records and OPT"), RULE, &asked, outcome));
        let of = |options: &[u8]| records(response()).opt(4096, options).counts([1, count, 0, 1]);
        let name = format!("a response with {count} records and OPT");
        let row = if fits {
            named(name, RULE, &of(b""), &of(&nsid(NAME)))
        } else {
            noted(name, RULE, &of(b""), Outcome::ResponseMalformed)
        };
        rows.push(row.noted(4096).with(|model| model.interfaces[1].mtu.set(9000)));
    }
    rows
}

/// A record of the root with one byte of data.
const SHORT: &[u8] = &[0, 3, 232, 0, 1, 0, 0, 0, 0, 0, 1, 9];

/// NSID at every place among up to seven others of different lengths.
fn options() -> Vec<Row> {
    let mut rows = vec![];
    for others in 0..8_usize {
        for place in 0..=others {
            let own = |data: &[u8]| {
                let other = |other: usize| option(0x1000, &vec![b'o'; other]);
                let options = (0..others).map(other).collect::<Vec<_>>();
                [options[..place].concat(), nsid(data), options[place..].concat()].concat()
            };
            let rest: Vec<u8> = (0..others).flat_map(|other| option(0x1000, &vec![b'o'; other])).collect();
            let what = format!("NSID at place {place} among {others} other options");
            rows.push(seen(
                format!("asked: {what}"),
                "RFC 6891 6.1.2",
                &query(&www()).opt(1232, &own(b"")),
                Outcome::QueryNoted,
            ));
            let came = response().a().opt(1232, &own(b"server"));
            let left = response().a().opt(1232, &[rest, nsid(NAME)].concat());
            rows.push(Row::edited(
                format!("the server's own: {what}"),
                "RFC 5001 2.2",
                Outcome::Replaced,
                &response4(&came),
                &left,
            ));
        }
    }
    rows
}

/// A query and a response cut at every byte: the frame alone, whose headers then lie, and the datagram with its headers.
fn cuts() -> Vec<Row> {
    const RULE: &str = "RFC 1035 4.1";
    /// Bytes of the DNS header.
    const HEADER: usize = 12;
    let asked = query(&www()).opt(1232, &[cookie(), nsid(b"")].concat());
    let said = response().a().opt(1232, &cookie());
    let mut rows = vec![];
    for (version, query, response) in
        [("IPv4", query4(&asked), response4(&said)), ("IPv6", query6(&asked), response6(&said))]
    {
        let before = query.dns();
        let frame = query.frame();
        for length in Hook::Queries.shortest()..frame.len() {
            let read = length >= before + HEADER;
            let outcome = if read { Outcome::QueryMalformed } else { Outcome::NotOurs };
            let name = format!("a query over {version} in a frame cut at byte {length}");
            rows.push(Row::passed(Hook::Queries, name, RULE, frame[..length].to_vec(), outcome));
        }
        let frame = response.frame();
        for length in Hook::Responses.shortest()..frame.len() {
            let read = length >= before + HEADER;
            let outcome = if read { Outcome::ResponseMalformed } else { Outcome::NotOurs };
            let name = format!("a response over {version} in a frame cut at byte {length}");
            rows.push(
                Row::passed(Hook::Responses, name, RULE, frame[..length].to_vec(), outcome).noted(UDP_SIZE),
            );
        }
        for length in 0..query.payload.len() {
            let mut cut = query.clone();
            cut.payload.truncate(length);
            let outcome = if length < HEADER { Outcome::NotOurs } else { Outcome::QueryMalformed };
            let name = format!("a query over {version} cut at byte {length} of its message");
            rows.push(Row::passed(Hook::Queries, name, RULE, cut.frame(), outcome));
        }
        for length in HEADER..response.payload.len() {
            let mut cut = response.clone();
            cut.payload.truncate(length);
            let name = format!("a response over {version} cut at byte {length} of its message");
            rows.push(
                Row::passed(Hook::Responses, name, RULE, cut.frame(), Outcome::ResponseMalformed)
                    .noted(UDP_SIZE),
            );
        }
    }
    rows
}

/// Every RDLENGTH about that of OPT, and every length about that of its option.
fn lengths() -> Vec<Row> {
    let options = [cookie(), option(12, b"pad")].concat();
    let right = u16::try_from(options.len()).expect("a short one");
    let mut rows = vec![];
    for rdlength in 0..right + 4 {
        if rdlength == right {
            continue;
        }
        let (query, response) = (query(&www()), response());
        rows.push(seen(
            format!("a query whose OPT says {rdlength} bytes and has {right}"),
            "RFC 6891 6.1.2",
            &query.opt_lying(rdlength, &options),
            Outcome::QueryMalformed,
        ));
        rows.push(noted(
            format!("a response whose OPT says {rdlength} bytes and has {right}"),
            "RFC 6891 6.1.2",
            &response.opt_lying(rdlength, &options),
            Outcome::ResponseMalformed,
        ));
    }
    for length in 0..12_u8 {
        if length == 8 {
            continue;
        }
        let lying = [&[0, 10, 0, length][..], &[1, 2, 3, 4, 5, 6, 7, 8]].concat();
        rows.push(seen(
            format!("a query with an option of 8 bytes that says {length}"),
            "RFC 6891 6.1.2",
            &query(&www()).opt(1232, &lying),
            Outcome::QueryMalformed,
        ));
        rows.push(noted(
            format!("a response with an option of 8 bytes that says {length}"),
            "RFC 6891 6.1.2",
            &response().opt(1232, &lying),
            Outcome::ResponseMalformed,
        ));
    }
    rows
}
