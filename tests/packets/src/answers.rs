//! Questions for the server's own name: what the kernel answers, and what it leaves to the server.

use nsid_common::outcome::Outcome;

use super::{
    message::{
        CLASS_CH, Message, TYPE_A, answer, cookie, hostname_bind, id_server, name, nsid, query, question,
    },
    row::{
        CLIENT4, CLIENT6, Hook, NAME, OTHER_NAME, OTHER_SERVER4, Row, SERVER4, SERVER6, datagram, query4,
        query6,
    },
};

/// What the kernel tells in OPT (nsid-common, `image`).
const OWN_SIZE: u16 = 1232;
/// DO among the flags of OPT.
const DO: u32 = 0x8000;

pub(crate) fn rows() -> Vec<Row> {
    [answered(), in_the_frame(), left_to_the_server(), clients(), state()].into_iter().flatten().collect()
}

fn answered() -> Vec<Row> {
    let id = id_server();
    let plain = answer(&id, NAME);
    let mixed = question(&name(&[b"Id", b"SeRvEr"]), 16, CLASS_CH);
    let mixed_bind = question(&name(&[b"HOSTname", b"bInD"]), 16, CLASS_CH);
    let with_nsid = answer(&id, NAME).opt(OWN_SIZE, &nsid(NAME));
    let row = |name: &str, rule, asked: &Message, answer: &Message| {
        Row::answered(name, rule, &query4(asked), answer)
    };
    vec![
        row("id.server", "RFC 4892 2", &query(&id), &plain),
        row("hostname.bind", "RFC 4892 2", &query(&hostname_bind()), &answer(&hostname_bind(), NAME)),
        Row::answered("id.server over IPv6", "RFC 4892 2", &query6(&query(&id)), &plain),
        row("id.server in letters of both cases", "RFC 1035 2.3.3", &query(&mixed), &answer(&mixed, NAME)),
        row(
            "hostname.bind in letters of both cases",
            "RFC 1035 2.3.3",
            &query(&mixed_bind),
            &answer(&mixed_bind, NAME),
        ),
        row(
            "id.server with another id",
            "RFC 1035 4.1.1",
            &query(&id).id(0xfffe),
            &answer(&id, NAME).id(0xfffe),
        ),
        row("id.server without RD", "RFC 1035 4.1.1", &query(&id).flags(0), &answer(&id, NAME).flags(0x8400)),
        row("id.server with CD and AD", "RFC 4035 3.1.6", &query(&id).flags(0x0130), &plain),
        row(
            "id.server with OPT",
            "RFC 6891 7",
            &query(&id).opt(4096, b""),
            &answer(&id, NAME).opt(OWN_SIZE, b""),
        ),
        row(
            "id.server with OPT and a cookie",
            "RFC 7873 5.2",
            &query(&id).opt(4096, &cookie()),
            &answer(&id, NAME).opt(OWN_SIZE, b""),
        ),
        row(
            "id.server with DO",
            "RFC 3225 3",
            &query(&id).opt_with(4096, DO, b""),
            &answer(&id, NAME).opt_with(OWN_SIZE, DO, b""),
        ),
        row(
            "id.server with a flag of OPT that nobody knows",
            "RFC 6891 6.1.4",
            &query(&id).opt_with(4096, 1, b""),
            &answer(&id, NAME).opt(OWN_SIZE, b""),
        ),
        row("id.server with NSID", "RFC 5001 2.1", &query(&id).opt(4096, &nsid(b"")), &with_nsid),
        row(
            "id.server with payload in NSID",
            "RFC 5001 2.1",
            &query(&id).opt(4096, &nsid(b"not mine")),
            &with_nsid,
        ),
        row(
            "id.server with NSID and DO",
            "RFC 3225 3",
            &query(&id).opt_with(4096, DO, &nsid(b"")),
            &answer(&id, NAME).opt_with(OWN_SIZE, DO, &nsid(NAME)),
        ),
        Row::answered(
            "hostname.bind with NSID over IPv6",
            "RFC 5001 2.1",
            &query6(&query(&hostname_bind()).opt(4096, &nsid(b""))),
            &answer(&hostname_bind(), NAME).opt(OWN_SIZE, &nsid(NAME)),
        ),
        row(
            "id.server for a requestor that takes 0 bytes",
            "RFC 6891 6.2.3",
            &query(&id).opt(0, &nsid(b"")),
            &with_nsid,
        ),
        row(
            "id.server that is shorter than its query",
            "RFC 1035 4.1",
            &query(&id).opt(4096, &nsid(&[0; 200])),
            &with_nsid,
        ),
        Row::answered(
            "id.server of the second service",
            "README, What it does to packets",
            &datagram(CLIENT4, OTHER_SERVER4, &query(&id)),
            &answer(&id, OTHER_NAME),
        ),
    ]
}

