//! Queries: which are noted, and which are not even read.

use nsid_common::outcome::Outcome;

use super::{
    message::{
        CLASS_CH, Message, TYPE_A, asking, cookie, id_server, name, nsid, option, query, question, www,
    },
    row::{CLIENT4, Hook, Row, SERVER4, UDP_SIZE, datagram, query4, query6},
};

pub(crate) fn rows() -> Vec<Row> {
    [plain_and_noted(), headers(), names(), opts(), signed(), lies(), state()].into_iter().flatten().collect()
}

fn seen(name: &str, rule: &'static str, message: &Message, outcome: Outcome) -> Row {
    Row::passed(Hook::Queries, name, rule, query4(message).frame(), outcome)
}

fn plain_and_noted() -> Vec<Row> {
    let with = |options: &[Vec<u8>]| query(&www()).opt(1232, &options.concat());
    let (noted, plain) = (Outcome::QueryNoted, Outcome::QueryPlain);
    let v6 = |name: &str, rule, message: &Message, outcome| {
        Row::passed(Hook::Queries, name, rule, query6(message).frame(), outcome)
    };
    vec![
        seen("no OPT", "RFC 6891 6.1.1", &query(&www()), plain),
        v6("no OPT over IPv6", "RFC 6891 6.1.1", &query(&www()), plain),
        seen("OPT without options", "RFC 6891 6.1.2", &with(&[]), plain),
        seen("OPT with a cookie", "RFC 7873 4", &with(&[cookie()]), plain),
        seen("NSID alone", "RFC 5001 2.1", &with(&[nsid(b"")]), noted),
        v6("NSID alone over IPv6", "RFC 5001 2.1", &with(&[nsid(b"")]), noted),
        seen("NSID first of the options", "RFC 6891 6.1.2", &with(&[nsid(b""), cookie()]), noted),
        seen(
            "NSID in the middle of the options",
            "RFC 6891 6.1.2",
            &with(&[cookie(), nsid(b""), cookie()]),
            noted,
        ),
        seen("NSID last of the options", "RFC 6891 6.1.2", &with(&[cookie(), nsid(b"")]), noted),
        seen("NSID at an odd offset", "RFC 6891 6.1.2", &with(&[option(12, b"x"), nsid(b"")]), noted),
        seen("NSID twice", "RFC 5001 2.1", &with(&[nsid(b""), nsid(b"")]), noted),
        seen("payload in NSID is ignored", "RFC 5001 2.1", &with(&[nsid(b"not mine")]), noted),
        seen(
            "another code with the low byte of NSID's",
            "RFC 5001 2.3",
            &with(&[option(0x0103, b"")]),
            plain,
        ),
        seen(
            "another code with the high byte of NSID's",
            "RFC 5001 2.3",
            &with(&[option(0x0300, b"")]),
            plain,
        ),
        seen(
            "NSID within the data of another option",
            "RFC 6891 6.1.2",
            &with(&[option(10, &nsid(b""))]),
            plain,
        ),
        seen(
            "NSID as the 32nd option",
            "README, What it does to packets",
            &with(&[vec![option(9, b""); 31].concat(), nsid(b"")]),
            noted,
        ),
        seen(
            "NSID as the 33rd option",
            "README, What it does to packets",
            &with(&[vec![option(9, b""); 32].concat(), nsid(b"")]),
            Outcome::QueryMalformed,
        ),
    ]
}

