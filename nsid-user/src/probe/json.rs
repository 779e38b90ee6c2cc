//! What a server said of itself, for programs: one object. What is not known is null, and never absent.

use std::net::SocketAddr;

use serde::{Serialize, Serializer};

use super::{
    ask::{Heard, Reply},
    message::Answer,
    report::{Report, hex, mnemonic},
};

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { server, nsid, id_server, timeout: _ } = self;
        let object = Object {
            address: server.address(),
            nsid: Said::of(nsid.as_ref()),
            id_server: Said::of(id_server.as_ref()),
        };
        object.serialize(serializer)
    }
}

#[derive(Serialize)]
struct Object {
    address: SocketAddr,
    nsid: Said,
    id_server: Said,
}

/// What came of one question.
#[derive(Serialize)]
struct Said {
    outcome: Outcome,
    /// The first name that the server said.
    #[serde(flatten)]
    name: Name,
    /// The others, where there should be one.
    more: Vec<Name>,
    rcode: Option<String>,
    truncated: Option<bool>,
    time_us: Option<u64>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// A name, or several.
    Named,
    /// Nothing but a name of no bytes.
    Empty,
    /// An answer without a name.
    Unnamed,
    Malformed,
    PortUnreachable,
    Unreachable,
    NoAnswer,
}

/// A name; both are null where there is none.
#[derive(Default, Serialize)]
struct Name {
    /// If it is UTF-8.
    text: Option<String>,
    hex: Option<String>,
}

impl Said {
    fn of(heard: Option<&Heard>) -> Self {
        let (outcome, answer) = match heard.map(|heard| &heard.reply) {
            Some(Reply::Answer(answer)) => (Outcome::of(answer), Some(answer)),
            Some(Reply::Malformed) => (Outcome::Malformed, None),
            Some(Reply::PortUnreachable) => (Outcome::PortUnreachable, None),
            Some(Reply::Unreachable) => (Outcome::Unreachable, None),
            None => (Outcome::NoAnswer, None),
        };
        let mut names = answer.into_iter().flat_map(|answer| &answer.names).map(|name| Name::of(name));
        Self {
            outcome,
            name: names.next().unwrap_or_default(),
            more: names.collect(),
            rcode: answer.map(|answer| mnemonic(answer.rcode)),
            truncated: answer.map(|answer| answer.truncated),
            time_us: heard.and_then(|heard| heard.took.as_micros().try_into().ok()),
        }
    }
}

impl Outcome {
    fn of(answer: &Answer) -> Self {
        if answer.has_a_name() {
            Self::Named
        } else if answer.names.is_empty() {
            Self::Unnamed
        } else {
            Self::Empty
        }
    }
}

impl Name {
    fn of(name: &[u8]) -> Self {
        let text = String::from_utf8(name.to_vec()).ok();
        Self { text, hex: Some(hex(name).concat()) }
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::ResponseCode;
    use serde_json::{Value, json};

    use super::{
        super::report::tests::{answer, report},
        *,
    };

    fn nsid_of(reply: Option<Reply>) -> Value {
        serde_json::to_value(report(reply, None)).unwrap()["nsid"].take()
    }

    #[test]
    fn one_object_has_it_all() {
        let report = report(Some(answer(ResponseCode::Refused, &[b"ns1", b"\xff"])), None);
        assert_eq!(
            serde_json::to_value(report).unwrap(),
            json!({
                "address": "192.0.2.1:53",
                "nsid": {
                    "outcome": "named",
                    "text": "ns1",
                    "hex": "6e7331",
                    "more": [{ "text": null, "hex": "ff" }],
                    "rcode": "REFUSED",
                    "truncated": false,
                    "time_us": 314,
                },
                "id_server": {
                    "outcome": "no_answer",
                    "text": null,
                    "hex": null,
                    "more": [],
                    "rcode": null,
                    "truncated": null,
                    "time_us": null,
                },
            })
        );
    }

    #[test]
    fn every_outcome_has_a_word() {
        for (reply, outcome, text) in [
            (answer(ResponseCode::NoError, &[b"ns1"]), "named", json!("ns1")),
            (answer(ResponseCode::NoError, &[b""]), "empty", json!("")),
            (answer(ResponseCode::NoError, &[]), "unnamed", json!(null)),
            (Reply::Malformed, "malformed", json!(null)),
            (Reply::PortUnreachable, "port_unreachable", json!(null)),
            (Reply::Unreachable, "unreachable", json!(null)),
        ] {
            let said = nsid_of(Some(reply));
            assert_eq!((&said["outcome"], &said["text"]), (&json!(outcome), &text));
            assert_eq!(said["time_us"], json!(314));
        }
    }
}
