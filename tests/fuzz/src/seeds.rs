//! What the targets start from: the rows of the packet table, and the texts in `seeds/`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nsid_packets::table;
use nsid_peers::{Ask, Call, Epoch, Id, List, Message, Number, Order, Request, Time, Who, Wish};
use nsid_user::probe::Question;

use crate::frame::Input;

/// Writes the inputs that each target starts from, each into a directory of its name.
pub fn write(below: &Path) -> io::Result<()> {
    for target in ["parser", "kernel"] {
        let directory = emptied(below, target)?;
        for row in table() {
            for (program, seed) in (1..).zip(Input::seeds(row.hook, &row.frame)) {
                put(&directory, &format!("{} {program}", row.name), &seed)?;
            }
        }
    }
    let directory = emptied(below, "hickory")?;
    for row in table() {
        if let Some(message) = row.message() {
            // A name of ten bytes, for a requestor that takes 1232.
            put(&directory, &row.name, &[&[9, 4, 208], message].concat())?;
        }
    }
    let directory = emptied(below, "peers")?;
    for (name, datagram) in peers() {
        put(&directory, name, &datagram)?;
    }
    for target in ["config", "control"] {
        let directory = emptied(below, target)?;
        if target == "control" {
            answers(&directory)?;
        }
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target))? {
            let entry = entry?;
            fs::copy(entry.path(), directory.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// What a claimant sends from its first request to its last, and what others do; each behind its length.
fn peers() -> Vec<(&'static str, Vec<u8>)> {
    let list = List::new(vec!["10.0.0.1:7400".parse().expect("an address")]).expect("one witness");
    let request = |(count, wish): (u32, Wish)| {
        let order = Order { start: 1, node: Id([1; 16]), nonce: Id([2; 16]) };
        Message::Request(Request {
            list: list.clone(),
            epoch: Epoch(7),
            stamp: Time::default(),
            number: Number { process: 1, count },
            who: Who { order, host: "ns1".into() },
            terms: "worker{id}.n5.test".into(),
            lease: 5000,
            wish,
        })
    };
    let wishes = [
        Wish::Seek { expected: 0, yields: false, had: Some(1) },
        Wish::Take { slot: 0, token: 2 },
        Wish::Keep { slot: 0, token: 2, unbroken: true },
        Wish::Release { token: 2 },
    ];
    let requests: Vec<Message> = (1..).zip(wishes).map(request).collect();
    let call = Call { list: list.clone(), epoch: Epoch(1), sent: Time::default() };
    let ask = Ask { pool: "worker{id}.n5.test".into(), number: 1, from: 0 };
    let framed = |messages: &[Message]| {
        messages.iter().filter_map(Message::encode).fold(Vec::new(), |mut all, datagram| {
            all.extend(u16::try_from(datagram.len()).expect("a short message").to_le_bytes());
            all.extend(datagram);
            all
        })
    };
    vec![
        ("requests", framed(&requests)),
        ("a call", framed(&[Message::Call(call)])),
        ("a question", framed(&[requests[0].clone(), Message::Ask(ask)])),
    ]
}

/// What servers say to a probe with the id 0.
fn answers(directory: &Path) -> io::Result<()> {
    const QR: u8 = 0x80;
    const TXT: &[u8] = b"\xc0\x0c\0\x10\0\x03\0\0\0\0\0\x04\x03ns1";
    let mut nsid = Question::Nsid.encode(0);
    let mut id_server = Question::IdServer.encode(0);
    for answer in [&mut nsid, &mut id_server] {
        answer[2] |= QR;
    }
    put(directory, "probe without a name", &[b"p", &nsid[..]].concat())?;
    // RDLENGTH and the option's, which are those of nothing.
    let empty = nsid.len() - 6;
    nsid.splice(empty.., *b"\0\x07\0\x03\0\x03ns1");
    put(directory, "probe", &[b"p", &nsid[..]].concat())?;
    put(directory, "probe for id.server without an answer", &[b"q", &id_server[..]].concat())?;
    id_server[7] = 1;
    put(directory, "probe for id.server", &[b"q", &id_server[..], TXT].concat())
}

/// A directory that is there and in which nothing is.
fn emptied(below: &Path, target: &str) -> io::Result<PathBuf> {
    let directory = below.join(target);
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => fs::create_dir_all(&directory)?,
    }
    Ok(directory)
}

fn put(directory: &Path, name: &str, input: &[u8]) -> io::Result<()> {
    fs::write(directory.join(name.replace(['/', ' '], "-")), input)
}
