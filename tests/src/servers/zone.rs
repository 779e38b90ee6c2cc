//! The zone that every server serves.

use std::{fmt::Write as _, fs, path::Path, process::Command, sync::LazyLock};

use hickory_proto::op::ResponseCode;
use tempfile::TempDir;

use super::Dnssec;
use crate::process::run;

/// Its origin.
pub const ORIGIN: &str = "example.test.";
/// A name with an A and an AAAA record.
pub const PRESENT: &str = "a.example.test.";
/// A name with a TXT record of three strings, 600 bytes in all.
pub const LONG_TEXT: &str = "text.example.test.";
/// A name with 30 A records.
pub const MANY_ADDRESSES: &str = "many.example.test.";
/// A name that the zone does not have: NXDOMAIN.
pub const ABSENT: &str = "absent.example.test.";
/// A name of no zone that the server has: REFUSED.
pub const ELSEWHERE: &str = "www.refused.test.";
/// Names, and with what code every server answers an address query for each.
pub const ANSWERS: [(&str, ResponseCode); 5] = [
    (PRESENT, ResponseCode::NoError),
    (LONG_TEXT, ResponseCode::NoError),
    (MANY_ADDRESSES, ResponseCode::NoError),
    (ABSENT, ResponseCode::NXDomain),
    (ELSEWHERE, ResponseCode::Refused),
];
/// A name below a zone that the server cannot get, or the one behind it cannot: SERVFAIL.
pub const BROKEN: &str = "www.broken.test.";

/// The zone's file in the server's directory.
pub(super) const FILE: &str = "zone";

/// Nothing of it leaves a cache while a test runs.
const SMALL: &str = "\
$ORIGIN example.test.
@ 3600 SOA ns hostmaster 1 3600 600 86400 3600
@ 3600 NS ns
ns 3600 A 192.0.2.53
a 3600 A 192.0.2.1
a 3600 AAAA 2001:db8::1
bc 3600 A 192.0.2.2
def 3600 A 192.0.2.3
ghij 3600 A 192.0.2.4
";

/// Writes it.
pub(super) fn write(directory: &Path, dnssec: Dnssec) {
    let zone = match dnssec {
        Dnssec::Unsigned => &text(),
        Dnssec::Signed => &signed().zone,
    };
    super::write(directory, FILE, zone);
}

/// The DNSKEY record of the key that signs the zone.
pub fn trust_anchor() -> &'static str {
    &signed().key
}

struct Signed {
    zone: String,
    key: String,
}

/// Signed once (RFC 4035 2), so that two servers of a run say the same signatures.
fn signed() -> &'static Signed {
    static SIGNED: LazyLock<Signed> = LazyLock::new(sign);
    &SIGNED
}

fn sign() -> Signed {
    let directory = TempDir::new().expect("a temporary directory");
    super::write(directory.path(), FILE, &text());
    let read =
        |file: &str| fs::read_to_string(directory.path().join(file)).expect("BIND's tools have written it");
    let in_directory = |command: &mut Command| run(command.current_dir(directory.path()));
    let key = in_directory(Command::new("dnssec-keygen").args([
        "-q",
        "-a",
        "ECDSAP256SHA256",
        "-f",
        "KSK",
        "example.test",
    ]));
    let key = read(&format!("{}.key", key.trim()));
    // One key signs everything (-z), whatever its flags say.
    in_directory(Command::new("dnssec-signzone").args([
        "-q",
        "-S",
        "-z",
        "-o",
        "example.test",
        "-f",
        FILE,
        FILE,
    ]));
    Signed { zone: read(FILE), key: key.lines().filter(|line| !line.starts_with(';')).collect() }
}

fn text() -> String {
    let mut zone = SMALL.to_owned();
    let string = "x".repeat(200);
    writeln!(zone, "text 3600 TXT {string} {string} {string}").expect("a String takes all");
    for host in 1..=30 {
        writeln!(zone, "many 3600 A 198.51.100.{host}").expect("a String takes all");
    }
    zone
}