fn headers() -> Vec<Row> {
    let flagged = |name: &str, flags, outcome| seen(name, "RFC 1035 4.1.1", &asking().flags(flags), outcome);
    vec![
        flagged("QR=1", 0x8100, Outcome::QueryNot),
        flagged("RD=0", 0x0000, Outcome::QueryNoted),
        flagged("TC=1", 0x0300, Outcome::QueryNoted),
        flagged("OPCODE NOTIFY", 0x2000, Outcome::QueryNoted),
        flagged("OPCODE UPDATE", 0x2800, Outcome::QueryNoted),
        flagged("OPCODE 15", 0x7800, Outcome::QueryNoted),
        flagged("AD and CD and the reserved bit", 0x0170, Outcome::QueryNoted),
        seen("QDCOUNT 0", "RFC 9619 3", &asking().counts([0, 0, 0, 1]), Outcome::QueryMalformed),
        seen(
            "QDCOUNT 2",
            "RFC 9619 3",
            &query(&[www(), www()].concat()).counts([2, 0, 0, 0]),
            Outcome::QueryMalformed,
        ),
        seen("QDCOUNT 256", "RFC 9619 3", &asking().counts([256, 0, 0, 1]), Outcome::QueryMalformed),
        seen(
            "EDNS version 1 that asks for NSID",
            "RFC 6891 6.1.3",
            &query(&www()).opt_with(1232, 0x0001_0000, &nsid(b"")),
            Outcome::QueryNoted,
        ),
    ]
}

fn names() -> Vec<Row> {
    let of = |qname: &[u8]| query(&question(qname, TYPE_A, 1)).opt(1232, &nsid(b""));
    let row = |name: &str, rule, qname: &[u8], outcome| seen(name, rule, &of(qname), outcome);
    let (noted, malformed) = (Outcome::QueryNoted, Outcome::QueryMalformed);
    let long = |last: usize| name(&[&[b'a'; 63], &[b'b'; 63], &[b'c'; 63], &vec![b'd'; last]]);
    vec![
        row("the root", "RFC 1035 3.1", &[0], noted),
        row("127 labels", "RFC 1035 2.3.4", &name(&[b"a".as_slice(); 127]), noted),
        row("128 labels", "RFC 1035 2.3.4", &name(&[b"a".as_slice(); 128]), malformed),
        row("a name of 255 bytes", "RFC 1035 2.3.4", &long(61), noted),
        row("a name of 256 bytes", "RFC 1035 2.3.4", &long(62), malformed),
        row("a name of letters outside ASCII", "RFC 2181 11", &name(&[&[0xff, 0, b'.']]), noted),
        row("a question that is a pointer", "RFC 1035 4.1.4", &[0xc0, 12], malformed),
        row("a question that ends in a pointer", "RFC 1035 4.1.4", b"\x03www\xc0\x0c", malformed),
        row("a label of 64 bytes", "RFC 1035 2.3.4", &[&[0x40][..], &[b'a'; 64], &[0]].concat(), malformed),
        row("a label of the reserved kind", "RFC 6891 5", &[0x80, 0], malformed),
        seen("a name that never ends", "RFC 1035 3.1", &query(b"\x3fwww").counts([1, 0, 0, 1]), malformed),
    ]
}

fn opts() -> Vec<Row> {
    let asked = nsid(b"");
    vec![
        seen(
            "two OPT",
            "RFC 6891 6.1.1",
            &query(&www()).opt(1232, &asked).opt(1232, &asked),
            Outcome::QueryMalformed,
        ),
        seen(
            "OPT before another record",
            "RFC 6891 6.1.1",
            &query(&www()).opt(1232, &asked).additional(),
            Outcome::QueryNoted,
        ),
        seen(
            "OPT behind another record",
            "RFC 6891 6.1.1",
            &query(&www()).additional().opt(1232, &asked),
            Outcome::QueryNoted,
        ),
        seen(
            "OPT of another owner than the root",
            "RFC 6891 6.1.2",
            &query(&www()).opt_of(&name(&[b"x"]), &asked),
            Outcome::QueryMalformed,
        ),
        seen(
            "OPT whose owner is a pointer to a root",
            "RFC 6891 6.1.2",
            &query(&www()).opt_of(&[0xc0, 24], &asked),
            Outcome::QueryMalformed,
        ),
        seen("another record alone", "RFC 1035 4.1", &query(&www()).additional(), Outcome::QueryPlain),
    ]
}

