//! Queries: noted if they ask for NSID, answered if they ask for the server's own name, passed on else.

use crate::{
    asked::{Asked, AskedEdns, asked},
    hook::Answer,
    identity::{begins, identity},
    ip::{self, ETH_LEN, Headers, Ip, Requestor, UDP_LEN},
    outcome::Outcome,
    pending::{self, Exchange},
    policy::InUse,
    route::{self, Side},
    served::{self, Endpoint, Table},
};

/// Decides on a frame that may be a query.
#[inline(always)]
pub fn queries<H: Answer>(frame: H) -> Outcome {
    route::untagged::<Queries, H>(frame)
}

/// As [`queries`], with less to verify, and dearer: where packets that are ours are few, or other programs are there too.
#[inline(always)]
pub fn queries_compact<H: Answer>(frame: H) -> Outcome {
    route::compact::<Queries, H>(frame)
}

/// As [`queries`], behind VLAN tags.
#[inline(always)]
pub fn tagged<H: Answer>(frame: H) -> Outcome {
    route::tagged::<Queries, H>(frame)
}

struct Queries;

impl<H: Answer> Side<H> for Queries {
    #[inline(always)]
    fn server_port<V: Ip>(headers: &Headers<V::Hdr>) -> [u8; 2] {
        headers.udp.dst
    }

    #[inline(always)]
    fn untagged<V: Ip>(frame: H) -> Outcome {
        decide::<V, H, false>(frame, 0)
    }

    #[inline(always)]
    fn behind_tags<V: Ip>(frame: H, tags: usize) -> Outcome {
        frame.query::<V>(tags)
    }

    #[inline(always)]
    fn tagged(frame: H) -> Outcome {
        frame.tagged_query()
    }
}

/// As [`decide`], with what is asked read by a subprogram.
#[inline(always)]
pub fn called<V: Ip, H: Answer>(frame: H, tags: usize) -> Outcome {
    decide::<V, H, true>(frame, tags)
}

/// Decides on a datagram to a served port, behind `tags` bytes of VLAN tags.
#[inline(always)]
pub(crate) fn decide<V: Ip, H: Answer, const CALL: bool>(frame: H, tags: usize) -> Outcome {
    let Some(headers) = ip::headers::<V, H>(&frame, tags) else { return Outcome::NotOurs };
    let Some(control) = frame.control() else { return Outcome::NotOurs };
    let table = Table::from_word(control.served.get());
    let endpoint = Endpoint { address: V::destination(headers), port: headers.udp.dst };
    let Some(service) = served::service(&frame, table, &endpoint) else { return Outcome::NotOurs };
    if headers.dns.is_response() {
        return Outcome::QueryNot;
    }
    let available = frame.length().saturating_sub(tags + ETH_LEN);
    let Some(udp_len) = V::datagram(headers, available) else {
        return if frame.whole() { Outcome::QueryMalformed } else { Outcome::QueryTooLarge };
    };
    let words = V::words(headers, Requestor::Source);
    let exchange = Exchange::new(control, words.as_ref(), headers.udp.src, headers.udp.dst, headers.dns.id);
    let dns = tags + V::DNS;
    let end = dns - UDP_LEN + udp_len;
    if begins(&frame, dns) {
        let Some(identity) = identity(&frame, dns, end) else {
            if !CALL {
                return frame.query::<V>(tags);
            }
            return passed_on::<V, H>(&frame, tags, frame.asked(dns, end), exchange);
        };
        return frame.answer::<V>(tags, service, identity, exchange);
    }
    let asked = if CALL { frame.asked(dns, end) } else { asked(&frame, dns, end) };
    passed_on::<V, H>(&frame, tags, asked, exchange)
}