fn in_the_frame() -> Vec<Row> {
    let id = id_server();
    let both = [[0x88a8, 9], [0x8100, 7]];
    let tagged = |tags: &[[u16; 2]], mut datagram: nsid_common::model::Datagram| {
        datagram.tags = tags.to_vec();
        datagram
    };
    let asked = query(&id).opt(4096, &nsid(b""));
    let said = |said: &[u8]| answer(&id_server(), said).opt(OWN_SIZE, &nsid(said));
    let named = |text: &str, length: usize| {
        let said_name = vec![b'n'; length];
        let datagram = query4(&query(&id_server()).opt(4096, &nsid(b"")));
        Row::answered(text, "README, What it does to packets", &datagram, &said(&said_name))
            .with(move |model| model.say(0, &said_name, u64::MAX))
    };
    vec![
        Row::answered(
            "id.server behind a VLAN tag",
            "IEEE 802.1Q 9.6",
            &tagged(&both[1..], query4(&asked)),
            &said(NAME),
        ),
        Row::answered(
            "id.server behind two VLAN tags",
            "IEEE 802.1Q 9.6",
            &tagged(&both, query4(&asked)),
            &said(NAME),
        ),
        Row::answered(
            "id.server over IPv6 behind two VLAN tags",
            "IEEE 802.1Q 9.6",
            &tagged(&both, query6(&asked)),
            &said(NAME),
        ),
        Row::answered(
            "id.server in a padded frame",
            "IEEE 802.3 3.2.8",
            &query4(&query(&id)),
            &answer(&id, NAME),
        )
        .padded(40),
        Row::answered(
            "id.server in a frame padded beyond its answer",
            "IEEE 802.3 3.2.8",
            &query4(&query(&id)),
            &answer(&id, NAME),
        )
        .padded(400),
        named("a name of 1 byte", 1),
        named("a name of 3 bytes", 3),
        named("a name of 4 bytes", 4),
        named("a name of an even length", 20),
        named("a name of an odd length", 21),
        named("a name of 128 bytes", 128),
    ]
}

