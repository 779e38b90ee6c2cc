//! From a frame to the decision on it: UDP, over which IP, behind how many VLAN tags, to or from a served port.
//!
//! The way of a frame that is not ours ends here. One without tags has its headers at constant offsets; one with tags
//! takes a subprogram, so that all others pay nothing for it.

use network_types::eth::EtherType;

use crate::{
    hook::Hook,
    ip::{self, Headers, Ip, V4, V6},
    maps::port_served,
    outcome::Outcome,
};

/// What is done with one side of an exchange: queries, or responses.
pub(crate) trait Side<H: Hook> {
    /// The server's port.
    fn server_port<V: Ip>(headers: &Headers<V::Hdr>) -> [u8; 2];
    /// Decides on a datagram without VLAN tags whose server's port is served by someone.
    fn untagged<V: Ip>(frame: H) -> Outcome;
    /// Decides on one behind `tags` bytes of them.
    fn behind_tags<V: Ip>(frame: H, tags: usize) -> Outcome;
    /// Decides on a frame with VLAN tags.
    fn tagged(frame: H) -> Outcome;
}

/// Decides on a frame.
#[inline(always)]
pub(crate) fn untagged<S: Side<H>, H: Hook>(frame: H) -> Outcome {
    let Some(headers) = ip::headers::<V4, H>(&frame, 0) else { return Outcome::NotOurs };
    if ip::is_tag(headers.ether_type) { S::tagged(frame) } else { behind::<S, H>(frame, 0) }
}

/// Decides on a frame, by subprograms that take VLAN tags and none: less to verify, and a call more for what is ours.
#[inline(always)]
pub(crate) fn compact<S: Side<H>, H: Hook>(frame: H) -> Outcome {
    let Some(headers) = ip::headers::<V4, H>(&frame, 0) else { return Outcome::NotOurs };
    if ip::is_tag(headers.ether_type) {
        return S::tagged(frame);
    }
    if headers.ether_type == ip::ether_type(EtherType::Ipv4) {
        called::<V4, S, H>(frame)
    } else if headers.ether_type == ip::ether_type(EtherType::Ipv6) {
        called::<V6, S, H>(frame)
    } else {
        Outcome::NotOurs
    }
}

#[inline(always)]
fn called<V: Ip, S: Side<H>, H: Hook>(frame: H) -> Outcome {
    match is_ours::<V, S, H>(&frame, 0) {
        Ok(()) => S::behind_tags::<V>(frame, 0),
        Err(outcome) => outcome,
    }
}

/// Decides on a frame with VLAN tags.
#[inline(always)]
pub(crate) fn tagged<S: Side<H>, H: Hook>(frame: H) -> Outcome {
    match ip::tags(&frame) {
        Some(tags) => behind::<S, H>(frame, tags),
        None => Outcome::NotOurs,
    }
}

#[inline(always)]
fn behind<S: Side<H>, H: Hook>(frame: H, tags: usize) -> Outcome {
    let Some(headers) = ip::headers::<V4, H>(&frame, tags) else { return Outcome::NotOurs };
    if headers.ether_type == ip::ether_type(EtherType::Ipv4) {
        over::<V4, S, H>(frame, tags)
    } else if headers.ether_type == ip::ether_type(EtherType::Ipv6) {
        over::<V6, S, H>(frame, tags)
    } else {
        Outcome::NotOurs
    }
}

#[inline(always)]
fn over<V: Ip, S: Side<H>, H: Hook>(frame: H, tags: usize) -> Outcome {
    match is_ours::<V, S, H>(&frame, tags) {
        Err(outcome) => outcome,
        Ok(()) if tags == 0 => S::untagged::<V>(frame),
        Ok(()) => S::behind_tags::<V>(frame, tags),
    }
}

/// Whether it is UDP whose server's port is served by someone.
#[inline(always)]
fn is_ours<V: Ip, S: Side<H>, H: Hook>(frame: &H, tags: usize) -> Result<(), Outcome> {
    let headers = ip::headers::<V, H>(frame, tags).ok_or(Outcome::NotOurs)?;
    V::is_udp(headers)?;
    if port_served(frame, S::server_port::<V>(headers)) { Ok(()) } else { Err(Outcome::NotOurs) }
}
