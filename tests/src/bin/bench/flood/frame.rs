//! The frame that a flood is made of: a query over IPv4, with 0 for what differs from one to the next.

use std::net::Ipv4Addr;

use nsid_common::checksum::{self, Sum};

/// An address of Ethernet.
pub(crate) type Mac = [u8; 6];

/// Who asks and who is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) client: (Mac, Ipv4Addr),
    pub(crate) server: (Mac, Ipv4Addr),
}

/// A query without ID, source port and checksum.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) frame: Vec<u8>,
    /// Of the datagram and its pseudo-header, folded.
    pub(crate) sum: u16,
}

const UDP: u8 = 17;
const DNS: u16 = 53;

impl Query {
    /// One that carries a DNS message whose ID is 0.
    pub(crate) fn new(Ends { client, server }: Ends, dns: &[u8]) -> Self {
        let addresses = [client.1.octets(), server.1.octets()].concat();
        let udp_length = length(8 + dns.len());
        let udp = [&[0, 0], &DNS.to_be_bytes()[..], &udp_length, &[0, 0], dns].concat();
        let pseudo = [&addresses[..], &[0, UDP], &udp_length].concat();
        let before = [&[0x45, 0], &length(20 + udp.len())[..], &[0, 0, 0x40, 0, 64, UDP]].concat();
        let checksum = Sum::of_folded(checksum::of(&before)).plus(checksum::of(&addresses)).checksum();
        let ip = [&before[..], &checksum, &addresses].concat();
        let sum = Sum::of_folded(checksum::of(&udp)).plus(checksum::of(&pseudo)).fold();
        Self { frame: [&server.0[..], &client.0, &[8, 0], &ip, &udp].concat(), sum }
    }
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).expect("a frame is short").to_be_bytes()
}
