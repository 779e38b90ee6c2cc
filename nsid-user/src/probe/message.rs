//! What is asked, and what an answer says, as messages.

use hickory_proto::{
    op::{DEFAULT_MAX_PAYLOAD_LEN, Edns, Header, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{
        DNSClass, Name, RData, RecordType,
        rdata::opt::{EdnsCode, EdnsOption},
    },
    serialize::binary::{BinDecodable, BinDecoder},
};

/// A way to ask a server who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The EDNS option NSID (RFC 5001), in a query for the root's SOA with recursion not desired: no server has to ask
    /// another for that, and OPT with its options is also in REFUSED and SERVFAIL (RFC 6891 section 7).
    Nsid,
    /// TXT of class CH for `id.server.` (RFC 4892), without OPT.
    IdServer,
}

/// A response to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// With the bits that OPT adds.
    pub rcode: ResponseCode,
    /// Whether the server left something out (TC).
    pub truncated: bool,
    /// What it calls itself, as it came: each NSID option, or each TXT record. RFC 5001 section 2.3: any bytes.
    pub names: Vec<Vec<u8>>,
}

impl Answer {
    /// Whether the server calls itself anything.
    pub(super) fn has_a_name(&self) -> bool {
        self.names.iter().any(|name| !name.is_empty())
    }
}

