//! Responses: those to a noted query get the name, all others pass.

use crate::{
    fence,
    hook::Edit,
    insert,
    ip::{self, Headers, Ip, Requestor},
    outcome::Outcome,
    pending::{self, Exchange},
    route::{self, Side},
    served::{self, Endpoint, Table},
};

/// Decides on a frame that may be a response.
#[inline(always)]
pub fn responses<H: Edit>(frame: H) -> Outcome {
    route::untagged::<Responses, H>(frame)
}

/// As [`responses`], with less to verify, and dearer.
#[inline(always)]
pub fn responses_compact<H: Edit>(frame: H) -> Outcome {
    route::compact::<Responses, H>(frame)
}

/// As [`responses`], behind VLAN tags.
#[inline(always)]
pub fn tagged<H: Edit>(frame: H) -> Outcome {
    route::tagged::<Responses, H>(frame)
}

struct Responses;

impl<H: Edit> Side<H> for Responses {
    #[inline(always)]
    fn server_port<V: Ip>(headers: &Headers<V::Hdr>) -> [u8; 2] {
        headers.udp.src
    }

    #[inline(always)]
    fn untagged<V: Ip>(frame: H) -> Outcome {
        decide::<V, H>(frame, 0)
    }

    #[inline(always)]
    fn behind_tags<V: Ip>(frame: H, tags: usize) -> Outcome {
        frame.response::<V>(tags)
    }

    #[inline(always)]
    fn tagged(frame: H) -> Outcome {
        frame.tagged_response()
    }
}

/// Decides on a datagram from a served port, behind `tags` bytes of VLAN tags.
///
/// The note is looked up first: most responses need no walk.
#[inline(always)]
pub fn decide<V: Ip, H: Edit>(frame: H, tags: usize) -> Outcome {
    let Some(headers) = ip::headers::<V, H>(&frame, tags) else { return Outcome::NotOurs };
    let Some(control) = frame.control() else { return Outcome::NotOurs };
    let table = Table::from_word(control.served.get());
    let endpoint = Endpoint { address: V::source(headers), port: headers.udp.src };
    let Some(service) = served::service(&frame, table, &endpoint) else { return Outcome::NotOurs };
    if !headers.dns.is_response() {
        return Outcome::ResponseNot;
    }
    let words = V::words(headers, Requestor::Destination);
    let exchange = Exchange::new(control, words.as_ref(), headers.udp.dst, headers.udp.src, headers.dns.id);
    let Some(udp_size) = pending::take(&frame, exchange, control.pending_ticks.get()) else {
        return Outcome::ResponseNotNoted;
    };
    frame.noted(tags, V::VERSION, service, udp_size)
}

/// Decides on a response of a service, over that `version` of IP, to a query that asked for NSID and takes `udp_size` bytes.
#[inline(always)]
pub fn noted<H: Edit>(frame: H, tags: usize, version: usize, service: u32, udp_size: u16) -> Outcome {
    if frame.control().is_none_or(|control| control.enabled.get() == 0) {
        return Outcome::ResponseOff;
    }
    let Some(record) = fence::record(&frame, service) else { return Outcome::ResponseLapsed };
    if frame.segmented() {
        return Outcome::ResponseSegmented;
    }
    let Some(frame) = frame.linear() else { return Outcome::ResponseTooLarge };
    match insert::plan(&frame, tags, version, record, udp_size) {
        Ok(plan) => insert::carry_out(frame, plan),
        Err(outcome) => outcome,
    }
}