fn signed() -> Vec<Row> {
    let asked = nsid(b"");
    vec![
        seen("TSIG", "RFC 8945 5.1", &query(&www()).tsig(), Outcome::QuerySigned),
        seen(
            "TSIG behind OPT",
            "RFC 8945 5.1",
            &query(&www()).opt(1232, &asked).tsig(),
            Outcome::QuerySigned,
        ),
        seen("SIG(0)", "RFC 2931 3", &query(&www()).opt(1232, &asked).sig0(), Outcome::QuerySigned),
        seen(
            "SIG over a type signs no message",
            "RFC 2535 4.1",
            &query(&www()).ordinary_sig().opt(1232, &asked),
            Outcome::QueryNoted,
        ),
        seen(
            "the server's own name asked for with TSIG",
            "RFC 8945 5.3",
            &query(&id_server()).tsig(),
            Outcome::QuerySigned,
        ),
    ]
}

fn lies() -> Vec<Row> {
    let row = |name: &str, rule, message: Message| seen(name, rule, &message, Outcome::QueryMalformed);
    let opt = |rdlength, options: &[u8]| query(&www()).opt_lying(rdlength, options);
    vec![
        row("RDLENGTH of OPT beyond the message", "RFC 6891 6.1.2", opt(5, &nsid(b""))),
        row("RDLENGTH of OPT short of the message", "RFC 6891 6.1.2", opt(0, &nsid(b""))),
        row("RDLENGTH of OPT of 65,535", "RFC 6891 6.1.2", opt(0xffff, &nsid(b""))),
        row("an option longer than OPT", "RFC 6891 6.1.2", opt(4, &[0, 10, 0, 1])),
        row("NSID longer than OPT", "RFC 6891 6.1.2", opt(4, &[0, 3, 0, 1])),
        row("an option cut off in its length", "RFC 6891 6.1.2", opt(3, &[0, 10, 0])),
        row("a byte behind OPT", "RFC 1035 4.1", asking().raw(&[0])),
        row("a record that is counted and not there", "RFC 1035 4.1.1", query(&www()).counts([1, 1, 0, 0])),
        row("65,535 records that are not there", "RFC 1035 4.1.1", asking().counts([1, 0, 0, 0xffff])),
        row("OPT that is there and not counted as the last", "RFC 1035 4.1.1", asking().counts([1, 0, 0, 2])),
        seen(
            "a byte behind a question that nothing follows",
            "RFC 1035 4.1",
            &query(&www()).raw(&[0]),
            Outcome::QueryPlain,
        ),
    ]
}

fn state() -> Vec<Row> {
    vec![
        seen("a query that does not ask voids the note", "RFC 5001 2.1", &query(&www()), Outcome::QueryPlain)
            .noted(UDP_SIZE),
        seen("one with another id voids nothing", "RFC 5001 2.1", &query(&www()).id(7), Outcome::QueryPlain)
            .noted(UDP_SIZE),
        Row::passed(
            Hook::Queries,
            "a query from port 0",
            "RFC 768",
            datagram("10.0.0.1:0", SERVER4, &asking()).frame(),
            Outcome::QueryNoted,
        ),
        Row::passed(
            Hook::Queries,
            "a query from a port that is served elsewhere",
            "RFC 5452 9.2",
            datagram("10.0.0.1:53", SERVER4, &asking()).frame(),
            Outcome::QueryNoted,
        ),
        seen("a second question of the same exchange", "RFC 5001 2.1", &asking(), Outcome::QueryNoted)
            .noted(4096),
        seen("noted while switched off", "README, What it does to packets", &asking(), Outcome::QueryNoted)
            .with(|model| model.control.enabled.set(0)),
        seen("noted while observed", "README, What it does to packets", &asking(), Outcome::QueryNoted)
            .with(|model| model.control.observe.set(1)),
        seen(
            "noted while the name has lapsed",
            "README, What it does to packets",
            &asking(),
            Outcome::QueryNoted,
        )
        .with(|model| model.deadline(0).set(1)),
        Row::passed(
            Hook::Queries,
            "CH TXT of another name",
            "RFC 4892 2",
            datagram(CLIENT4, SERVER4, &query(&question(&name(&[b"version", b"bind"]), 16, CLASS_CH)))
                .frame(),
            Outcome::QueryPlain,
        ),
    ]
}
