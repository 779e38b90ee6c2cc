//! Responses: those to a noted query get the name, all others pass.

use network_types::eth::EtherType;

use crate::{
    fence,
    hook::Edit,
    insert,
    ip::{self, Headers, Ip, Requestor, V4, V6},
    maps::port_served,
    outcome::Outcome,
    pending::{self, Exchange},
    served::{self, Endpoint, Table},
};

/// Decides on a frame that may be a response. The way of a frame that is not ours ends here.
#[inline(always)]
pub fn responses<H: Edit>(frame: H) -> Outcome {
    let Some(headers) = frame.first::<Headers<<V4 as Ip>::Hdr>>() else { return Outcome::NotOurs };
    let found = headers.ether_type;
    if found == ip::ether_type(EtherType::Ipv4) {
        match from_served_port::<V4, H>(&frame, headers) {
            Ok(()) => frame.response::<V4>(0),
            Err(outcome) => outcome,
        }
    } else if found == ip::ether_type(EtherType::Ipv6) {
        let Some(headers) = frame.first::<Headers<<V6 as Ip>::Hdr>>() else { return Outcome::NotOurs };
        match from_served_port::<V6, H>(&frame, headers) {
            Ok(()) => frame.response::<V6>(0),
            Err(outcome) => outcome,
        }
    } else if found == ip::ether_type(EtherType::Ieee8021q) || found == ip::ether_type(EtherType::Ieee8021ad)
    {
        frame.tagged_response()
    } else {
        Outcome::NotOurs
    }
}

/// As [`responses`], behind VLAN tags.
#[inline(always)]
pub fn tagged<H: Edit>(frame: H) -> Outcome {
    let Some(tags) = ip::tags(&frame) else { return Outcome::NotOurs };
    let Some(headers) = frame.view::<Headers<<V4 as Ip>::Hdr>>(tags) else { return Outcome::NotOurs };
    if headers.ether_type == ip::ether_type(EtherType::Ipv4) {
        match from_served_port::<V4, H>(&frame, headers) {
            Ok(()) => frame.response::<V4>(tags),
            Err(outcome) => outcome,
        }
    } else if headers.ether_type == ip::ether_type(EtherType::Ipv6) {
        let Some(headers) = frame.view::<Headers<<V6 as Ip>::Hdr>>(tags) else { return Outcome::NotOurs };
        match from_served_port::<V6, H>(&frame, headers) {
            Ok(()) => frame.response::<V6>(tags),
            Err(outcome) => outcome,
        }
    } else {
        Outcome::NotOurs
    }
}

#[inline(always)]
fn from_served_port<V: Ip, H: Edit>(frame: &H, headers: &Headers<V::Hdr>) -> Result<(), Outcome> {
    V::is_udp(headers)?;
    if port_served(frame, headers.udp.src) { Ok(()) } else { Err(Outcome::NotOurs) }
}

/// Decides on a datagram from a served port, behind `tags` bytes of VLAN tags.
///
/// The note is looked up first: most responses need no walk.
#[inline(always)]
pub fn decide<V: Ip, H: Edit>(frame: H, tags: usize) -> Outcome {
    let Some(headers) = frame.view::<Headers<V::Hdr>>(tags) else { return Outcome::NotOurs };
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
    if control.enabled.get() == 0 {
        return Outcome::ResponseOff;
    }
    let Some(record) = fence::record(&frame, service) else { return Outcome::ResponseLapsed };
    if frame.segmented() {
        return Outcome::ResponseSegmented;
    }
    let Some(frame) = frame.linear() else { return Outcome::ResponseTooLarge };
    match insert::plan::<V, H>(&frame, tags, record, udp_size) {
        Ok(plan) => insert::carry_out::<V, H>(frame, plan),
        Err(outcome) => outcome,
    }
}