/// A response to a question that cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Question {
    /// The message that asks it.
    pub fn encode(self, id: u16) -> Vec<u8> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.add_query(self.query());
        message.edns = match self {
            Self::Nsid => {
                let mut edns = Edns::new();
                edns.set_max_payload(DEFAULT_MAX_PAYLOAD_LEN);
                // Empty in a query (RFC 5001 section 2.1).
                edns.options_mut().insert(EdnsOption::Unknown(EdnsCode::NSID.into(), Vec::new()));
                Some(edns)
            }
            Self::IdServer => None,
        };
        message.to_vec().expect("a query of less than 50 bytes is encoded")
    }

    fn query(self) -> Query {
        match self {
            Self::Nsid => Query::query(Name::root(), RecordType::SOA),
            Self::IdServer => {
                let name = Name::from_labels(["id", "server"]).expect("two short labels make a name");
                let mut query = Query::query(name, RecordType::TXT);
                query.set_query_class(DNSClass::CH);
                query
            }
        }
    }

    /// Reads a datagram; `None`: it is no response to this question asked with that id.
    pub fn read(self, id: u16, datagram: &[u8]) -> Option<Result<Answer, Malformed>> {
        let Header { metadata, .. } = Header::read(&mut BinDecoder::new(datagram)).ok()?;
        if (metadata.id, metadata.message_type) != (id, MessageType::Response) {
            return None;
        }
        let Ok(message) = Message::from_vec(datagram) else { return Some(Err(Malformed)) };
        let rcode = message.metadata.response_code;
        let ours = match &message.queries[..] {
            // A server that does not know EDNS need not have read so far (RFC 6891 section 7).
            [] => rcode != ResponseCode::NoError,
            queries => queries == [self.query()],
        };
        ours.then(|| {
            Ok(Answer { rcode, truncated: message.metadata.truncation, names: self.names(&message) })
        })
    }

    fn names(self, message: &Message) -> Vec<Vec<u8>> {
        match self {
            Self::Nsid => {
                let options = message.edns.iter().flat_map(|edns| edns.options().get_all(EdnsCode::NSID));
                options.filter_map(|option| Vec::try_from(option).ok()).collect()
            }
            Self::IdServer => {
                let Query { name, query_class, .. } = self.query();
                let ours = message
                    .answers
                    .iter()
                    .filter(|record| record.name == name && record.dns_class == query_class);
                ours.filter_map(|record| match &record.data {
                    RData::TXT(txt) => Some(txt.txt_data.concat()),
                    _ => None,
                })
                .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::{Record, rdata::TXT};
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const ID: u16 = 0xa55a;
    const QUESTIONS: [Question; 2] = [Question::Nsid, Question::IdServer];

    /// A response that says `names`.
    fn response(question: Question, rcode: ResponseCode, names: &[Vec<u8>]) -> Message {
        let mut message = Message::from_vec(&question.encode(ID)).unwrap().into_response();
        message.metadata.response_code = rcode;
        match question {
            Question::Nsid => {
                let mut edns = Edns::new();
                for name in names {
                    edns.options_mut().insert(EdnsOption::Unknown(EdnsCode::NSID.into(), name.clone()));
                }
                message.edns = Some(edns);
            }
            Question::IdServer => {
                for name in names {
                    let strings = name.chunks(255).collect();
                    let txt = RData::TXT(TXT::from_bytes(strings));
                    let mut record = Record::from_rdata(question.query().name, 0, txt);
                    record.dns_class = DNSClass::CH;
                    message.add_answer(record);
                }
            }
        }
        message
    }

    fn read(question: Question, message: &Message) -> Option<Result<Answer, Malformed>> {
        question.read(ID, &message.to_vec().unwrap())
    }

    #[test]
    fn the_queries_are_those_of_the_rfcs() {
        let header = |additional| [0xa5, 0x5a, 0, 0, 0, 1, 0, 0, 0, 0, 0, additional];
        let root_soa_in = [0, 0, 6, 0, 1];
        let opt_1232_nsid = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 4, 0, 3, 0, 0];
        assert_eq!(Question::Nsid.encode(ID), [&header(1)[..], &root_soa_in, &opt_1232_nsid].concat());
        let id_server_txt_ch = *b"\x02id\x06server\0\0\x10\0\x03";
        assert_eq!(Question::IdServer.encode(ID), [&header(0)[..], &id_server_txt_ch].concat());
    }

    #[test]
    fn a_response_with_another_id_or_question_is_not_ours() {
        for (question, other) in [(QUESTIONS[0], QUESTIONS[1]), (QUESTIONS[1], QUESTIONS[0])] {
            let ours = response(question, ResponseCode::NoError, &[b"ns1".to_vec()]);
            assert!(matches!(read(question, &ours), Some(Ok(_))));
            assert_eq!(question.read(ID ^ 1, &ours.to_vec().unwrap()), None);
            assert_eq!(read(other, &ours), None);
            assert_eq!(question.read(ID, &question.encode(ID)), None, "a query is no response");
        }
    }

    #[test]
    fn an_error_without_a_question_is_ours() {
        for question in QUESTIONS {
            let mut message = Message::new(ID, MessageType::Response, OpCode::Query);
            assert_eq!(read(question, &message), None);
            message.metadata.response_code = ResponseCode::FormErr;
            let answer = Answer { rcode: ResponseCode::FormErr, truncated: false, names: vec![] };
            assert_eq!(read(question, &message), Some(Ok(answer)));
        }
    }

    #[test]
    fn a_response_cut_short_is_malformed() {
        for question in QUESTIONS {
            let whole = response(question, ResponseCode::NoError, &[b"ns1".to_vec()]).to_vec().unwrap();
            for length in 12..whole.len() {
                assert_eq!(question.read(ID, &whole[..length]), Some(Err(Malformed)), "{length}");
            }
        }
    }

    #[test]
    fn txt_of_another_name_or_class_is_no_name() {
        let names = [b"in", b"of", b"ch"].map(|name| name.to_vec());
        let mut message = response(Question::IdServer, ResponseCode::NoError, &names);
        message.answers[0].dns_class = DNSClass::IN;
        message.answers[1].name = Name::root();
        assert_eq!(read(Question::IdServer, &message).unwrap().unwrap().names, [b"ch"]);
    }

    proptest! {
        #[test]
        fn what_a_server_says_is_read_as_it_was_said(
            question in prop::sample::select(&QUESTIONS[..]),
            rcode in 0..16_u8,
            truncated: bool,
            names in vec(vec(any::<u8>(), 1..300), 0..4),
        ) {
            let rcode = ResponseCode::from(0, rcode);
            let mut message = response(question, rcode, &names);
            message.metadata.truncation = truncated;
            prop_assert_eq!(read(question, &message), Some(Ok(Answer { rcode, truncated, names })));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(
            question in prop::sample::select(&QUESTIONS[..]),
            bytes in vec(any::<u8>(), 0..200),
        ) {
            if question.read(ID, &bytes).is_some() {
                prop_assert!(bytes.starts_with(&ID.to_be_bytes()));
            }
            // Past the header, which seldom comes about by chance.
            let mut response = response(question, ResponseCode::NoError, &[]).to_vec().unwrap();
            response.truncate(12);
            response.extend(bytes);
            question.read(ID, &response);
        }

        #[test]
        fn a_response_with_changed_bytes_is_read_without_a_panic(
            question in prop::sample::select(&QUESTIONS[..]),
            changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes =
                response(question, ResponseCode::NoError, &[vec![], b"ns1".to_vec()]).to_vec().unwrap();
            for (index, byte) in changes {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            question.read(ID, &bytes);
        }
    }
}
