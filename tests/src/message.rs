//! DNS messages as a client sees them, encoded and decoded by hickory-proto.

use std::str::FromStr;

use hickory_proto::{
    op::{DEFAULT_MAX_PAYLOAD_LEN, Edns, Message, MessageType, OpCode, ResponseCode},
    rr::{
        DNSClass, Name, RData, RecordType,
        rdata::opt::{EdnsCode, EdnsOption, NSIDPayload},
    },
};

/// A question, and whether it carries OPT and what in it.
#[derive(Clone, Debug)]
pub struct Query {
    opcode: OpCode,
    question: hickory_proto::op::Query,
    edns: Option<Edns>,
}

impl Query {
    /// For the records of a type, of class IN, without OPT.
    pub fn new(name: &str, record_type: RecordType) -> Self {
        let name = Name::from_str(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let question = hickory_proto::op::Query::query(name, record_type);
        Self { opcode: OpCode::Query, question, edns: None }
    }

    /// For addresses.
    pub fn a(name: &str) -> Self {
        Self::new(name, RecordType::A)
    }

    /// For the server's identity: TXT of class CH (RFC 4892).
    pub fn identity(name: &str) -> Self {
        let mut query = Self::new(name, RecordType::TXT);
        query.question.set_query_class(DNSClass::CH);
        query
    }

    /// With OPT, and no option in it yet.
    #[must_use]
    pub fn with_opt(mut self) -> Self {
        self.opt();
        self
    }

    /// With OPT and the largest UDP payload that the requestor takes.
    #[must_use]
    pub fn with_udp_size(mut self, size: u16) -> Self {
        self.opt().set_max_payload(size);
        self
    }

    /// With OPT and the DO bit (RFC 3225).
    #[must_use]
    pub fn with_dnssec_ok(mut self) -> Self {
        self.opt().set_dnssec_ok(true);
        self
    }

    /// With OPT and an empty NSID option (RFC 5001 2.1).
    #[must_use]
    pub fn with_nsid(self) -> Self {
        let empty = NSIDPayload::new([]).expect("empty is not too long");
        self.with_option(EdnsOption::NSID(empty))
    }

    /// With OPT and an NSID option that holds something, which only a responder may do (RFC 5001 2.1).
    #[must_use]
    pub fn with_nsid_payload(self, payload: &str) -> Self {
        self.with_option_of(EdnsCode::NSID, payload.as_bytes())
    }

    /// With OPT and a client cookie (RFC 7873 4.1).
    #[must_use]
    pub fn with_cookie(self) -> Self {
        self.with_option_of(EdnsCode::Cookie, &[1, 2, 3, 4, 5, 6, 7, 8])
    }

    /// With OPT and an option of which hickory-proto knows no more than the code.
    #[must_use]
    pub fn with_option_of(self, code: EdnsCode, data: &[u8]) -> Self {
        self.with_option(EdnsOption::Unknown(code.into(), data.to_vec()))
    }

    /// With OPT of a later version of EDNS (RFC 6891 6.1.3).
    #[must_use]
    pub fn with_edns_version(mut self, version: u8) -> Self {
        self.opt().set_version(version);
        self
    }

    /// Of another opcode.
    #[must_use]
    pub fn with_opcode(mut self, opcode: OpCode) -> Self {
        self.opcode = opcode;
        self
    }

    fn with_option(mut self, option: EdnsOption) -> Self {
        self.opt().options_mut().insert(option);
        self
    }

    fn opt(&mut self) -> &mut Edns {
        self.edns.get_or_insert_with(|| {
            let mut edns = Edns::new();
            edns.set_max_payload(DEFAULT_MAX_PAYLOAD_LEN);
            edns
        })
    }

    /// The message on the wire.
    pub fn encode(&self, id: u16) -> Vec<u8> {
        let mut message = Message::new(id, MessageType::Query, self.opcode);
        message.metadata.recursion_desired = true;
        message.add_query(self.question.clone());
        message.edns.clone_from(&self.edns);
        message.to_vec().expect("a query fits")
    }
}

/// A response.
#[derive(Clone, Debug)]
pub struct Answer {
    bytes: Vec<u8>,
    message: Message,
}

impl Answer {
    /// Decodes one; panics if it is malformed.
    pub fn decode(bytes: &[u8]) -> Self {
        let message = Message::from_vec(bytes).unwrap_or_else(|error| panic!("{error}: {bytes:02x?}"));
        assert_eq!(message.metadata.message_type, MessageType::Response, "{bytes:02x?}");
        Self { bytes: bytes.to_vec(), message }
    }

    /// As it came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Decoded.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The response code, with the bits that OPT adds.
    pub fn rcode(&self) -> ResponseCode {
        self.message.metadata.response_code
    }

    /// The name in the NSID option, if there is one: an empty option says none.
    pub fn nsid(&self) -> Option<String> {
        self.nsid_option().filter(|nsid| !nsid.is_empty())
    }

    /// The NSID option, if there is one; panics if there are two.
    pub fn nsid_option(&self) -> Option<String> {
        let options = self.message.edns.as_ref()?.options().get_all(EdnsCode::NSID);
        assert!(options.len() <= 1, "more than one NSID: {options:?}");
        options.into_iter().next().map(|option| match option {
            EdnsOption::NSID(payload) => String::from_utf8_lossy(payload.as_ref()).into_owned(),
            other => panic!("hickory-proto reads NSID as {other:?}"),
        })
    }

    /// The text of the only answer, if that is a TXT record of one string.
    pub fn text(&self) -> Option<String> {
        let [record] = &self.message.answers[..] else { return None };
        let RData::TXT(txt) = &record.data else { return None };
        let [string] = &txt.txt_data[..] else { return None };
        Some(String::from_utf8_lossy(string).into_owned())
    }

    /// All that must be the same as without us: the bytes before OPT, which must come last, and OPT without NSID
    /// and without the cookie, which tells the time.
    pub fn apart_from_nsid(&self) -> (&[u8], Option<Edns>) {
        let Some(edns) = &self.message.edns else { return (&self.bytes, None) };
        let options: usize =
            edns.options().options.iter().map(|(_, option)| 4 + usize::from(option.len())).sum();
        // NAME (the root), TYPE, CLASS, TTL, RDLENGTH: RFC 6891 6.1.2.
        let before = self.bytes.len() - (1 + 2 + 2 + 4 + 2) - options;
        let (before, opt) = self.bytes.split_at(before);
        assert_eq!(opt[..3], [0, 0, 41], "OPT is not the last record: {:02x?}", self.bytes);
        let mut edns = edns.clone();
        for code in [EdnsCode::NSID, EdnsCode::Cookie] {
            edns.options_mut().remove(code);
        }
        (before, Some(edns))
    }
}
