//! The zone that every server serves.

use std::{fmt::Write as _, path::Path};

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

/// The zone's file in the server's directory.
pub(super) const FILE: &str = "zone";

const SMALL: &str = "\
$ORIGIN example.test.
@ 60 SOA ns hostmaster 1 3600 600 86400 60
@ 60 NS ns
ns 60 A 192.0.2.53
a 60 A 192.0.2.1
a 60 AAAA 2001:db8::1
bc 60 A 192.0.2.2
def 60 A 192.0.2.3
ghij 60 A 192.0.2.4
";

/// Writes it.
pub(super) fn write(directory: &Path) {
    let mut zone = SMALL.to_owned();
    let string = "x".repeat(200);
    writeln!(zone, "text 60 TXT {string} {string} {string}").expect("a String takes all");
    for host in 1..=30 {
        writeln!(zone, "many 60 A 198.51.100.{host}").expect("a String takes all");
    }
    let file = directory.join(FILE);
    std::fs::write(&file, zone).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