fn left_to_the_server() -> Vec<Row> {
    let id = id_server();
    let row = |name: &str, rule, message: Message, outcome| {
        Row::passed(Hook::Queries, name, rule, query4(&message).frame(), outcome)
    };
    let plain = Outcome::QueryPlain;
    let of = |labels: &[&[u8]], qtype, class| query(&question(&name(labels), qtype, class));
    vec![
        row("id.server IN TXT", "RFC 4892 2", of(&[b"id", b"server"], 16, 1), plain),
        row("id.server ANY TXT", "RFC 4892 2", of(&[b"id", b"server"], 16, 255), plain),
        row("id.server CH A", "RFC 4892 2", of(&[b"id", b"server"], TYPE_A, CLASS_CH), plain),
        row("id.server CH ANY", "RFC 8482 4", of(&[b"id", b"server"], 255, CLASS_CH), plain),
        row("a name below id.server", "RFC 4892 2", of(&[b"a", b"id", b"server"], 16, CLASS_CH), plain),
        row("a name above id.server", "RFC 4892 2", of(&[b"server"], 16, CLASS_CH), plain),
        row("id.servers", "RFC 4892 2", of(&[b"id", b"servers"], 16, CLASS_CH), plain),
        row("hostname.bine", "RFC 4892 2", of(&[b"hostname", b"bine"], 16, CLASS_CH), plain),
        row("hostname.bind IN TXT", "RFC 4892 2", of(&[b"hostname", b"bind"], 16, 1), plain),
        row(
            "id with a byte that differs from server in bit 5 alone",
            "RFC 1035 2.3.3",
            of(&[b"id", b"server"], 16 | 0x20, CLASS_CH),
            plain,
        ),
        row("id.server with another record", "RFC 1035 4.1", query(&id).additional(), plain),
        row("id.server with an answer", "RFC 1035 4.1", query(&id).a(), plain),
        row(
            "id.server with OPT and another record",
            "RFC 1035 4.1",
            query(&id).additional().opt(4096, b""),
            plain,
        ),
        row("id.server and a byte behind it", "RFC 1035 4.1", query(&id).raw(&[0]), plain),
        row(
            "id.server and a byte behind OPT",
            "RFC 1035 4.1",
            query(&id).opt(4096, b"").raw(&[0]),
            Outcome::QueryMalformed,
        ),
        row("id.server as NOTIFY", "RFC 1996 3", query(&id).flags(0x2000), plain),
        row("id.server as a response", "RFC 1035 4.1.1", query(&id).flags(0x8000), Outcome::QueryNot),
        row(
            "id.server twice",
            "RFC 9619 3",
            query(&[id.clone(), id.clone()].concat()).counts([2, 0, 0, 0]),
            Outcome::QueryMalformed,
        ),
        row(
            "id.server with EDNS version 1",
            "RFC 6891 6.1.3",
            query(&id).opt_with(4096, 0x0001_0000, b""),
            Outcome::AnswerVersion,
        ),
        row(
            "id.server with EDNS version 255 and NSID",
            "RFC 6891 6.1.3",
            query(&id).opt_with(4096, 0x00ff_0000, &nsid(b"")),
            Outcome::AnswerVersion,
        ),
    ]
}

/// Who gets no answer: from these addresses, it would go to somebody who did not ask.
fn clients() -> Vec<Row> {
    let from = |name: &str, rule, client: &str, outcome| {
        let server = if client.starts_with('[') { SERVER6 } else { SERVER4 };
        Row::passed(
            Hook::Queries,
            name,
            rule,
            datagram(client, server, &query(&id_server())).frame(),
            outcome,
        )
    };
    let to_mac = |name: &str, rule, mac: [u8; 6]| {
        let frame = query4(&query(&id_server())).frame();
        Row::passed(Hook::Queries, name, rule, frame, Outcome::AnswerFrame).patched(0, &mac)
    };
    let other = Outcome::AnswerClient;
    vec![
        from("a client beyond the networks that are answered", "RFC 5358 4", "192.0.2.1:4242", other),
        from("a client just beyond a network that is answered", "RFC 5358 4", "11.0.0.0:4242", other),
        from(
            "an IPv6 client beyond the networks that are answered",
            "RFC 5358 4",
            "[2001:db8::1]:4242",
            other,
        ),
        from("the server's own address", "RFC 1122 3.2.1.3", "10.0.0.2:4242", other),
        from("the server's own IPv6 address", "RFC 4291 2.5.1", "[fd00::2]:4242", other),
        from("a directed broadcast address", "RFC 1122 3.2.1.3", "10.255.255.255:4242", other),
        from("the limited broadcast address", "RFC 1122 3.2.1.3", "255.255.255.255:4242", other),
        from("a multicast address", "RFC 1122 3.2.1.3", "224.0.0.1:4242", other),
        from("an IPv6 multicast address", "RFC 4291 2.7", "[ff02::1]:4242", other),
        from("a loopback address", "RFC 1122 3.2.1.3", "127.0.0.1:4242", other),
        from("the IPv6 loopback address", "RFC 4291 2.5.3", "[::1]:4242", other),
        from("no address", "RFC 1122 3.2.1.3", "0.0.0.0:4242", other),
        from("no IPv6 address", "RFC 4291 2.5.2", "[::]:4242", other),
        from("IPv4 mapped into an IPv6 header", "RFC 4291 2.5.5.2", "[::ffff:10.0.0.1]:4242", other),
        from("no port", "RFC 768", "10.0.0.1:0", Outcome::AnswerFrame),
        to_mac("a frame to another host", "IEEE 802.3 3.2.3", [2, 0, 0, 0, 0, 9]),
        to_mac("a frame whose address differs in the first byte", "IEEE 802.3 3.2.3", [6, 0, 0, 0, 0, 2]),
        to_mac("a broadcast frame", "IEEE 802.3 3.2.3", [0xff; 6]),
        to_mac("a multicast frame", "IEEE 802.3 3.2.3", [1, 0, 0x5e, 0, 0, 1]),
    ]
}

