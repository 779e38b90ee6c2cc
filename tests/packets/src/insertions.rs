//! Responses that leave with the name, in every place and of every length, up to the limits and not beyond.

use nsid_common::outcome::Outcome;

use super::{
    message::{Message, cookie, nsid, option, response},
    responses::long,
    row::{Hook, NAME, Row, UDP_SIZE, response4, response6},
};

pub(crate) fn rows() -> Vec<Row> {
    [inserted(), in_the_frame(), replaced(), limits()].into_iter().flatten().collect()
}

fn named(name: &str, rule: &'static str, came: &Message, left: &Message) -> Row {
    Row::edited(name, rule, Outcome::Inserted, &response4(came), left)
}

/// A response with these options, and with the name behind them.
pub(crate) fn with(options: &[u8]) -> (Message, Message) {
    let response = || response().a();
    (response().opt(1232, options), response().opt(1232, &[options, &nsid(NAME)].concat()))
}

fn inserted() -> Vec<Row> {
    let row = |name: &str, rule, (came, left): (Message, Message)| named(name, rule, &came, &left);
    let flagged = |name: &str, rule, flags| {
        let (came, left) = with(b"");
        named(name, rule, &came.flags(flags), &left.flags(flags))
    };
    let extended = |name: &str, rule, ttl| {
        let both = |options: &[u8]| response().opt_with(1232, ttl, options);
        named(name, rule, &both(b""), &both(&nsid(NAME)))
    };
    let said = |text: &str, length: usize| {
        let said_name = vec![b'n'; length];
        let both = |options: &[u8]| response().a().opt(1232, options);
        let datagram = response4(&both(&cookie()));
        let left = both(&[cookie(), nsid(&said_name)].concat());
        Row::edited(text, "RFC 5001 2.3", Outcome::Inserted, &datagram, &left)
            .with(move |model| model.say(0, &said_name, u64::MAX))
    };
    let many = |count: usize| (0..count).fold(response(), |message, _| message.raw(SHORT));
    let many = |count: u16, options: &[u8]| many(count.into()).opt(4096, options).counts([1, count, 0, 1]);
    vec![
        row("OPT without options gets the name", "RFC 5001 2.2", with(b"")),
        row("the name behind a cookie", "RFC 5001 2.2", with(&cookie())),
        row("the name at an odd offset", "RFC 1071 2", with(&option(12, b"x"))),
        row("the name at an even offset", "RFC 1071 2", with(&option(12, b"xy"))),
        row(
            "the name behind 31 options",
            "README, What it does to packets",
            with(&option(9, b"").repeat(31)),
        ),
        row(
            "the name behind another option's data that looks like NSID",
            "RFC 6891 6.1.2",
            with(&option(10, &nsid(b"x"))),
        ),
        flagged("NXDOMAIN", "RFC 5001 2.2", 0x8183),
        flagged("REFUSED", "RFC 5001 2.2", 0x8185),
        flagged("a truncated response", "RFC 6891 7", 0x8380),
        flagged("a response to NOTIFY", "RFC 1996 4.7", 0xa000),
        extended("BADVERS", "RFC 6891 9", 0x0100_0000),
        extended("DO", "RFC 3225 3", 0x8000),
        named(
            "SIG over a type does not sign the message",
            "RFC 2535 4.1",
            &response().ordinary_sig().opt(1232, b""),
            &response().ordinary_sig().opt(1232, &nsid(NAME)),
        ),
        named("130 records", "README, What it does to packets", &many(130, b""), &many(130, &nsid(NAME)))
            .noted(4096)
            .with(|model| model.interfaces[1].mtu.set(9000)),
        said("an option of 1 byte", 1),
        said("an option of 3 bytes", 3),
        said("an option of 4 bytes", 4),
        said("an option of 5 bytes", 5),
        said("an option of an even length", 20),
        said("an option of an odd length", 21),
        said("an option of 128 bytes", 128),
    ]
}

/// An A record of the root with one byte of data, as short as a record is.
const SHORT: &[u8] = &[0, 3, 232, 0, 1, 0, 0, 0, 0, 0, 1, 9];

fn in_the_frame() -> Vec<Row> {
    let (came, left) = with(b"");
    let tags = |tags: &[[u16; 2]], mut datagram: nsid_common::model::Datagram| {
        datagram.tags = tags.to_vec();
        datagram
    };
    let both = [[0x88a8, 9], [0x8100, 7]];
    let edited = |name: &str, rule, datagram| Row::edited(name, rule, Outcome::Inserted, &datagram, &left);
    vec![
        edited("inserted over IPv6", "RFC 8200 8.1", response6(&came)),
        edited("inserted behind a VLAN tag", "IEEE 802.1Q 9.6", tags(&both[1..], response4(&came))),
        edited("inserted behind two VLAN tags", "IEEE 802.1Q 9.6", tags(&both, response4(&came))),
        edited("inserted over IPv6 behind two VLAN tags", "IEEE 802.1Q 9.6", tags(&both, response6(&came))),
        edited("no checksum stays none", "RFC 768", response4(&came)).patched(40, &[0, 0]),
        // A checksum that was wrong is wrong by as much: it is mended, not made anew.
        edited("a TTL that somebody changed stays", "RFC 1624 3", response4(&came)).patched(22, &[63, 17]),
    ]
}

