//! The DNS message (RFC 1035 4) as far as NSID needs it: header, names, records, OPT and its options.
//!
//! Nothing here knows of UDP: the same functions read a message in a stream.

mod message;
mod name;
mod option;
mod record;

pub use message::{Edns, Message, walk};
pub(crate) use name::MAX_LABEL;
pub use name::{Compression, skip as skip_name};
pub use option::find_nsid;
pub use record::{MAX_RECORDS, Stop, skip as skip_record, skip_all as skip_records};

/// The header (RFC 1035 4.1.1).
///
/// ```text
///   0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15
/// |                      ID                       |
/// |QR|   OPCODE  |AA|TC|RD|RA| Z|AD|CD|   RCODE   |
/// |                    QDCOUNT                    |
/// |                    ANCOUNT                    |
/// |                    NSCOUNT                    |
/// |                    ARCOUNT                    |
/// ```
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct DnsHdr {
    /// Chosen by the requestor.
    pub id: [u8; 2],
    /// QR to RCODE.
    pub flags: [u8; 2],
    /// Questions.
    pub qdcount: [u8; 2],
    /// Records of the answer section.
    pub ancount: [u8; 2],
    /// Records of the authority section.
    pub nscount: [u8; 2],
    /// Records of the additional section.
    pub arcount: [u8; 2],
}

impl DnsHdr {
    /// Bytes of the header.
    pub const LEN: usize = size_of::<Self>();

    /// Whether it is a response: QR.
    #[inline(always)]
    pub const fn is_response(&self) -> bool {
        self.flags[0] & QR != 0
    }
}

/// In the first byte of the flags.
pub const QR: u8 = 0x80;
/// In the first byte of the flags.
pub const OPCODE: u8 = 0x78;
/// In the first byte of the flags.
pub const AA: u8 = 0x04;
/// In the first byte of the flags.
pub const RD: u8 = 0x01;

/// Bytes of a name, the root included (RFC 1035 2.3.4).
pub const MAX_NAME: usize = 255;
/// Bytes of type and class behind the name of a question.
pub const QUESTION_FIXED: usize = 4;
/// Bytes of type, class, TTL and RDLENGTH behind the owner of a record.
pub const RECORD_FIXED: usize = 10;
/// Bytes of option code and length in front of an option's data (RFC 6891 6.1.2).
pub const OPTION_FIXED: usize = 4;

/// TXT (RFC 1035 3.3.14).
pub const TYPE_TXT: u16 = 16;
/// SIG (RFC 2535); with type covered 0 it is SIG(0) (RFC 2931 3).
pub const TYPE_SIG: u16 = 24;
/// OPT (RFC 6891 6.1.1).
pub const TYPE_OPT: u16 = 41;
/// TSIG (RFC 8945 4.2).
pub const TYPE_TSIG: u16 = 250;
/// CHAOS (RFC 1035 3.2.4).
pub const CLASS_CH: u16 = 3;
/// NSID among the option codes (RFC 5001 2.3).
pub const OPTION_NSID: u16 = 3;
/// DO, in the first byte of OPT's flags (RFC 3225 3).
pub const DNSSEC_OK: u8 = 0x80;
/// What a requestor without EDNS takes (RFC 1035 2.3.4), and the least that a size in OPT means (RFC 6891 6.2.3).
pub const MIN_UDP_SIZE: usize = 512;
