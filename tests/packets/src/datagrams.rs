//! What is a DNS datagram of ours, for both programs, and what is not.

use nsid_common::outcome::Outcome;
use nsid_user::datapath::Prog;

use super::{
    message::{Message, a_question_that_fills, asking, id_server, query, response, www},
    row::{
        CLIENT4, Hook, OTHER_SERVER4, Row, SERVER4, UDP_SIZE, datagram, query4, query6, response4, response6,
    },
};

const ETHER_TYPE: usize = 12;
const IP: usize = 14;

pub(crate) fn rows() -> Vec<Row> {
    [not_ours(), tags(), ipv4(), ipv6(), lengths(), buffers()].into_iter().flatten().collect()
}

/// Of a test run (`net/bpf/test_run.c`): a page without headroom and tailroom.
const FIRST_BUFFER: usize = 4096 - 256 - 320;

/// Frames of several buffers (`xdp.frags`), of which XDP reaches the first.
fn buffers() -> Vec<Row> {
    const RULE: &str = "README, What it does to packets";
    let (queries, both): (&[Prog], &[Prog]) = (&[Prog::Xdp, Prog::XdpBoth], &[Prog::XdpBoth]);
    let row = |hook, name: &str, frame, outcome, programs| {
        Row::passed(hook, name, RULE, frame, outcome).at(programs).with(|model| model.buffer = FIRST_BUFFER)
    };
    let long_query = query4(&query(&www()).filler(3600)).frame();
    let long_response = response4(&response().filler(3600).opt(1232, b"")).frame();
    let answerable = query4(&query(&id_server())).frame();
    vec![
        row(Hook::Queries, "query: of two buffers", long_query, Outcome::QueryTooLarge, queries),
        row(Hook::Responses, "response: of two buffers", long_response, Outcome::ResponseTooLarge, both)
            .noted(UDP_SIZE),
        row(Hook::Queries, "query: padded with another buffer", answerable, Outcome::AnswerNoRoom, queries)
            .padded(3600),
    ]
}

fn seen(name: &str, rule: &'static str, frame: Vec<u8>, outcome: Outcome) -> Row {
    Row::passed(Hook::Queries, name, rule, frame, outcome)
}

/// The same frame for both programs: a query to the server, or a response from it.
fn both(name: &str, rule: &'static str, outcome: Outcome, change: impl Fn(&mut Vec<u8>)) -> [Row; 2] {
    let (mut query, mut response) = (query4(&asking()).frame(), response4(&named_ready()).frame());
    change(&mut query);
    change(&mut response);
    [
        Row::passed(Hook::Queries, format!("query: {name}"), rule, query, outcome),
        Row::passed(Hook::Responses, format!("response: {name}"), rule, response, outcome).noted(UDP_SIZE),
    ]
}

/// As [`both`], over IPv6.
fn both6(name: &str, rule: &'static str, outcome: Outcome, change: impl Fn(&mut Vec<u8>)) -> [Row; 2] {
    let (mut query, mut response) = (query6(&asking()).frame(), response6(&named_ready()).frame());
    change(&mut query);
    change(&mut response);
    [
        Row::passed(Hook::Queries, format!("query: {name}"), rule, query, outcome),
        Row::passed(Hook::Responses, format!("response: {name}"), rule, response, outcome).noted(UDP_SIZE),
    ]
}

/// A response that would be named.
fn named_ready() -> Message {
    response().a().opt(1232, b"")
}

fn put(at: usize, bytes: &'static [u8]) -> impl Fn(&mut Vec<u8>) {
    move |frame| frame[at..at + bytes.len()].copy_from_slice(bytes)
}

