//! From the Ethernet header to the DNS header: UDP over IPv4 and over IPv6, behind 0 to 2 VLAN tags.
//!
//! What is checked before a datagram is believed to be one is what Knot DNS checks (src/libknot/xdp/bpf-kernel.c):
//! version and header length, fragments, and that the lengths of IP, UDP and frame agree.

use network_types::{
    eth::EtherType,
    ip::{IpProto, Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
};

use crate::{
    checksum::Sum,
    dns::DnsHdr,
    maps::Address,
    memory::{Bytes, Header},
    outcome::Outcome,
};

/// Bytes of an Ethernet header without tags.
pub const ETH_LEN: usize = 14;
/// Bytes of an 802.1Q or 802.1ad tag.
pub const TAG_LEN: usize = 4;

/// The headers of a DNS message over UDP, as they stand behind the VLAN tags.
///
/// With tags, `macs` are not the addresses: those are always the first 12 bytes of the frame.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Headers<Ip> {
    macs: [u8; MACS_LEN],
    /// What follows the Ethernet header.
    pub ether_type: [u8; 2],
    /// The IP header, without options or extensions.
    pub ip: Ip,
    /// The UDP header.
    pub udp: UdpHdr,
    /// The DNS header.
    pub dns: DnsHdr,
}

/// Bytes of a UDP header (RFC 768).
pub const UDP_LEN: usize = UdpHdr::LEN;

/// Offset of the checksum in a UDP header.
pub const UDP_CHECK: usize = 6;

/// Bytes of destination and source.
pub const MACS_LEN: usize = 12;

/// An `EtherType` as it stands on the wire.
pub const fn ether_type(ether_type: EtherType) -> [u8; 2] {
    (ether_type as u16).to_ne_bytes()
}

/// The headers behind `tags` bytes of VLAN tags.
///
/// Without tags, which is known where it matters, they are where the frame begins: the check that they are there is
/// the same as that of whoever looked before, and is made once.
#[inline(always)]
pub(crate) fn headers<V: Ip, B: Bytes>(frame: &B, tags: usize) -> Option<&Headers<V::Hdr>> {
    if tags == 0 { frame.first() } else { frame.view(tags) }
}

/// Whether it is the `EtherType` of a VLAN tag (802.1Q, 802.1ad).
#[inline(always)]
pub(crate) fn is_tag(found: [u8; 2]) -> bool {
    found == ether_type(EtherType::Ieee8021q) || found == ether_type(EtherType::Ieee8021ad)
}

/// Bytes of the VLAN tags behind the addresses: one or two of 4 each. `None`: there is none.
#[inline(always)]
pub fn tags<B: Bytes>(frame: &B) -> Option<usize> {
    let (outer, inner): ([u8; 2], [u8; 2]) = (frame.load(MACS_LEN)?, frame.load(MACS_LEN + TAG_LEN)?);
    match (is_tag(outer), is_tag(inner)) {
        (false, _) => None,
        (true, false) => Some(TAG_LEN),
        (true, true) => Some(2 * TAG_LEN),
    }
}

/// The two versions of IP.
pub trait Ip {
    /// The IP header.
    type Hdr: Header;
    /// Both addresses, the requestor's first, in as few words as hold them.
    type Words: Copy + AsRef<[u64]>;
    /// 4 or 6.
    const VERSION: usize;
    /// Offset of the DNS message in a frame without tags.
    const DNS: usize;

    /// Whether UDP is where [`Headers`] has it: a header of the usual length, unfragmented, with UDP behind it.
    fn is_udp(headers: &Headers<Self::Hdr>) -> Result<(), Outcome>;
    /// The length of the UDP datagram, UDP header included, if version and lengths agree; `available` bytes of the frame are
    /// behind the Ethernet header and its tags.
    fn datagram(headers: &Headers<Self::Hdr>, available: usize) -> Option<usize>;
    /// Whether a host would take the packet for itself: its TTL is not used up, and the header's checksum, where it has
    /// one, holds.
    fn is_intact(headers: &Headers<Self::Hdr>) -> bool;
    /// The sender's address.
    fn source(headers: &Headers<Self::Hdr>) -> Address;
    /// The receiver's address.
    fn destination(headers: &Headers<Self::Hdr>) -> Address;
    /// The two addresses: what identifies an exchange, with ports and id.
    fn words(headers: &Headers<Self::Hdr>, requestor: Requestor) -> Self::Words;
    /// Writes an IP header of our own, to the requestor, with a UDP datagram of `udp_len` bytes, and gives the sum of
    /// what UDP's checksum covers in it (RFC 768, RFC 8200 8.1).
    fn to_requestor(headers: &mut Headers<Self::Hdr>, addresses: Self::Words, udp_len: u16) -> Sum;
    /// Writes the length of a UDP datagram into the IP header, and mends the IP header's checksum.
    fn set_length(headers: &mut Headers<Self::Hdr>, udp_len: u16);
}