/// What becomes of a query that is not for the server's own name, by what it asks; `None`: malformed.
///
/// Whatever does not ask for NSID, or may not see it, voids an earlier note of its exchange.
#[inline(always)]
fn passed_on<V: Ip, H: Answer>(frame: &H, tags: usize, asked: Option<Asked>, exchange: Exchange) -> Outcome {
    let (nsid, udp_size) = match asked {
        Some(Asked { edns: Some(AskedEdns { nsid, udp_size, .. }), .. }) => (nsid, udp_size),
        _ => (false, 0),
    };
    pending::renew(frame, exchange, nsid, udp_size);
    match asked {
        None => Outcome::QueryMalformed,
        Some(Asked { signed: true, .. }) => Outcome::QuerySigned,
        Some(Asked { edns: Some(AskedEdns { nsid: true, .. }), .. }) => {
            let hides = frame.control().is_none_or(|control| InUse::of(control).hides());
            let hidden = hides && frame.forget_hidden(tags, V::VERSION, exchange);
            if hidden { Outcome::QueryClient } else { Outcome::QueryNoted }
        }
        Some(_) => Outcome::QueryPlain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clients::{ANSWERED, NAMED},
        dns::QR,
        maps::Address,
        model::{Client, Datagram, Model},
    };
    use std::{net::SocketAddr, vec, vec::Vec};

    const SERVER: &str = "10.0.0.2:53";
    const CLIENT: &str = "10.0.0.1:4000";
    const ID: [u8; 2] = [0, 7];

    fn host() -> Model {
        let model = Model::new();
        model.serve(&Endpoint { address: Address::v4([10, 0, 0, 2]), port: [0, 53] }, 0);
        model.say(0, b"ns1", u64::MAX);
        let network = Address::v4([10, 0, 0, 0]);
        model.set_clients(&[Client { network, prefix_len: 96 + 8, says: ANSWERED | NAMED }]);
        model
    }

    fn frame(from: &str, to: &str, message: Vec<u8>) -> Vec<u8> {
        let socket = |text: &str| text.parse::<SocketAddr>().unwrap();
        Datagram::new(socket(from), socket(to), message).frame()
    }

    fn message(flags: u8, question: &[u8], additional: &[&[u8]]) -> Vec<u8> {
        let counts = [0, 1, 0, 0, 0, 0, 0, additional.len() as u8];
        [&ID, &[flags, 0][..], &counts, question, &additional.concat()].concat()
    }

    const ID_SERVER: &[u8] = b"\x02id\x06server\0\0\x10\0\x03";
    const A: &[u8] = b"\x01a\0\0\x01\0\x01";
    const OPT: &[u8] = &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
    const OPT_NSID: &[u8] = &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 3, 0, 0];
    const TSIG: &[u8] = &[0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0];

    /// What becomes of the response to a later query, of the same addresses, ports and id, that does not ask.
    fn unasked(model: &Model, later: Vec<u8>) -> (Outcome, Outcome) {
        let query = model.queries(&mut frame(CLIENT, SERVER, later));
        let response = model.responses(&mut frame(SERVER, CLIENT, message(QR, A, &[OPT])));
        (query, response)
    }

    /// RFC 5001 2.2: no NSID where none was asked for. Servers do answer queries that we call malformed: NSD takes
    /// trailing bytes.
    #[test]
    fn a_later_query_that_does_not_ask_voids_the_note_also_if_we_cannot_read_it() {
        let trailing = [message(0, A, &[OPT]), vec![0]].concat();
        for later in
            [message(0, A, &[OPT]), trailing, message(0, A, &[OPT, OPT]), message(0, A, &[OPT, TSIG])]
        {
            let model = host();
            let asked = model.queries(&mut frame(CLIENT, SERVER, message(0, A, &[OPT_NSID])));
            assert_eq!(asked, Outcome::QueryNoted);
            let (query, response) = unasked(&model, later);
            assert_eq!(response, Outcome::ResponseNotNoted, "after {query:?}");
        }
    }

    #[test]
    fn a_query_that_the_kernel_answers_leaves_no_note() {
        let model = host();
        let answered = model.queries(&mut frame(CLIENT, SERVER, message(0, ID_SERVER, &[OPT_NSID])));
        assert_eq!(answered, Outcome::Answered);
        let response = model.responses(&mut frame(SERVER, CLIENT, message(QR, A, &[OPT])));
        assert_eq!(response, Outcome::ResponseNotNoted);
    }
}