fn not_ours() -> Vec<Row> {
    let elsewhere = |from: &str, to: &str| datagram(from, to, &asking()).frame();
    [
        both("ARP", "RFC 826", Outcome::NotOurs, put(ETHER_TYPE, &[8, 6])),
        both("TCP", "RFC 9293 3.1", Outcome::NotOurs, put(IP + 9, &[6])),
        both("ends before the DNS header", "RFC 1035 4.1.1", Outcome::NotOurs, |frame| frame.truncate(53)),
    ]
    .into_iter()
    .flatten()
    .chain(both6("IPv6 that ends before the DNS header", "RFC 1035 4.1.1", Outcome::NotOurs, |frame| {
        frame.truncate(73);
    }))
    .chain([
        seen(
            "a bare Ethernet header and a byte",
            "IEEE 802.3 3.1.1",
            query4(&asking()).frame()[..15].to_vec(),
            Outcome::NotOurs,
        ),
        seen(
            "to a port that nobody serves",
            "README, What it does to packets",
            elsewhere(CLIENT4, "10.0.0.2:54"),
            Outcome::NotOurs,
        ),
        seen(
            "to an address that nobody serves",
            "README, What it does to packets",
            elsewhere(CLIENT4, "10.0.0.4:53"),
            Outcome::NotOurs,
        ),
        seen(
            "to a port that is served at another address",
            "README, What it does to packets",
            elsewhere(CLIENT4, "10.0.0.2:5353"),
            Outcome::NotOurs,
        ),
        seen(
            "to the second service",
            "README, What it does to packets",
            elsewhere(CLIENT4, OTHER_SERVER4),
            Outcome::QueryNoted,
        ),
        seen(
            "from a served port to another host",
            "README, What it does to packets",
            elsewhere(SERVER4, CLIENT4),
            Outcome::NotOurs,
        )
        // A program that sees both takes it for a response, which it is not.
        .at(&[Prog::Xdp, Prog::Queries]),
        Row::passed(
            Hook::Responses,
            "response: from a port that nobody serves",
            "README, What it does to packets",
            datagram("10.0.0.2:54", CLIENT4, &named_ready()).frame(),
            Outcome::NotOurs,
        ),
        Row::passed(
            Hook::Responses,
            "response: transit traffic from port 53 of another host",
            "RFC 6891 6.2.6",
            datagram("10.0.0.4:53", CLIENT4, &named_ready()).frame(),
            Outcome::NotOurs,
        ),
    ])
    .collect()
}

fn tags() -> Vec<Row> {
    let tagged = |tags: &[[u16; 2]]| {
        let mut datagram = query4(&asking());
        datagram.tags = tags.to_vec();
        datagram.frame()
    };
    let q = [0x8100, 7];
    let mut six = query6(&asking());
    six.tags = vec![[0x88a8, 9], q];
    vec![
        seen("one VLAN tag", "IEEE 802.1Q 9.6", tagged(&[q]), Outcome::QueryNoted),
        seen("two VLAN tags", "IEEE 802.1Q 9.6", tagged(&[[0x88a8, 9], q]), Outcome::QueryNoted),
        seen("two VLAN tags over IPv6", "IEEE 802.1Q 9.6", six.frame(), Outcome::QueryNoted),
        seen(
            "three VLAN tags",
            "README, What it does to packets",
            tagged(&[[0x88a8, 9], q, q]),
            Outcome::NotOurs,
        ),
        seen("a tag of no known kind", "IEEE 802.1Q 9.4", tagged(&[[0x9100, 7]]), Outcome::NotOurs),
        seen(
            "a VLAN tag and nothing behind it",
            "IEEE 802.1Q 9.6",
            tagged(&[q])[..18].to_vec(),
            Outcome::NotOurs,
        ),
    ]
}

fn ipv4() -> Vec<Row> {
    let rule = "RFC 791 3.1";
    [
        both("IPv4 options", rule, Outcome::Ipv4Options, put(IP, &[0x46])),
        both("an IPv4 header too short to be one", rule, Outcome::Ipv4Options, put(IP, &[0x44])),
        both("IPv6's version in an IPv4 header", rule, Outcome::Ipv4Options, put(IP, &[0x65])),
        both("the first fragment", rule, Outcome::Fragment, put(IP + 6, &[0x20, 0])),
        both("a middle fragment", rule, Outcome::Fragment, put(IP + 6, &[0x20, 1])),
        both("the last fragment", rule, Outcome::Fragment, put(IP + 6, &[0, 1])),
        both("the last fragment far behind", rule, Outcome::Fragment, put(IP + 6, &[0x1f, 0])),
    ]
    .into_iter()
    .flatten()
    .chain([
        seen("DF is no fragment", rule, query4(&asking()).frame(), Outcome::QueryNoted),
        seen("neither DF nor fragment", rule, query4(&asking()).frame(), Outcome::QueryNoted)
            .patched(IP + 6, &[0, 0]),
        seen("UDP without checksum", "RFC 768", query4(&asking()).frame(), Outcome::QueryNoted)
            .patched(40, &[0, 0]),
    ])
    .collect()
}