/// Which side of a datagram the requestor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requestor {
    /// The datagram is a query.
    Source,
    /// The datagram is a response.
    Destination,
}

/// IPv4 (RFC 791).
#[derive(Clone, Copy, Debug)]
pub struct V4;

/// IPv6 (RFC 8200).
#[derive(Clone, Copy, Debug)]
pub struct V6;

const UDP: u8 = IpProto::Udp as u8;
const HOP_BY_HOP: u8 = IpProto::HopOpt as u8;
const ROUTING: u8 = IpProto::Ipv6Route as u8;
const FRAGMENT_HEADER: u8 = IpProto::Ipv6Frag as u8;
const DESTINATION_OPTIONS: u8 = IpProto::Ipv6Opts as u8;

/// Version 4, a header of five words: none with options.
pub const VIHL: u8 = 0x45;
/// More fragments, or an offset: DF alone is no fragment.
pub const FRAGMENT: [u8; 2] = [0x3f, 0xff];
/// Of an answer made in the kernel.
const TTL: u8 = 64;
const DONT_FRAGMENT: [u8; 2] = [0x40, 0];

impl Ip for V4 {
    type Hdr = Ipv4Hdr;
    type Words = [u64; 1];
    const VERSION: usize = 4;
    const DNS: usize = size_of::<Headers<Ipv4Hdr>>() - size_of::<DnsHdr>();

    #[inline(always)]
    fn is_udp(headers: &Headers<Ipv4Hdr>) -> Result<(), Outcome> {
        let Ipv4Hdr { vihl, frags, proto, .. } = headers.ip;
        if proto != UDP {
            Err(Outcome::NotOurs)
        } else if vihl != VIHL {
            Err(Outcome::Ipv4Options)
        } else if u16::from_le_bytes(frags) & u16::from_le_bytes(FRAGMENT) != 0 {
            Err(Outcome::Fragment)
        } else {
            Ok(())
        }
    }

    #[inline(always)]
    fn datagram(headers: &Headers<Ipv4Hdr>, available: usize) -> Option<usize> {
        let (ip_len, udp_len) = (u16::from_be_bytes(headers.ip.tot_len), u16::from_be_bytes(headers.udp.len));
        let agree =
            usize::from(ip_len) == usize::from(udp_len) + Ipv4Hdr::LEN && usize::from(ip_len) <= available;
        agree.then_some(usize::from(udp_len))
    }

    #[inline(always)]
    fn is_intact(headers: &Headers<Ipv4Hdr>) -> bool {
        let Ipv4Hdr { vihl, tos, tot_len, id, frags, ttl, proto, check, src_addr, dst_addr } = headers.ip;
        let sum = Sum::default()
            .word([vihl, tos])
            .word(tot_len)
            .word(id)
            .word(frags)
            .word([ttl, proto])
            .word(check)
            .words2(src_addr)
            .words2(dst_addr);
        ttl != 0 && sum.fold() == u16::MAX
    }

    #[inline(always)]
    fn source(headers: &Headers<Ipv4Hdr>) -> Address {
        Address::v4(headers.ip.src_addr)
    }

    #[inline(always)]
    fn destination(headers: &Headers<Ipv4Hdr>) -> Address {
        Address::v4(headers.ip.dst_addr)
    }

    #[inline(always)]
    fn words(headers: &Headers<Ipv4Hdr>, requestor: Requestor) -> [u64; 1] {
        let source = u64::from(u32::from_le_bytes(headers.ip.src_addr));
        let destination = u64::from(u32::from_le_bytes(headers.ip.dst_addr));
        match requestor {
            Requestor::Source => [source | destination << 32],
            Requestor::Destination => [destination | source << 32],
        }
    }

