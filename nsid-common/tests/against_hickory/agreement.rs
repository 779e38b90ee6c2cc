//! What holds of any message, whoever made it: what is found in it is what hickory-proto finds, if it reads it at all.
//!
//! Also a part of the fuzz target `hickory`.

use hickory_proto::{
    op::{Message as Decoded, MessageType, OpCode, Query},
    rr::{DNSClass, Name, RecordType},
};
use nsid_common::{
    asked::{Asked, AskedEdns, asked},
    dns::{Edns, Message, walk},
    hook::Edit as _,
    identity::identity,
    model::Model,
};

/// NSID among the option codes (RFC 5001 2.3).
const NSID: u16 = 3;

/// The options of a decoded message.
pub(crate) fn options_of(message: &Decoded) -> Option<Vec<(u16, Vec<u8>)>> {
    let edns = message.edns.as_ref()?;
    let options = edns.options().options.iter();
    Some(
        options.map(|(code, option)| (u16::from(*code), Vec::try_from(option).expect("has bytes"))).collect(),
    )
}

/// OPT and its first NSID.
///
/// hickory is stricter: it follows pointers, and reads the RDATA of the types that it knows. It is laxer: bytes
/// behind the message do not matter to it, nor how many questions there are; of options of which one is
/// malformed it keeps none, where the walk ends at the first NSID and leaves the rest to `own_nsid`.
pub(crate) fn walks_alike(model: &Model, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    let end = bytes.len();
    let found = walk(&model.frame(&mut bytes), 0, end);
    let Ok(decoded) = Decoded::from_vec(&bytes) else { return };
    let options = options_of(&decoded);
    match found {
        None | Some(Message::Signed) => {}
        Some(Message::Plain) => assert_eq!(options, None),
        Some(Message::Edns(Edns { rdata, nsid, .. })) => {
            let options = options.expect("both see OPT");
            let rdlength = usize::from(u16::from_be_bytes([bytes[rdata - 2], bytes[rdata - 1]]));
            let first = options.iter().find(|(code, _)| *code == NSID);
            match (nsid, first) {
                (None, first) => assert_eq!(first, None),
                (Some(at), Some((_, data))) => {
                    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
                    assert_eq!(&bytes[at..at + 4], &[&[0, 3][..], &length].concat());
                    assert_eq!(&bytes[at + 4..at + 4 + data.len()], data);
                }
                (Some(at), None) => {
                    assert!(options.is_empty());
                    let own = model.frame(&mut bytes).own_nsid(at, rdata + rdlength);
                    assert_eq!(own, None);
                }
            }
        }
    }
}

/// What a query asks.
pub(crate) fn asks_alike(model: &Model, bytes: &[u8]) {
    let found = asked(&model.frame(&mut bytes.to_vec()), 0, bytes.len());
    let (Some(Asked { edns, signed: false }), Ok(decoded)) = (found, Decoded::from_vec(bytes)) else {
        return;
    };
    assert_eq!(edns.is_some(), decoded.edns.is_some());
    if let (Some(AskedEdns { udp_size, later_version, dnssec_ok, nsid }), Some(read)) = (edns, &decoded.edns)
    {
        // RFC 6891 6.2.3: what is below 512 means 512, which is how hickory reads it.
        assert_eq!(udp_size.max(512), read.max_payload());
        assert_eq!(later_version, read.version() != 0);
        assert_eq!(dnssec_ok, read.flags().dnssec_ok);
        let options = options_of(&decoded).unwrap_or_default();
        // None of malformed options is kept.
        assert!(options.is_empty() || nsid == options.iter().any(|(code, _)| *code == NSID));
    }
    let metadata = &decoded.metadata;
    let queries = (metadata.message_type, metadata.op_code) == (MessageType::Query, OpCode::Query);
    let sections = [&decoded.answers, &decoded.authorities, &decoded.additionals];
    let alone = queries && sections.iter().all(|records| records.is_empty());
    let names = [("id.server.", ID_SERVER), ("hostname.bind.", HOSTNAME_BIND)];
    let asks = |query: &Query| {
        let of_name = |(name, _): &&(&str, usize)| *query.name() == Name::from_ascii(name).expect("a name");
        let asked = (query.query_type(), query.query_class()) == (RecordType::TXT, DNSClass::CH);
        names.iter().find(of_name).filter(|_| asked)
    };
    let ours = if alone { decoded.queries.iter().find_map(asks) } else { None };
    // hickory takes bytes behind the question, and a question that is put together by pointers.
    let whole = edns.is_some() || ours.is_some_and(|(_, length)| *length == bytes.len());
    let ours = ours.is_some();
    let identity = identity(&model.frame(&mut bytes.to_vec()), 0, bytes.len());
    assert!(identity.is_none() || ours, "{decoded:?}");
    assert!(identity.is_some() || !ours || !whole, "{decoded:?}");
}

/// Bytes of a query for `id.server.`, without OPT.
const ID_SERVER: usize = 12 + 15;
/// Bytes of one for `hostname.bind.`
const HOSTNAME_BIND: usize = 12 + 19;

/// A response that was named: the message of before, with one NSID, which is the name.
pub(crate) fn named_alike(came: &[u8], left: &[u8], name: &[u8]) {
    let Ok(mut came) = Decoded::from_vec(came) else { return };
    let mut left = Decoded::from_vec(left).expect("what could be read still can be");
    let options = options_of(&left).expect("OPT is still there");
    let nsids: Vec<_> = options.iter().filter(|(code, _)| *code == NSID).collect();
    assert_eq!(nsids, [&(NSID, name.to_vec())]);
    for message in [&mut left, &mut came] {
        message.edns.as_mut().expect("both have OPT").options_mut().remove(NSID.into());
    }
    assert_eq!(left, came);
}
