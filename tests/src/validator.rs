//! A resolver that validates (RFC 4035 4) and asks whom it forwards to for NSID: BIND, whose `request-nsid` does that.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
    path::Path,
    time::Duration,
};

use hickory_proto::{op::ResponseCode, rr::RecordType};
use tempfile::TempDir;

use crate::{
    client::Client,
    message::Query,
    netns::Namespace,
    patience::until,
    process::Process,
    servers::{ORIGIN, trust_anchor},
};

const PATIENCE: Duration = Duration::from_secs(5);

/// Where it is asked: in the namespace of whoever asks.
const ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53);

/// One that forwards to one server.
#[derive(Debug)]
pub struct Validator {
    process: Process,
    client: Client,
    _directory: TempDir,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated {
    /// The response code.
    pub rcode: ResponseCode,
    /// Whether all of the answer is secure (AD, RFC 4035 3.2.3).
    pub authentic: bool,
}

impl Validator {
    /// Starts one, and waits until it has validated the key of the zone.
    pub fn start(namespace: &Namespace, server: IpAddr) -> Self {
        let directory = namespace.scratch();
        let file = directory.path().join("named.conf");
        std::fs::write(&file, configuration(directory.path(), server)).expect("a directory of our own");
        let mut command = namespace.command("/usr/sbin/named");
        command.args(["-g", "-n", "1", "-c"]).arg(file);
        let mut process = Process::start("validator", &mut command, directory.path());
        let client = Client::inside(namespace, ADDRESS);
        until(PATIENCE, "the validator to answer", || {
            assert!(process.ended().is_none(), "it ended\n{}", process.stderr());
            client.ask_within(PATIENCE / 5, &Query::new(ORIGIN, RecordType::DNSKEY)).is_some()
        });
        Self { process, client, _directory: directory }
    }

    /// Asks it.
    pub fn ask(&self, query: Query) -> Option<Validated> {
        let answer = self.client.ask_within(PATIENCE, &query.with_dnssec_ok())?;
        Some(Validated { rcode: answer.rcode(), authentic: answer.message().metadata.authentic_data })
    }

    /// How many answers with this NSID it got.
    pub fn received(&self, nsid: &str) -> usize {
        let received = format!("(\"{nsid}\")");
        let log = self.process.stderr();
        log.lines().filter(|line| line.contains("received NSID") && line.contains(&received)).count()
    }
}

fn configuration(directory: &Path, server: IpAddr) -> String {
    let state = directory.display();
    // `OWNER [TTL] IN DNSKEY FLAGS PROTOCOL ALGORITHM KEY`, where the key may have blanks in it.
    let (_, key) = trust_anchor().split_once("DNSKEY").expect("a DNSKEY record");
    let mut fields = key.split_whitespace();
    let numbers: Vec<&str> = fields.by_ref().take(3).collect();
    let (numbers, key): (String, String) = (numbers.join(" "), fields.collect());
    format!(
        r#"
options {{
  directory "{state}";
  pid-file none;
  session-keyfile none;
  listen-on {{ {}; }};
  listen-on-v6 {{ none; }};
  forwarders {{ {server}; }};
  forward only;
  dnssec-validation yes;
  request-nsid yes;
}};
controls {{ }};
trust-anchors {{ {ORIGIN} static-key {numbers} "{key}"; }};
"#,
        ADDRESS.ip()
    )
}
