//! Queries: noted if they ask for NSID, answered if they ask for the server's own name, passed on else.

use crate::{
    asked::{Asked, AskedEdns, asked},
    hook::Answer,
    ip::{self, ETH_LEN, Headers, Ip, Requestor, UDP_LEN},
    outcome::Outcome,
    pending::{self, Exchange},
    route::{self, Side},
    served::{self, Endpoint, Table},
};

/// Decides on a frame that may be a query.
#[inline(always)]
pub fn queries<H: Answer>(frame: H) -> Outcome {
    route::untagged::<Queries, H>(frame)
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
        decide::<V, H>(frame, 0)
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

/// Decides on a datagram to a served port, behind `tags` bytes of VLAN tags.
///
/// Whatever does not ask for NSID voids an earlier note of its exchange.
#[inline(always)]
pub fn decide<V: Ip, H: Answer>(frame: H, tags: usize) -> Outcome {
    let Some(headers) = ip::headers::<V, H>(&frame, tags) else { return Outcome::NotOurs };
    let Some(control) = frame.control() else { return Outcome::NotOurs };
    let table = Table::from_word(control.served.get());
    let endpoint = Endpoint { address: V::destination(headers), port: headers.udp.dst };
    let Some(service) = served::service(&frame, table, &endpoint) else { return Outcome::NotOurs };
    if headers.dns.is_response() {
        return Outcome::QueryNot;
    }
    let available = frame.length().saturating_sub(tags + ETH_LEN);
    let Some(udp_len) = V::datagram(headers, available) else { return Outcome::QueryMalformed };
    let words = V::words(headers, Requestor::Source);
    let exchange = Exchange::new(control, words.as_ref(), headers.udp.src, headers.udp.dst, headers.dns.id);
    let dns = tags + V::DNS;
    let Some(asked) = asked(&frame, dns, dns - UDP_LEN + udp_len) else {
        pending::forget(&frame, exchange);
        return Outcome::QueryMalformed;
    };
    match asked.edns {
        Some(AskedEdns { nsid: true, udp_size, .. }) => pending::note(&frame, exchange, udp_size),
        _ => pending::forget(&frame, exchange),
    }
    match asked {
        Asked { signed: true, .. } => Outcome::QuerySigned,
        Asked { identity: Some(_), .. } => frame.answer::<V>(tags, service, asked, exchange),
        Asked { edns: Some(AskedEdns { nsid: true, .. }), .. } => Outcome::QueryNoted,
        _ => Outcome::QueryPlain,
    }
}
