//! Frames with UDP datagrams for tests, built byte by byte and not by the code that is tested.

use std::{
    net::{IpAddr, SocketAddr},
    vec,
    vec::Vec,
};

/// What a frame is made of: Ethernet, VLAN tags, IP, UDP.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// The MAC addresses, of the receiver first.
    pub macs: [[u8; 6]; 2],
    /// VLAN tags: TPID and TCI.
    pub tags: Vec<[u16; 2]>,
    /// The sender.
    pub source: SocketAddr,
    /// The receiver, of the same version of IP.
    pub destination: SocketAddr,
    /// What is behind the UDP header.
    pub payload: Vec<u8>,
}

impl Datagram {
    /// A datagram to the interface of a [`Model`](super::Model).
    pub fn new(source: SocketAddr, destination: SocketAddr, payload: Vec<u8>) -> Self {
        Self { macs: [super::MAC, [2, 0, 0, 0, 0, 1]], tags: vec![], source, destination, payload }
    }

    /// The same behind a VLAN tag more.
    #[must_use]
    pub fn tagged(mut self, tag: [u16; 2]) -> Self {
        self.tags.push(tag);
        self
    }

    /// Offset of the IP header.
    pub fn ip(&self) -> usize {
        14 + 4 * self.tags.len()
    }

    /// Offset of the UDP header.
    pub fn udp(&self) -> usize {
        self.ip() + if self.source.is_ipv4() { 20 } else { 40 }
    }

    /// Offset of the payload.
    pub fn dns(&self) -> usize {
        self.udp() + 8
    }

    /// The frame, with right lengths and checksums.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = self.macs.concat();
        for [tpid, tci] in &self.tags {
            frame.extend(tpid.to_be_bytes());
            frame.extend(tci.to_be_bytes());
        }
        let udp_len = 8 + self.payload.len() as u16;
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                frame.extend([8, 0, 0x45, 0]);
                frame.extend((20 + udp_len).to_be_bytes());
                frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
                frame.extend(source.octets());
                frame.extend(destination.octets());
                let checksum = !sum(&frame[self.ip()..]);
                frame[self.ip() + 10..][..2].copy_from_slice(&checksum.to_be_bytes());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                frame.extend(udp_len.to_be_bytes());
                frame.extend([17, 64]);
                frame.extend(source.octets());
                frame.extend(destination.octets());
            }
            (source, destination) => panic!("{source} and {destination} are of different versions"),
        }
        frame.extend(self.source.port().to_be_bytes());
        frame.extend(self.destination.port().to_be_bytes());
        frame.extend(udp_len.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(&self.payload);
        let udp = self.udp();
        let checksum = match !sum(&[pseudo_header(&frame, udp), frame[udp..].to_vec()].concat()) {
            0 => 0xffff,
            checksum => checksum,
        };
        frame[udp + 6..][..2].copy_from_slice(&checksum.to_be_bytes());
        frame
    }
}

/// The pseudo-header of UDP (RFC 768; RFC 8200 8.1 has it longer, with the same sum).
fn pseudo_header(frame: &[u8], udp: usize) -> Vec<u8> {
    let addresses = if is_ipv4(frame, udp) { &frame[udp - 8..udp] } else { &frame[udp - 32..udp] };
    [addresses, &[0, 17], &frame[udp + 4..udp + 6]].concat()
}

/// The `EtherType` stands in front of the IP header, whose length tells where.
fn is_ipv4(frame: &[u8], udp: usize) -> bool {
    frame[udp - 22..udp - 20] == [8, 0] && frame[udp - 20] == 0x45
}

/// Whether IP and UDP checksums are right in a frame whose UDP header is at `udp`; of UDP over IPv4, also if there is
/// none.
pub fn checksums_hold(frame: &[u8], udp: usize) -> bool {
    let ipv4 = is_ipv4(frame, udp);
    let ip_holds = !ipv4 || sum(&frame[udp - 20..udp]) == 0xffff;
    let length = usize::from(u16::from_be_bytes([frame[udp + 4], frame[udp + 5]]));
    let datagram = &frame[udp..udp + length];
    let none = datagram[6..8] == [0, 0];
    ip_holds && if none { ipv4 } else { sum(&[&pseudo_header(frame, udp), datagram].concat()) == 0xffff }
}

/// RFC 1071, word by word, in network order.
fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_what_etherparse_reads() {
        for (source, destination) in [("10.0.0.1:4242", "10.0.0.2:53"), ("[fd00::1]:4242", "[fd00::2]:53")] {
            let payload = b"an odd number".to_vec();
            let datagram = Datagram::new(source.parse().unwrap(), destination.parse().unwrap(), payload);
            for datagram in [datagram.clone(), datagram.tagged([0x88a8, 7]).tagged([0x8100, 8])] {
                let frame = datagram.frame();
                let packet = etherparse::PacketHeaders::from_ethernet_slice(&frame).unwrap();
                let udp = packet.transport.unwrap().udp().unwrap();
                let checksum = match packet.net.unwrap() {
                    etherparse::NetHeaders::Ipv4(ip, _) => {
                        assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                        udp.calc_checksum_ipv4(&ip, &datagram.payload).unwrap()
                    }
                    etherparse::NetHeaders::Ipv6(ip, _) => {
                        udp.calc_checksum_ipv6(&ip, &datagram.payload).unwrap()
                    }
                    other @ etherparse::NetHeaders::Arp(_) => panic!("{other:?}"),
                };
                assert_eq!(udp.checksum, checksum);
                assert_eq!(packet.payload.slice(), datagram.payload);
                assert!(checksums_hold(&frame, datagram.udp()));
                let mut broken = frame;
                broken[datagram.dns()] ^= 1;
                assert!(!checksums_hold(&broken, datagram.udp()));
            }
        }
    }
}