    #[inline(always)]
    fn to_requestor(headers: &mut Headers<Ipv4Hdr>, [addresses]: [u64; 1], udp_len: u16) -> Sum {
        let (requestor, server) = (addresses as u32, (addresses >> 32) as u32);
        let addresses = Sum::default().words4(addresses.to_le_bytes()).fold();
        let tot_len = udp_len.wrapping_add(Ipv4Hdr::LEN as u16).to_be_bytes();
        headers.ether_type = ether_type(EtherType::Ipv4);
        headers.ip = Ipv4Hdr {
            vihl: VIHL,
            tos: 0,
            tot_len,
            id: [0; 2],
            frags: DONT_FRAGMENT,
            ttl: TTL,
            proto: UDP,
            check: Sum::of_folded(addresses)
                .word([VIHL, 0])
                .word(tot_len)
                .word(DONT_FRAGMENT)
                .word([TTL, UDP])
                .checksum(),
            src_addr: server.to_le_bytes(),
            dst_addr: requestor.to_le_bytes(),
        };
        Sum::of_folded(addresses).word([0, UDP]).word(udp_len.to_be_bytes())
    }

    #[inline(always)]
    fn set_length(headers: &mut Headers<Ipv4Hdr>, udp_len: u16) {
        let (old, new) = (headers.ip.tot_len, udp_len.wrapping_add(Ipv4Hdr::LEN as u16).to_be_bytes());
        // RFC 1624, equation 3.
        headers.ip.check = Sum::of_folded(!u16::from_le_bytes(headers.ip.check))
            .minus(u16::from_le_bytes(old))
            .word(new)
            .checksum();
        headers.ip.tot_len = new;
    }
}

impl Ip for V6 {
    type Hdr = Ipv6Hdr;
    type Words = [u64; 4];
    const VERSION: usize = 6;
    const DNS: usize = size_of::<Headers<Ipv6Hdr>>() - size_of::<DnsHdr>();

    #[inline(always)]
    fn is_udp(headers: &Headers<Ipv6Hdr>) -> Result<(), Outcome> {
        match headers.ip.next_hdr {
            UDP => Ok(()),
            HOP_BY_HOP | ROUTING | FRAGMENT_HEADER | DESTINATION_OPTIONS => Err(Outcome::Ipv6Extension),
            _ => Err(Outcome::NotOurs),
        }
    }

    #[inline(always)]
    fn datagram(headers: &Headers<Ipv6Hdr>, available: usize) -> Option<usize> {
        let (ip_len, udp_len) =
            (u16::from_be_bytes(headers.ip.payload_len), u16::from_be_bytes(headers.udp.len));
        let [version, ..] = headers.ip.vcf;
        let agree = version >> 4 == 6 && ip_len == udp_len && usize::from(ip_len) + Ipv6Hdr::LEN <= available;
        agree.then_some(usize::from(udp_len))
    }

    #[inline(always)]
    fn is_intact(headers: &Headers<Ipv6Hdr>) -> bool {
        headers.ip.hop_limit != 0
    }

    #[inline(always)]
    fn source(headers: &Headers<Ipv6Hdr>) -> Address {
        Address::v6(headers.ip.src_addr)
    }

    #[inline(always)]
    fn destination(headers: &Headers<Ipv6Hdr>) -> Address {
        Address::v6(headers.ip.dst_addr)
    }

    #[inline(always)]
    fn words(headers: &Headers<Ipv6Hdr>, requestor: Requestor) -> [u64; 4] {
        let (source, destination) = (Self::source(headers), Self::destination(headers));
        match requestor {
            Requestor::Source => [source.high, source.low, destination.high, destination.low],
            Requestor::Destination => [destination.high, destination.low, source.high, source.low],
        }
    }

    #[inline(always)]
    fn to_requestor(headers: &mut Headers<Ipv6Hdr>, [a, b, c, d]: [u64; 4], udp_len: u16) -> Sum {
        headers.ether_type = ether_type(EtherType::Ipv6);
        headers.ip = Ipv6Hdr {
            vcf: [0x60, 0, 0, 0],
            payload_len: udp_len.to_be_bytes(),
            next_hdr: UDP,
            hop_limit: TTL,
            src_addr: Address { high: c, low: d }.octets(),
            dst_addr: Address { high: a, low: b }.octets(),
        };
        Sum::default()
            .words4(a.to_le_bytes())
            .words4(b.to_le_bytes())
            .words4(c.to_le_bytes())
            .words4(d.to_le_bytes())
            .word([0, UDP])
            .word(udp_len.to_be_bytes())
    }

    #[inline(always)]
    fn set_length(headers: &mut Headers<Ipv6Hdr>, udp_len: u16) {
        headers.ip.payload_len = udp_len.to_be_bytes();
    }
}
