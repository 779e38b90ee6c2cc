//! The frames: a DNS message in UDP in IP, from the client to the server or back.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::{
    op::{Edns, Message},
    rr::{RData, Record, rdata::A},
};

use nsid_common::checksum;

use super::stage::{MAC, PORT, SERVER4, SERVER6};

const CLIENT4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const CLIENT_PORT: u16 = 4242;
const UDP: u8 = 17;
/// Of UDP: nothing here checks it, but a 0 would say that there is none.
const ANY_CHECKSUM: [u8; 2] = [0x12, 0x34];

/// To the server over IPv4.
pub(crate) fn query4(dns: &[u8]) -> Vec<u8> {
    query4_to(SERVER4, PORT, dns)
}

/// To some address and port over IPv4.
pub(crate) fn query4_to(server: Ipv4Addr, port: u16, dns: &[u8]) -> Vec<u8> {
    ethernet(MAC, CLIENT_MAC, [8, 0], &ipv4(CLIENT4, server, &udp(CLIENT_PORT, port, dns)))
}

/// To the server over IPv6.
pub(crate) fn query6(dns: &[u8]) -> Vec<u8> {
    query6_to(PORT, dns)
}

/// To some port of the server over IPv6.
pub(crate) fn query6_to(port: u16, dns: &[u8]) -> Vec<u8> {
    ethernet(MAC, CLIENT_MAC, [0x86, 0xdd], &ipv6(CLIENT6, SERVER6, &udp(CLIENT_PORT, port, dns)))
}

/// From some port of the server over IPv4.
pub(crate) fn response4_from(port: u16, dns: &[u8]) -> Vec<u8> {
    ethernet(CLIENT_MAC, MAC, [8, 0], &ipv4(SERVER4, CLIENT4, &udp(port, CLIENT_PORT, dns)))
}

/// From the server over IPv4.
pub(crate) fn response4(dns: &[u8]) -> Vec<u8> {
    response4_from(PORT, dns)
}

/// From the server over IPv6.
pub(crate) fn response6(dns: &[u8]) -> Vec<u8> {
    ethernet(CLIENT_MAC, MAC, [0x86, 0xdd], &ipv6(SERVER6, CLIENT6, &udp(PORT, CLIENT_PORT, dns)))
}

/// To the server's port, but a segment of TCP.
pub(crate) fn tcp() -> Vec<u8> {
    const PROTOCOL: usize = 14 + 9;
    let mut frame = query4(&[0; 20]);
    frame[PROTOCOL] = 6;
    frame
}

/// An ARP request, padded to the shortest frame of Ethernet.
pub(crate) fn arp() -> Vec<u8> {
    ethernet([0xff; 6], CLIENT_MAC, [8, 6], &[0; 46])
}

/// What a server that knows nothing of NSID responds: one address, and OPT if the query has it.
pub(crate) fn answered(query: &[u8]) -> Vec<u8> {
    let query = Message::from_vec(query).expect("the query is one of ours");
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    for question in &query.queries {
        response.add_query(question.clone());
        let address = RData::A(A::new(192, 0, 2, 80));
        response.add_answer(Record::from_rdata(question.name().clone(), 3600, address));
    }
    response.edns = query.edns.map(|_| Edns::new());
    response.to_vec().expect("a response of one record fits")
}

fn ethernet(to: [u8; 6], from: [u8; 6], ether_type: [u8; 2], payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &ether_type, payload].concat()
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let length = length(20 + payload.len());
    let before = [&[0x45, 0], &length[..], &[0, 0, 0x40, 0, 64, UDP]].concat();
    let addresses = [from.octets(), to.octets()].concat();
    let checksum = !checksum::of(&[&before[..], &addresses].concat());
    [&before[..], &checksum.to_le_bytes(), &addresses, payload].concat()
}

fn ipv6(from: Ipv6Addr, to: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let length = length(payload.len());
    [&[0x60, 0, 0, 0], &length[..], &[UDP, 64], &from.octets(), &to.octets(), payload].concat()
}

fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = length(8 + payload.len());
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &length, &ANY_CHECKSUM, payload].concat()
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).expect("a frame is short").to_be_bytes()
}
