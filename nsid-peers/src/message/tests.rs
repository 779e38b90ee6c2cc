use super::*;

fn list() -> List {
    let address = |host| SocketAddr::from(([0xfe80, 1, 2, 3, 4, 5, 6, host], 65_535));
    List::new((1..=5).map(address).collect()).unwrap()
}

fn who() -> Who {
    let id = Id([0xff; 16]);
    Who { order: Order { start: u64::MAX, node: id, nonce: id }, host: "h".repeat(MAX_HOST).into() }
}

/// One of each kind, as long as it can be.
fn longest() -> Vec<Message> {
    let end = Time::from_nanos(u64::MAX);
    let (epoch, number) = (Epoch(u64::MAX), u64::MAX);
    let last = Number { process: u64::MAX, count: u32::MAX };
    let terms: Arc<str> = "t".repeat(MAX_TERMS).into();
    let wish = Wish::Keep { slot: u32::MAX, token: u64::MAX, unbroken: true };
    let entry = Entry { slot: u32::MAX, token: u64::MAX, who: who(), lease: u32::MAX, age: u64::MAX };
    let request = Request {
        list: list(),
        epoch,
        stamp: end,
        number: last,
        who: who(),
        terms: Arc::clone(&terms),
        lease: u32::MAX,
        wish,
    };
    let reply =
        |verdict| Message::Reply(Reply { to: Id([0xff; 16]), epoch, stamp: end, number: last, verdict });
    vec![
        Message::Request(request),
        reply(Verdict::OtherTerms(Arc::clone(&terms))),
        reply(Verdict::OtherList(list())),
        reply(Verdict::Refused { by: who().order, left: u32::MAX }),
        Message::Call(Call { list: list(), epoch, sent: end }),
        Message::Echo(Echo {
            list: list(),
            epoch,
            caller: epoch,
            sent: end,
            lease: u32::MAX,
            first: true,
            knows_another: true,
        }),
        Message::Ask(Ask { pool: Arc::clone(&terms), number, from: u32::MAX }),
        Message::Page(Page {
            number,
            list: list(),
            terms,
            entries: vec![entry; MAX_ENTRIES],
            next: Some(u32::MAX),
            waiting: u32::MAX,
        }),
    ]
}

#[test]
fn the_longest_of_each_kind_fits_into_a_datagram_and_is_read_as_it_was_written() {
    for message in longest() {
        let bytes = message.encode().unwrap_or_else(|| panic!("too long: {message:?}"));
        assert_eq!(Message::decode(&bytes), Ok(message));
    }
}

/// FNV-1a.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[test]
fn other_bytes_are_another_version() {
    let bytes: Vec<u8> = longest().iter().flat_map(|message| message.encode().unwrap()).collect();
    assert_eq!((VERSION, digest(&bytes)), (1, 0x90e1_54cd_6dfc_70e8), "raise VERSION, and write both here");
}

#[test]
fn no_question_is_answered_by_more_than_it_is() {
    let length = |message: &Message| message.encode().unwrap().len();
    let messages = longest();
    let asks = messages.iter().filter(|message| matches!(message, Message::Ask(_))).map(length).min();
    let pages = messages.iter().filter(|message| matches!(message, Message::Page(_))).map(length).max();
    assert!(asks >= pages, "{asks:?} {pages:?}");
}

#[test]
fn what_is_cut_or_has_more_behind_it_is_no_message() {
    for message in longest() {
        let mut bytes = message.encode().unwrap();
        for end in 0..bytes.len() {
            assert!(Message::decode(&bytes[..end]).is_err());
        }
        bytes.push(0);
        assert_eq!(Message::decode(&bytes), Err(DecodeError::Malformed));
        bytes.pop();
        bytes[0] += 1;
        assert_eq!(Message::decode(&bytes), Err(DecodeError::Version(VERSION + 1)));
    }
}

#[test]
fn a_text_that_is_too_long_is_neither_sent_nor_taken() {
    let Message::Request(mut request) = longest().remove(0) else { unreachable!("the first is one") };
    request.who.host = "h".repeat(MAX_HOST + 1).into();
    let message = Message::Request(request);
    assert_eq!(message.encode(), None);
    let bytes = postcard::to_extend(&message, vec![VERSION]).unwrap();
    assert_eq!(Message::decode(&bytes), Err(DecodeError::Malformed));
}

#[test]
fn a_list_that_is_none_is_not_taken() {
    let Message::Call(call) = longest().remove(4) else { unreachable!("the fifth is one") };
    let bytes = Message::Call(call).encode().unwrap();
    // The number of its addresses, behind version and kind.
    assert_eq!(bytes[2], 5);
    for number in [0, 2, 4] {
        let mut bytes = bytes.clone();
        bytes[2] = number;
        assert!(Message::decode(&bytes).is_err());
    }
}

#[test]
fn whatever_comes_is_read_or_refused() {
    let mut random = fastrand::Rng::with_seed(1);
    let messages: Vec<_> = longest().iter().map(|message| message.encode().unwrap()).collect();
    for _ in 0..20_000 {
        let mut bytes = messages[random.usize(..messages.len())].clone();
        for _ in 0..random.usize(1..8) {
            let at = random.usize(1..bytes.len());
            bytes[at] = random.u8(..);
        }
        if let Ok(message) = Message::decode(&bytes) {
            assert!(message.encode().is_some());
        }
    }
}
