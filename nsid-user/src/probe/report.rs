//! What a server said of itself, for people: a line for each question.

use std::fmt;

use hickory_proto::op::ResponseCode;

use super::{
    Server, Timeout,
    ask::{Heard, Reply},
    message::Question,
};

/// What came of both questions.
#[derive(Debug)]
pub struct Report {
    pub(super) server: Server,
    pub(super) timeout: Timeout,
    pub(super) nsid: Option<Heard>,
    pub(super) id_server: Option<Heard>,
}

impl Report {
    /// Whether the server said a name, in answer to either question.
    pub fn has_a_name(&self) -> bool {
        [&self.nsid, &self.id_server].into_iter().flatten().any(|heard| match &heard.reply {
            Reply::Answer(answer) => answer.has_a_name(),
            Reply::Malformed | Reply::PortUnreachable | Reply::Unreachable => false,
        })
    }
}

/// The question, what the server said, and how long it took.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines =
            [(Question::Nsid, &self.nsid), (Question::IdServer, &self.id_server)].map(|(question, heard)| {
                match heard {
                    Some(Heard { reply, took }) => (question, cut(said(question, reply)), Some(took)),
                    None => (question, format!("no answer within {}", self.timeout), None),
                }
            });
        let width = lines.iter().map(|(_, said, _)| said.chars().count()).max().unwrap_or_default();
        for (question, said, took) in &lines {
            let asked = match question {
                Question::Nsid => "NSID",
                Question::IdServer => "id.server.",
            };
            write!(f, "{asked:<10}  ")?;
            match took {
                Some(took) => writeln!(f, "{said:<width$}  {:.2} ms", took.as_secs_f64() * 1000.0)?,
                None => writeln!(f, "{said}")?,
            }
        }
        Ok(())
    }
}

/// How much of an answer is shown; `--json` has it all.
const SHOWN_MAX: usize = 512;

/// What is not too long to be read.
fn cut(said: String) -> String {
    match said.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}... (more: --json)", &said[..end]),
        None => said,
    }
}

/// A name is shown without blanks or in hex, and what is said of it has blanks: one is not taken for the other.
fn said(question: Question, reply: &Reply) -> String {
    let answer = match reply {
        Reply::Answer(answer) => answer,
        Reply::Malformed => return "malformed answer".to_owned(),
        Reply::PortUnreachable => return "port unreachable".to_owned(),
        Reply::Unreachable => return "address unreachable".to_owned(),
    };
    let kind = match question {
        Question::Nsid => "NSID",
        Question::IdServer => "TXT",
    };
    let names = match &answer.names[..] {
        [] => format!("no {kind}"),
        names => names.iter().map(|name| shown(name, kind)).collect::<Vec<_>>().join(", "),
    };
    if answer.has_a_name() {
        // Nobody asks what else its answer was.
        return names;
    }
    let code = match answer.rcode {
        ResponseCode::NoError => String::new(),
        code => format!(" ({})", mnemonic(code)),
    };
    let truncated = if answer.truncated { " (truncated)" } else { "" };
    format!("{names}{code}{truncated}")
}

/// The bytes as text if each of them shows as itself; else in hex, and what shows beside it, as `dig` does.
fn shown(name: &[u8], kind: &str) -> String {
    if name.is_empty() {
        return format!("empty {kind}");
    }
    if name.iter().all(u8::is_ascii_graphic) {
        return String::from_utf8_lossy(name).into_owned();
    }
    let visible = |&byte: &u8| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '.' };
    format!("{} (\"{}\")", hex(name).join(" "), name.iter().map(visible).collect::<String>())
}

