//! Headers as hosts and routers really send them, and as nobody should: tags, options, extension headers, fragments,
//! checksums and lengths, with everything behind them where they say that it is.

use nsid_common::{
    model::{Datagram, MAC},
    outcome::Outcome,
};

use nsid_user::datapath::Prog;

use super::{
    insertions::with,
    message::{answer, asking, id_server, query, response},
    row::{Hook, NAME, Row, UDP_SIZE, query4, query6, response4, response6},
};

const IP: usize = 14;
const IP6: usize = 14;
const UDP4: usize = 34;
const UDP6: usize = 54;
/// Offset of the checksum in the UDP header.
const CHECKSUM: usize = 6;

pub(crate) fn rows() -> Vec<Row> {
    [tags(), options(), extensions(), fragments(), checksums(), lengths(), ethernet(), fields()]
        .into_iter()
        .flatten()
        .collect()
}

/// The same change of a query that asks and of a response that would be named, to which nothing is done then.
fn both(name: &str, rule: &'static str, outcome: Outcome, of: impl Fn(Datagram) -> Vec<u8>) -> [Row; 2] {
    pair(name, rule, outcome, [of(query4(&asking())), of(response4(&with(b"").0))])
}

/// As [`both`], over IPv6.
fn both6(name: &str, rule: &'static str, outcome: Outcome, of: impl Fn(Datagram) -> Vec<u8>) -> [Row; 2] {
    pair(name, rule, outcome, [of(query6(&asking())), of(response6(&with(b"").0))])
}

fn pair(name: &str, rule: &'static str, outcome: Outcome, [query, response]: [Vec<u8>; 2]) -> [Row; 2] {
    [
        Row::passed(Hook::Queries, format!("a query with {name}"), rule, query, outcome),
        Row::passed(Hook::Responses, format!("a response with {name}"), rule, response, outcome)
            .noted(UDP_SIZE),
    ]
}

/// A query that asks, with so many tags, is noted, and a response to it named.
fn seen_and_named(name: &str, rule: &'static str, change: impl Fn(&mut Datagram)) -> [Row; 2] {
    let (mut query, (came, left)) = (query4(&asking()), with(b""));
    let mut response = response4(&came);
    change(&mut query);
    change(&mut response);
    let noted = Outcome::QueryNoted;
    [
        Row::passed(Hook::Queries, format!("a query with {name}"), rule, query.frame(), noted),
        Row::edited(format!("a response with {name}"), rule, Outcome::Inserted, &response, &left),
    ]
}