fn ipv6() -> Vec<Row> {
    let rule = "RFC 8200 4";
    [
        both6("hop-by-hop options", rule, Outcome::Ipv6Extension, put(IP + 6, &[0])),
        both6("a routing header", rule, Outcome::Ipv6Extension, put(IP + 6, &[43])),
        both6("a fragment header", rule, Outcome::Ipv6Extension, put(IP + 6, &[44])),
        both6("destination options", rule, Outcome::Ipv6Extension, put(IP + 6, &[60])),
        both6("TCP over IPv6", rule, Outcome::NotOurs, put(IP + 6, &[6])),
        both6("ICMPv6", rule, Outcome::NotOurs, put(IP + 6, &[58])),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Lengths that do not agree: the query is not read, the response is not edited.
fn lengths() -> Vec<Row> {
    let lying = |name: &str, rule, change: &dyn Fn(&mut Vec<u8>)| {
        let [query, response] = both(name, rule, Outcome::QueryMalformed, change);
        [query, response.becoming(Outcome::ResponseMalformed)]
    };
    let lying6 = |name: &str, rule, change: &dyn Fn(&mut Vec<u8>)| {
        let [query, response] = both6(name, rule, Outcome::QueryMalformed, change);
        [query, response.becoming(Outcome::ResponseMalformed)]
    };
    [
        lying("IPv4 longer than the frame", "RFC 791 3.1", &|frame| frame[IP + 3] += 1),
        lying("IPv4 shorter than UDP", "RFC 768", &|frame| frame[IP + 3] -= 1),
        lying("UDP longer than IPv4", "RFC 768", &|frame| frame[IP + 25] += 1),
        lying("UDP shorter than IPv4", "RFC 768", &|frame| frame[IP + 25] -= 1),
        lying("UDP of length 0", "RFC 768", &put(IP + 24, &[0, 0])),
        lying("a frame cut off", "RFC 1035 4.1", &|frame| frame.truncate(frame.len() - 1)),
        lying6("IPv6 longer than the frame", "RFC 8200 3", &|frame| {
            frame[IP + 5] += 1;
            frame[IP + 45] += 1;
        }),
        lying6("IPv6 shorter than UDP", "RFC 768", &|frame| frame[IP + 5] -= 1),
        lying6("UDP longer than IPv6", "RFC 768", &|frame| frame[IP + 45] += 1),
        lying6("IPv4's version in an IPv6 header", "RFC 8200 3", &|frame| frame[IP] = 0x40),
    ]
    .into_iter()
    .flatten()
    .chain([
        seen("padding of a short frame", "IEEE 802.3 3.2.8", query4(&asking()).frame(), Outcome::QueryNoted)
            .padded(9),
        seen(
            "a question that stands only in the padding",
            "RFC 768",
            datagram_of_nothing_before(&query(&id_server())),
            Outcome::QueryPlain,
        ),
        seen(
            "a question that ends beyond the datagram",
            "RFC 768",
            datagram_of_nothing_before(&query(&www()).opt(1232, b"")),
            Outcome::QueryMalformed,
        ),
        seen(
            "the longest message that can be reached",
            "README, What it does to packets",
            query4(&a_question_that_fills(2047 - 42)).frame(),
            Outcome::QueryNoted,
        ),
        seen(
            "a message longer than can be reached",
            "README, What it does to packets",
            query4(&a_question_that_fills(2100)).frame(),
            Outcome::QueryMalformed,
        ),
    ])
    .collect()
}

/// A datagram without payload, with the message as padding behind it.
fn datagram_of_nothing_before(message: &Message) -> Vec<u8> {
    let mut datagram = query4(message);
    let padding = std::mem::take(&mut datagram.payload);
    [datagram.frame(), padding].concat()
}