/// The digits of each byte.
pub(super) fn hex(name: &[u8]) -> Vec<String> {
    name.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A response code as `dig` writes it; by its number, one that hardly any server answers with.
pub(super) fn mnemonic(rcode: ResponseCode) -> String {
    let name = match u16::from(rcode) {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        9 => "NOTAUTH",
        16 => "BADVERS",
        other => return format!("RCODE {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::{super::message::Answer, *};

    pub(in super::super) fn answer(rcode: ResponseCode, names: &[&[u8]]) -> Reply {
        let names = names.iter().map(|name| name.to_vec()).collect();
        Reply::Answer(Answer { rcode, truncated: false, names })
    }

    pub(in super::super) fn report(nsid: Option<Reply>, id_server: Option<Reply>) -> Report {
        let heard = |reply: Option<Reply>, took| {
            reply.map(|reply| Heard { reply, took: Duration::from_micros(took) })
        };
        Report {
            server: "192.0.2.1".parse().unwrap(),
            timeout: Timeout::default(),
            nsid: heard(nsid, 314),
            id_server: heard(id_server, 12_050),
        }
    }

    #[test]
    fn each_question_is_a_line_and_the_times_stand_below_each_other() {
        let name: &[&[u8]] = &[b"worker0.tf.local"];
        let report =
            report(Some(answer(ResponseCode::Refused, name)), Some(answer(ResponseCode::Refused, &[])));
        assert_eq!(
            report.to_string(),
            "NSID        worker0.tf.local  0.31 ms\n\
             id.server.  no TXT (REFUSED)  12.05 ms\n"
        );
    }

    #[test]
    fn what_does_not_come_has_no_time() {
        assert_eq!(
            report(None, Some(Reply::PortUnreachable)).to_string(),
            "NSID        no answer within 2s\n\
             id.server.  port unreachable     12.05 ms\n"
        );
    }

    #[test]
    fn every_state_has_words_of_its_own() {
        let truncated =
            Reply::Answer(Answer { rcode: ResponseCode::NoError, truncated: true, names: vec![] });
        for (reply, nsid, id_server) in [
            (answer(ResponseCode::NoError, &[]), "no NSID", "no TXT"),
            (answer(ResponseCode::ServFail, &[]), "no NSID (SERVFAIL)", "no TXT (SERVFAIL)"),
            (answer(16.into(), &[]), "no NSID (BADVERS)", "no TXT (BADVERS)"),
            (answer(11.into(), &[]), "no NSID (RCODE 11)", "no TXT (RCODE 11)"),
            (truncated, "no NSID (truncated)", "no TXT (truncated)"),
            (answer(ResponseCode::NoError, &[b""]), "empty NSID", "empty TXT"),
            (answer(ResponseCode::NoError, &[b"a", b"", b"b"]), "a, empty NSID, b", "a, empty TXT, b"),
            (Reply::Malformed, "malformed answer", "malformed answer"),
            (Reply::PortUnreachable, "port unreachable", "port unreachable"),
            (Reply::Unreachable, "address unreachable", "address unreachable"),
        ] {
            assert_eq!(said(Question::Nsid, &reply), nsid);
            assert_eq!(said(Question::IdServer, &reply), id_server);
        }
    }

    #[test]
    fn bytes_that_do_not_show_as_themselves_are_shown_in_hex() {
        assert_eq!(shown(b"ns1_a-b.example.", "NSID"), "ns1_a-b.example.");
        assert_eq!(shown(b"no NSID", "NSID"), r#"6e 6f 20 4e 53 49 44 ("no NSID")"#);
        assert_eq!(shown(b"a\x1b[2J\n\xff", "NSID"), r#"61 1b 5b 32 4a 0a ff ("a.[2J..")"#);
    }

    #[test]
    fn an_answer_that_is_too_long_to_read_is_cut() {
        let many: Vec<&[u8]> = vec![b""; 16_000];
        let long = vec![0xff; 22_000];
        for names in [&many[..], &[&long[..]]] {
            let shown = report(Some(answer(ResponseCode::NoError, names)), None).to_string();
            assert!(shown.len() < 2000 && shown.contains("(more: --json)"), "{}", shown.len());
        }
    }

    #[test]
    fn a_name_in_either_answer_is_a_name() {
        let name = || Some(answer(ResponseCode::Refused, &[b"", b"ns1"]));
        let none = || Some(answer(ResponseCode::NoError, &[b""]));
        assert!(report(name(), None).has_a_name());
        assert!(report(none(), name()).has_a_name());
        assert!(!report(none(), none()).has_a_name());
        assert!(!report(Some(Reply::PortUnreachable), Some(Reply::Malformed)).has_a_name());
    }
}