fn tags() -> Vec<Row> {
    const RULE: &str = "IEEE 802.1Q 9.6";
    let q = |id: u16| [0x8100, id];
    let tagged = |tags: &[[u16; 2]]| {
        let tags = tags.to_vec();
        move |datagram: &mut Datagram| datagram.tags.clone_from(&tags)
    };
    let frame = |tags: &[[u16; 2]]| {
        let tags = tags.to_vec();
        move |mut datagram: Datagram| {
            datagram.tags.clone_from(&tags);
            datagram.frame()
        }
    };
    let beyond = "README, What it does to packets";
    [
        seen_and_named("no VLAN tag", RULE, tagged(&[])),
        seen_and_named("a priority tag, of VLAN 0", RULE, tagged(&[q(0)])),
        seen_and_named("a VLAN tag with every bit set", RULE, tagged(&[q(0xffff)])),
        seen_and_named("an 802.1ad tag alone", RULE, tagged(&[[0x88a8, 7]])),
        seen_and_named("two 802.1Q tags", RULE, tagged(&[q(1), q(2)])),
        seen_and_named("an 802.1ad tag within an 802.1Q tag", RULE, tagged(&[q(1), [0x88a8, 2]])),
        both("three 802.1Q tags", beyond, Outcome::NotOurs, frame(&[q(1), q(2), q(3)])),
        both(
            "three tags, the outer one 802.1ad",
            beyond,
            Outcome::NotOurs,
            frame(&[[0x88a8, 1], q(2), q(3)]),
        ),
        both("a tag of the old kind for two", beyond, Outcome::NotOurs, frame(&[[0x9100, 1], q(2)])),
        both("such a tag within an 802.1Q tag", beyond, Outcome::NotOurs, frame(&[q(1), [0x9100, 2]])),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// IPv4 options that are there, behind a header that says so: passed, whatever they are.
fn options() -> Vec<Row> {
    const RULE: &str = "RFC 791 3.1";
    let with_options = |options: &[u8]| {
        let options = options.to_vec();
        move |datagram: Datagram| {
            let mut frame = datagram.frame();
            frame.splice(IP + 20..IP + 20, options.iter().copied());
            frame[IP] += u8::try_from(options.len() / 4).expect("at most 40 bytes");
            let length = u16::try_from(frame.len() - IP).expect("a short one");
            frame[IP + 2..IP + 4].copy_from_slice(&length.to_be_bytes());
            with_header_checksum(frame)
        }
    };
    let passed = Outcome::Ipv4Options;
    [
        both("a No Operation option", RULE, passed, with_options(&[1, 1, 1, 0])),
        both("a Router Alert option", "RFC 2113 2.1", passed, with_options(&[0x94, 4, 0, 0])),
        both("a Loose Source Route option", RULE, passed, with_options(&[0x83, 7, 4, 10, 0, 0, 9, 0])),
        both("as many options as there can be", RULE, passed, with_options(&[1; 40])),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The header's checksum made anew (RFC 791 3.1).
fn with_header_checksum(mut frame: Vec<u8>) -> Vec<u8> {
    let end = IP + usize::from(frame[IP] & 0xf) * 4;
    frame[IP + 10..IP + 12].fill(0);
    let mut sum: u32 =
        frame[IP..end].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = !u16::try_from(sum).expect("folded");
    frame[IP + 10..IP + 12].copy_from_slice(&checksum.to_be_bytes());
    frame
}

/// IPv6 extension headers that are there, each in front of UDP.
fn extensions() -> Vec<Row> {
    const RULE: &str = "RFC 8200 4";
    // PadN, which fills the header.
    const PADDED: [u8; 6] = [1, 4, 0, 0, 0, 0];
    let behind = |kinds: &[u8], body: [u8; 6]| {
        let kinds = kinds.to_vec();
        move |datagram: Datagram| {
            let mut frame = datagram.frame();
            for kind in kinds.iter().rev() {
                let next = std::mem::replace(&mut frame[IP6 + 6], *kind);
                let header = [&[next, 0][..], &body].concat();
                frame.splice(IP6 + 40..IP6 + 40, header);
            }
            let length = u16::try_from(frame.len() - IP6 - 40).expect("a short one");
            frame[IP6 + 4..IP6 + 6].copy_from_slice(&length.to_be_bytes());
            frame
        }
    };
    let (passed, unknown) = (Outcome::Ipv6Extension, Outcome::NotOurs);
    [
        both6("a hop-by-hop options header", RULE, passed, behind(&[0], PADDED)),
        both6("a destination options header", RULE, passed, behind(&[60], PADDED)),
        both6("a routing header without segments", RULE, passed, behind(&[43], [0; 6])),
        both6("the first fragment over IPv6", "RFC 8200 4.5", passed, behind(&[44], [0, 1, 0, 0, 0, 7])),
        both6("a middle fragment over IPv6", "RFC 8200 4.5", passed, behind(&[44], [0, 9, 0, 0, 0, 7])),
        both6("the last fragment over IPv6", "RFC 8200 4.5", passed, behind(&[44], [0, 8, 0, 0, 0, 7])),
        both6("a fragment header around a whole datagram", "RFC 6946 2", passed, behind(&[44], [0; 6])),
        both6("three extension headers", RULE, passed, behind(&[0, 60, 44], PADDED)),
        both6("an authentication header", "RFC 4302 3.1", unknown, behind(&[51], [0; 6])),
        both6("an encrypted payload", "RFC 4303 2", unknown, behind(&[50], [0; 6])),
        both6("a mobility header", "RFC 6275 6.1", unknown, behind(&[135], [0; 6])),
        both6("no next header", "RFC 8200 4.7", unknown, behind(&[59], [0; 6])),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Offsets and flags of IPv4 fragments: DF and the reserved flag make none.
fn fragments() -> Vec<Row> {
    const RULE: &str = "RFC 791 3.2";
    let flagged = |[high, low]: [u8; 2]| {
        move |datagram: Datagram| {
            let mut frame = datagram.frame();
            frame[IP + 6..IP + 8].copy_from_slice(&[high, low]);
            with_header_checksum(frame)
        }
    };
    let fragment = Outcome::Fragment;
    let whole = |name: &str, rule, flags: [u8; 2]| {
        let (came, left) = with(b"");
        let frame = |datagram: Datagram| flagged(flags)(datagram);
        let (came, left) = (frame(response4(&came)), frame(response4(&left)));
        [
            Row::passed(
                Hook::Queries,
                format!("a query with {name}"),
                rule,
                frame(query4(&asking())),
                Outcome::QueryNoted,
            ),
            Row::became(
                Hook::Responses,
                format!("a response with {name}"),
                rule,
                came,
                left,
                Outcome::Inserted,
            )
            .noted(UDP_SIZE),
        ]
    };
    [
        both("MF", RULE, fragment, flagged([0x20, 0])),
        both("MF and DF", RULE, fragment, flagged([0x60, 0])),
        both("MF and an offset", RULE, fragment, flagged([0x20, 0xb9])),
        both("an offset", RULE, fragment, flagged([0, 0xb9])),
        both("DF and an offset", RULE, fragment, flagged([0x40, 1])),
        both("the highest offset", RULE, fragment, flagged([0x1f, 0xff])),
        whole("DF", RULE, [0x40, 0]),
        whole("neither flag nor offset", RULE, [0, 0]),
        whole("the reserved flag", "RFC 3514 1", [0x80, 0]),
        whole("DF and the reserved flag", "RFC 3514 1", [0xc0, 0]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A query is noted whatever its checksums are: a host that drops it answers nothing. What is edited stays as wrong as it
/// was, and so does what is answered at tc, where a checksum that is not finished yet looks like a wrong one; what is
/// answered has to have an IP header that a host would take.
fn checksums() -> Vec<Row> {
    const RULE: &str = "RFC 1624 3";
    let (noted, id) = (Outcome::QueryNoted, query(&id_server()));
    let seen = |name: &str, rule, frame| Row::passed(Hook::Queries, name, rule, frame, noted);
    let (came, left) = with(b"");
    let edited =
        |name: &str, rule, datagram: &Datagram| Row::edited(name, rule, Outcome::Inserted, datagram, &left);
    let answered = |name: &str, rule, datagram: &Datagram| {
        Row::answered(name, rule, datagram, &answer(&id_server(), NAME))
    };
    let unanswered = |name: &str, rule, datagram: &Datagram| {
        Row::passed(Hook::Queries, name, rule, datagram.frame(), Outcome::AnswerFrame)
    };
    vec![
        seen("a wrong checksum of IPv4", "RFC 791 3.1", query4(&asking()).frame()).off_by(IP + 10, 0x1234),
        seen("a wrong checksum of UDP", "RFC 768", query4(&asking()).frame()).off_by(UDP4 + CHECKSUM, 0x1234),
        seen("a wrong checksum of UDP over IPv6", "RFC 8200 8.1", query6(&asking()).frame())
            .off_by(UDP6 + CHECKSUM, 0x1234),
        seen("no checksum of UDP over IPv6", "RFC 6935 5", query6(&asking()).frame())
            .patched(UDP6 + CHECKSUM, &[0, 0]),
        edited("a response with a wrong checksum of IPv4", RULE, &response4(&came)).off_by(IP + 10, 0x0101),
        edited("a response with a wrong checksum of UDP", RULE, &response4(&came))
            .off_by(UDP4 + CHECKSUM, 0x0101),
        edited("a response with a wrong checksum of UDP over IPv6", RULE, &response6(&came))
            .off_by(UDP6 + CHECKSUM, 0x0101),
        edited("a response without checksum of UDP over IPv6", "RFC 6935 5", &response6(&came))
            .patched(UDP6 + CHECKSUM, &[0, 0]),
        answered("id.server without checksum", "RFC 768", &query4(&id))
            .arriving_with(UDP4 + CHECKSUM, &[0, 0]),
        answered("id.server with a wrong checksum of UDP", "README, What it does to packets", &query4(&id))
            .arriving_with(UDP4 + CHECKSUM, &[0x12, 0x34])
            .at(&[Prog::Xdp, Prog::XdpBoth]),
        answered(
            "id.server with a wrong checksum of UDP, at tc",
            "README, What it does to packets",
            &query4(&id),
        )
        .off_by(UDP4 + CHECKSUM, 0x0101)
        .at(&[Prog::Queries]),
        unanswered("id.server with a wrong checksum of IPv4", "RFC 1122 3.2.1.2", &query4(&id))
            .off_by(IP + 10, 1),
        unanswered("id.server without checksum of IPv4", "RFC 1122 3.2.1.2", &query4(&id))
            .patched(IP + 10, &[0, 0]),
    ]
}

/// Lengths that cannot be, at each layer.
fn lengths() -> Vec<Row> {
    let lying = |name: &str, rule, at: usize, bytes: [u8; 2]| {
        let change = |datagram: Datagram| {
            let mut frame = datagram.frame();
            frame[at..at + 2].copy_from_slice(&bytes);
            frame
        };
        let [query, response] = both(name, rule, Outcome::QueryMalformed, change);
        [query, response.becoming(Outcome::ResponseMalformed)]
    };
    let lying6 = |name: &str, rule, at: usize, bytes: [u8; 2]| {
        let change = |datagram: Datagram| {
            let mut frame = datagram.frame();
            frame[at..at + 2].copy_from_slice(&bytes);
            frame
        };
        let [query, response] = both6(name, rule, Outcome::QueryMalformed, change);
        [query, response.becoming(Outcome::ResponseMalformed)]
    };
    [
        lying("an IPv4 length of 0", "RFC 791 3.1", IP + 2, [0, 0]),
        lying("an IPv4 length short of its header", "RFC 791 3.1", IP + 2, [0, 19]),
        lying("an IPv4 length of nothing behind its header", "RFC 791 3.1", IP + 2, [0, 20]),
        lying("an IPv4 length of 65,535", "RFC 791 3.1", IP + 2, [0xff, 0xff]),
        lying("a UDP length short of its header", "RFC 768", UDP4 + 4, [0, 7]),
        lying("a UDP length of nothing behind its header", "RFC 768", UDP4 + 4, [0, 8]),
        lying("a UDP length of 65,535", "RFC 768", UDP4 + 4, [0xff, 0xff]),
        lying6("an IPv6 length of 0", "RFC 2675 2", IP6 + 4, [0, 0]),
        lying6("an IPv6 length of 65,535", "RFC 8200 3", IP6 + 4, [0xff, 0xff]),
        lying6("a UDP length of 0 over IPv6", "RFC 2675 4", UDP6 + 4, [0, 0]),
        lying6("a UDP length of 7 over IPv6", "RFC 768", UDP6 + 4, [0, 7]),
        lying6("a UDP length of 65,535 over IPv6", "RFC 768", UDP6 + 4, [0xff, 0xff]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whose frame it is: nobody's is answered, and what is noted does not depend on it.
fn ethernet() -> Vec<Row> {
    const RULE: &str = "IEEE 802.3 3.2.3";
    const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 9];
    let id = query(&id_server());
    let from = |name: &str, macs: [[u8; 6]; 2]| {
        let frame = Datagram { macs, ..query4(&id) }.frame();
        Row::passed(Hook::Queries, name, RULE, frame, Outcome::AnswerFrame)
    };
    let noted = |name: &str, to| {
        let frame = Datagram { macs: [to, OTHER], ..query4(&asking()) }.frame();
        Row::passed(Hook::Queries, name, RULE, frame, Outcome::QueryNoted)
    };
    vec![
        from("a frame from our own address", [MAC, MAC]),
        from("a frame from a group", [MAC, [3, 0, 0, 0, 0, 1]]),
        from("a frame from everybody", [MAC, [0xff; 6]]),
        from("a frame to nobody", [[0; 6], OTHER]),
        noted("a query in a frame to another host", OTHER),
        noted("a query in a broadcast frame", [0xff; 6]),
        noted("a query in a multicast frame", [1, 0, 0x5e, 0, 0, 1]),
    ]
}

/// What else is in the headers: an answer has none of it, an edited response all.
fn fields() -> Vec<Row> {
    let id = query(&id_server());
    let marked = |datagram: Datagram| {
        let mut frame = datagram.frame();
        frame[IP + 1] = 0xb9;
        frame[IP + 4..IP + 6].copy_from_slice(&[0x12, 0x34]);
        frame[IP + 8] = 3;
        with_header_checksum(frame)
    };
    let said = answer(&id_server(), NAME);
    let row = |name: &str, datagram: &Datagram| {
        Row::answered(name, "README, What it does to packets", datagram, &said)
    };
    let (came, left) = with(b"");
    let (came, left) = (marked(response4(&came)), marked(response4(&left)));
    let expired =
        |name: &str, rule, frame| Row::passed(Hook::Queries, name, rule, frame, Outcome::AnswerFrame);
    let mut old = query4(&id).frame();
    old[IP + 8] = 0;
    vec![
        row("id.server with DSCP, an id and a low TTL", &query4(&id)).arriving_with(0, &marked(query4(&id))),
        row("id.server over IPv6 with a traffic class and a flow label", &query6(&id))
            .arriving_with(IP6, &[0x6b, 0x91, 0x23, 0x45]),
        expired("id.server with a TTL of 0", "RFC 1122 3.2.1.7", with_header_checksum(old)),
        expired("id.server with a hop limit of 0", "RFC 8200 3", query6(&id).frame()).patched(IP6 + 7, &[0]),
        Row::became(
            Hook::Responses,
            "a response with DSCP, an id and a low TTL",
            "RFC 791 3.1",
            came,
            left,
            Outcome::Inserted,
        )
        .noted(UDP_SIZE),
        Row::passed(
            Hook::Responses,
            "a response without records or OPT",
            "RFC 6891 7",
            response4(&response()).frame(),
            Outcome::ResponseNoOpt,
        )
        .noted(UDP_SIZE),
    ]
}