fn replaced() -> Vec<Row> {
    let row = |name: &str, came: &[u8], left: &[u8]| {
        let of = |options: &[u8]| response().a().opt(1232, options);
        Row::edited(name, "RFC 5001 2.3", Outcome::Replaced, &response4(&of(came)), &of(left))
    };
    let name = nsid(NAME);
    let own = |length: usize| nsid(&vec![b'o'; length]);
    let filler = option(12, b"odd");
    vec![
        row("an empty NSID of the server's own", &own(0), &name),
        row("a shorter NSID of the server's own", &own(5), &name),
        row("an NSID of the server's own of the same length", &own(NAME.len()), &name),
        row("the same NSID of the server's own", &name, &name),
        row("a longer NSID of the server's own", &own(60), &name),
        row("the server's own NSID first", &[own(5), cookie()].concat(), &[cookie(), name.clone()].concat()),
        row(
            "the server's own NSID in the middle",
            &[filler.clone(), own(5), cookie()].concat(),
            &[filler.clone(), cookie(), name.clone()].concat(),
        ),
        row("the server's own NSID last", &[cookie(), own(5)].concat(), &[cookie(), name.clone()].concat()),
        row(
            "the server's own NSID of an odd length before an odd option",
            &[own(5), filler.clone()].concat(),
            &[filler.clone(), name.clone()].concat(),
        ),
        row(
            "the server's own NSID of an even length before an odd option",
            &[own(6), filler.clone()].concat(),
            &[filler.clone(), name.clone()].concat(),
        ),
        row("two NSID of the server's own", &[own(3), own(4)].concat(), &name),
        row(
            "two NSID of the server's own apart",
            &[own(3), filler.clone(), own(4), cookie()].concat(),
            &[filler.clone(), cookie(), name.clone()].concat(),
        ),
        row("four NSID of the server's own", &own(30).repeat(4), &name),
        row(
            "four NSID of the server's own among others",
            &[own(0), filler.clone(), own(1), cookie(), own(2), own(3), filler.clone()].concat(),
            &[filler.clone(), cookie(), filler.clone(), name.clone()].concat(),
        ),
    ]
}

/// A response whose message is so many bytes long when it has got the name, and what leaves then.
fn filled(length: usize) -> (Message, Message) {
    let rest = response().opt(4096, &nsid(NAME)).len();
    let of = |options: &[u8]| response().filler(length - rest).opt(4096, options);
    (of(b""), of(&nsid(NAME)))
}

fn limits() -> Vec<Row> {
    let mut rows = vec![];
    // A requestor's size below 512 means 512 (RFC 6891 6.2.3).
    for (size, limit) in [(0, 512), (511, 512), (512, 512), (513, 513), (1232, 1232)] {
        let (came, left) = filled(limit);
        rows.push(
            named(&format!("as long as a requestor with size {size} takes"), "RFC 6891 6.2.3", &came, &left)
                .noted(size),
        );
        let (came, _) = filled(limit + 1);
        rows.push(
            not_named(
                &format!("a byte longer than a requestor with size {size} takes"),
                "RFC 6891 6.2.3",
                &came,
                Outcome::ResponseNoRoom,
            )
            .noted(size),
        );
    }
    let (came, left) = filled(1500 - 28);
    rows.push(named("as long as the MTU", "RFC 1191 3", &came, &left).noted(4096));
    let (came, _) = filled(1500 - 28 + 1);
    rows.push(
        not_named("a byte longer than the MTU", "RFC 1191 3", &came, Outcome::ResponseNoRoom).noted(4096),
    );
    let (came, left) = filled(1500 - 48);
    rows.push(
        Row::edited(
            "as long as the MTU over IPv6",
            "RFC 8200 5",
            Outcome::Inserted,
            &response6(&came),
            &left,
        )
        .noted(4096),
    );
    let (came, _) = filled(1500 - 48 + 1);
    rows.push(
        Row::passed(
            Hook::Responses,
            "a byte longer than the MTU over IPv6",
            "RFC 8200 5",
            response6(&came).frame(),
            Outcome::ResponseNoRoom,
        )
        .noted(4096),
    );
    // Tags are not part of what the MTU limits.
    let (came, left) = filled(1500 - 28);
    let mut tagged = response4(&came);
    tagged.tags = vec![[0x88a8, 9], [0x8100, 7]];
    rows.push(
        Row::edited(
            "as long as the MTU behind two VLAN tags",
            "IEEE 802.3 3.2.7",
            Outcome::Inserted,
            &tagged,
            &left,
        )
        .noted(4096),
    );
    let (came, left) = filled(2047 - 42);
    rows.push(
        named("as long as can be reached", "README, What it does to packets", &came, &left)
            .noted(4096)
            .with(|model| model.interfaces[1].mtu.set(9000)),
    );
    let (came, _) = filled(2048 - 42);
    rows.push(
        not_named(
            "a byte longer than can be reached",
            "README, What it does to packets",
            &came,
            Outcome::ResponseTooLarge,
        )
        .noted(4096)
        .with(|model| model.interfaces[1].mtu.set(9000)),
    );
    rows.push(
        not_named(
            "a response to the last byte that can be reached",
            "README, What it does to packets",
            &long(2047),
            Outcome::ResponseTooLarge,
        )
        .noted(4096)
        .with(|model| model.interfaces[1].mtu.set(9000)),
    );
    rows
}

fn not_named(name: &str, rule: &'static str, message: &Message, outcome: Outcome) -> Row {
    Row::passed(Hook::Responses, name, rule, response4(message).frame(), outcome).noted(UDP_SIZE)
}