fn state() -> Vec<Row> {
    let row = |name: &str, rule, outcome| {
        Row::passed(Hook::Queries, name, rule, query4(&query(&id_server())).frame(), outcome)
    };
    let answered = |name: &str, rule| {
        Row::answered(name, rule, &query4(&query(&id_server())), &answer(&id_server(), NAME))
    };
    let length = answer(&id_server(), NAME).len() as u64 + 28;
    let length6 = answer(&id_server(), NAME).len() as u64 + 48;
    let hour = 3_600_000_000_000;
    vec![
        row("not answered while switched off", "README, What it does to packets", Outcome::AnswerOff)
            .with(|model| model.control.enabled.set(0)),
        row("only counted while observed", "README, What it does to packets", Outcome::Answered)
            .with(|model| model.control.observe.set(1)),
        row("not answered with a lapsed name", "README, What it does to packets", Outcome::AnswerLapsed)
            .with(|model| model.deadline(0).set(1)),
        row("not answered with a silenced name", "README, What it does to packets", Outcome::AnswerLapsed)
            .with(|model| model.deadline(0).set(0)),
        row(
            "not answered with a name that lapsed an hour ago",
            "README, What it does to packets",
            Outcome::AnswerLapsed,
        )
        .with(move |model| model.deadline(0).set(model.boot_time.saturating_sub(hour).max(1))),
        answered("answered with a name that lapses in an hour", "README, What it does to packets")
            .with(move |model| model.deadline(0).set(model.boot_time + hour)),
        answered("answered with the newest of three names", "README, What it does to packets").with(
            |model| {
                model.say(0, b"older", u64::MAX);
                model.say(0, NAME, u64::MAX);
            },
        ),
        row(
            "not answered where no name was ever said",
            "README, What it does to packets",
            Outcome::AnswerLapsed,
        )
        .with(|model| {
            for record in &model.records {
                record.deadline.set(0);
            }
        }),
        row("not answered by nobody's interface", "README, What it does to packets", Outcome::AnswerFrame)
            .with(|model| model.interfaces[1].index.set(0)),
        row(
            "not answered by the interface in whose place another is",
            "README, What it does to packets",
            Outcome::AnswerFrame,
        )
        .with(|model| model.interfaces[1].index.set(257)),
        row("not answered where nobody is", "README, What it does to packets", Outcome::AnswerClient)
            .with(|model| model.set_clients(&[])),
        answered("an answer as long as the MTU", "RFC 1122 3.3.3")
            .with(move |model| model.interfaces[1].mtu.set(length)),
        row("an answer a byte longer than the MTU", "RFC 1122 3.3.3", Outcome::AnswerNoRoom)
            .with(move |model| model.interfaces[1].mtu.set(length - 1)),
        Row::passed(
            Hook::Queries,
            "an answer over IPv6 a byte longer than the MTU",
            "RFC 8200 5",
            datagram(CLIENT6, SERVER6, &query(&id_server())).frame(),
            Outcome::AnswerNoRoom,
        )
        .with(move |model| model.interfaces[1].mtu.set(length6 - 1)),
    ]
}
