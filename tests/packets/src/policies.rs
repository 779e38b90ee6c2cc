//! What a person decides: who may see the name, what stands for it, and how far the kernel goes.

use nsid_common::{
    clients::{ANSWERED, INTERVALS, NAMED},
    image::Said,
    maps::Address,
    model::{Client, Model},
    outcome::Outcome,
    policy::InUse,
    rate,
};

use super::{
    message::{Message, answer, asking, cookie, id_server, nsid, query, response},
    row::{CLIENT4, CLIENT6, Hook, NAME, Row, SERVER4, SERVER6, UDP_SIZE, datagram, query4, response4},
};

const RULE: &str = "README, Policies";

pub(crate) fn rows() -> Vec<Row> {
    [clients(), forms(), rates(), sizes(), own()].into_iter().flatten().collect()
}

/// Uses the second set of policies from here on, in which these networks alone may see the name.
fn shown_to(model: &Model, networks: &[(Address, u32, u64)]) {
    model.control.policy.set(InUse::new(1).some_may_not_see(true).word());
    let client = |&(network, prefix_len, says)| Client { network, prefix_len, says };
    model.set_clients(&networks.iter().map(client).collect::<Vec<_>>());
}

const V4: Address = Address::v4([10, 0, 0, 0]);
const V6: Address = Address::v6([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
/// An address of IPv6 that looks like one of IPv4 in the table.
const PRETENDING6: &str = "[::ffff:10.0.0.1]:4242";

fn clients() -> Vec<Row> {
    let to = |networks: &'static [(Address, u32, u64)]| move |model: &mut Model| shown_to(model, networks);
    let asked = |name: &str, from: &str, server: &str, outcome| {
        Row::passed(Hook::Queries, name, RULE, datagram(from, server, &asking()).frame(), outcome)
    };
    let (noted, hidden) = (Outcome::QueryNoted, Outcome::QueryClient);
    let both: &[_] = &[(V4, 96 + 24, NAMED), (V6, 64, NAMED)];
    let identity = |name: &str, outcome| {
        let asked = query(&id_server()).opt(1232, &nsid(b""));
        Row::passed(Hook::Queries, name, RULE, query4(&asked).frame(), outcome)
    };
    vec![
        asked("asked by who may see the name", CLIENT4, SERVER4, noted).with(to(both)),
        asked("asked over IPv6 by who may see the name", CLIENT6, SERVER6, noted).with(to(both)),
        asked("asked by who may not see the name", "10.0.1.1:4242", SERVER4, hidden).with(to(both)),
        asked("asked over IPv6 by who may not see it", "[fd00:0:0:1::1]:4242", SERVER6, hidden)
            .with(to(both)),
        asked("who may not see the name voids the note", CLIENT4, SERVER4, hidden)
            .noted(UDP_SIZE)
            .with(to(&[(V6, 64, NAMED)])),
        asked("the last address of a network", "10.0.0.255:4242", SERVER4, noted).with(to(both)),
        asked("the address behind a network", "10.0.1.0:4242", SERVER4, hidden).with(to(both)),
        asked("the address before a network", "9.255.255.255:4242", SERVER4, hidden).with(to(both)),
        asked("a network within one that may not see it", "10.0.0.1:4242", SERVER4, noted)
            .with(to(&[(V4, 96 + 8, 0), (V4, 96 + 24, NAMED)])),
        asked("a network within one that may see it", "10.0.0.1:4242", SERVER4, hidden)
            .with(to(&[(V4, 96 + 8, NAMED), (V4, 96 + 24, 0)])),
        asked("the last address of all", "255.255.255.255:4242", SERVER4, noted).with(to(&[(V4, 0, NAMED)])),
        asked("IPv6 that looks like IPv4 that may see it", PRETENDING6, SERVER6, hidden).with(to(&[(
            V4,
            96 + 8,
            NAMED,
        )])),
        asked("the table is not asked where everybody may see it", "10.0.1.1:4242", SERVER4, noted)
            .with(to(both))
            .with(|model| model.control.policy.set(InUse::new(1).word())),
        asked("the table that is not in use does not count", CLIENT4, SERVER4, hidden)
            .with(to(both))
            .with(|model| model.control.policy.set(InUse::new(0).some_may_not_see(true).word()))
            .with(|model| model.set_clients(&[])),
        asked("the largest table", "10.0.0.1:4242", SERVER4, noted).with(|model| {
            model.control.policy.set(InUse::new(1).some_may_not_see(true).word());
            let hosts = (0..INTERVALS / 2 - 2).map(|host| Client {
                network: Address::v4((0x0b00_0001 + 2 * host).to_be_bytes()),
                prefix_len: 128,
                says: NAMED,
            });
            let own = Client { network: Address::v4([10, 0, 0, 1]), prefix_len: 128, says: NAMED };
            model.set_clients(&hosts.chain([own]).collect::<Vec<_>>());
        }),
        Row::answered(
            "answered who may see the name",
            RULE,
            &query4(&query(&id_server())),
            &answer(&id_server(), NAME),
        )
        .with(to(&[(V4, 96 + 8, ANSWERED | NAMED)])),
        identity("not answered who is not, and noted", Outcome::AnswerClient).with(to(both)),
        identity("not answered who may not see the name, nor noted", Outcome::AnswerClient)
            .noted(UDP_SIZE)
            .with(to(&[(V6, 64, NAMED)])),
    ]
}

fn forms() -> Vec<Row> {
    const BYTES: &[u8] = &[0, 0xff, 3, 0, 3];
    const DIGITS: &[u8] = b"00ff030003";
    let said = |model: &mut Model| {
        model.say_as(0, Said { name: NAME, nsid: BYTES, text: DIGITS }, u64::MAX);
    };
    vec![
        Row::answered(
            "bytes in the place of the name in an answer",
            "RFC 5001 2.3",
            &query4(&query(&id_server()).opt(4096, &nsid(b""))),
            &answer(&id_server(), DIGITS).opt(1232, &nsid(BYTES)),
        )
        .with(said),
        Row::answered(
            "digits in the place of the name without NSID",
            "RFC 4892 2",
            &query4(&query(&id_server())),
            &answer(&id_server(), DIGITS),
        )
        .with(said),
        Row::edited(
            "bytes in the place of the name in a response",
            "RFC 5001 2.3",
            Outcome::Inserted,
            &response4(&response().a().opt(1232, b"")),
            &response().a().opt(1232, &nsid(BYTES)),
        )
        .with(said),
    ]
}

fn rates() -> Vec<Row> {
    let asked = || query4(&query(&id_server()).opt(1232, &nsid(b"")));
    let limited = |model: &mut Model| {
        model.control.policy.set(InUse::new(0).limited(true).word());
        rate::set(model.policy(), 1.try_into().expect("not 0"), 250);
    };
    let spent = |model: &mut Model| model.rates.iter().for_each(|cell| cell.set(u64::MAX));
    let answer = answer(&id_server(), NAME).opt(1232, &nsid(NAME));
    vec![
        Row::answered("answered within the rate", RULE, &asked(), &answer).with(limited),
        Row::passed(Hook::Queries, "not answered above the rate", RULE, asked().frame(), Outcome::AnswerRate)
            .with(limited)
            .with(spent),
        Row::answered("no rate, no limit", RULE, &asked(), &answer).with(spent),
        Row::passed(
            Hook::Queries,
            "a rate is for answers alone",
            RULE,
            query4(&asking()).frame(),
            Outcome::QueryNoted,
        )
        .with(limited)
        .with(spent),
    ]
}

fn sizes() -> Vec<Row> {
    const LIMIT: u16 = 600;
    let capped = |model: &mut Model| model.policy().max_udp_size.set(LIMIT.into());
    // As long as the message with this option and the name is to be.
    let of = |length: usize| {
        let with = |filler: usize| response().a().opt(1232, &nsid_behind(filler));
        let filler = length - with(0).bytes().len();
        let came = response().a().opt(1232, &super::message::option(12, &vec![b'x'; filler]));
        (came, with(filler))
    };
    let (fits, named) = of(LIMIT.into());
    let (too_long, _) = of(usize::from(LIMIT) + 1);
    let (short, short_named) = of(512);
    let no_room = |name: &str, message: &Message| {
        Row::passed(Hook::Responses, name, RULE, response4(message).frame(), Outcome::ResponseNoRoom)
    };
    vec![
        Row::edited("as long as max-udp-size", RULE, Outcome::Inserted, &response4(&fits), &named)
            .with(capped),
        no_room("a byte longer than max-udp-size", &too_long).noted(4096).with(capped),
        no_room("a requestor that takes less than max-udp-size", &fits).noted(LIMIT - 1).with(capped),
        Row::edited(
            "512 bytes always",
            "RFC 1035 4.2.1",
            Outcome::Inserted,
            &response4(&short),
            &short_named,
        )
        .noted(0)
        .with(capped),
    ]
}

/// Options: so many bytes of another one, and the name.
fn nsid_behind(filler: usize) -> Vec<u8> {
    [super::message::option(12, &vec![b'x'; filler]), nsid(NAME)].concat()
}

fn own() -> Vec<Row> {
    let keep = |model: &mut Model| model.policy().keep_own.set(1);
    let of = |options: &[u8]| response().a().opt(1232, options);
    let kept = |name: &str, options: &[u8]| {
        let frame = response4(&of(options)).frame();
        Row::passed(Hook::Responses, name, "RFC 5001 2.3", frame, Outcome::ResponseKept)
            .noted(UDP_SIZE)
            .with(keep)
    };
    let filled = |name: &str, outcome, came: &[u8], left: &[u8]| {
        Row::edited(name, "RFC 5001 2.3", outcome, &response4(&of(came)), &of(left)).with(keep)
    };
    let (own, empty, name) = (nsid(b"own"), nsid(b""), nsid(NAME));
    vec![
        kept("the server's own NSID is kept", &own),
        kept(
            "the server's own NSID is kept behind an empty one",
            &[empty.clone(), cookie(), own.clone()].concat(),
        ),
        kept("the server's own NSID of 256 bytes is kept", &nsid(&[7; 256])),
        filled("an empty NSID is filled where others are kept", Outcome::Replaced, &empty, &name),
        filled("two empty NSID are one where others are kept", Outcome::Replaced, &empty.repeat(2), &name),
        filled("no NSID gets one where others are kept", Outcome::Inserted, b"", &name),
    ]
}
