//! `InCsumErrors` of UDP: packets that the kernel dropped because their checksum was wrong.

use crate::netns::Namespace;

/// How many there were in a namespace so far, of IPv4 and of IPv6.
pub fn checksum_errors(namespace: &Namespace) -> (u64, u64) {
    // Not /proc/net, which shows the namespace of the process's first thread.
    let read = |file: &str| {
        let path = format!("/proc/thread-self/net/{file}");
        namespace.enter(|| std::fs::read_to_string(&path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let v4 = in_snmp(&read("snmp")).expect("Udp: InCsumErrors in /proc/net/snmp");
    let v6 = in_snmp6(&read("snmp6")).expect("Udp6InCsumErrors in /proc/net/snmp6");
    (v4, v6)
}

/// Two lines a protocol: names, then numbers.
fn in_snmp(text: &str) -> Option<u64> {
    let mut udp = text.lines().filter(|line| line.starts_with("Udp:")).map(str::split_whitespace);
    let (mut names, mut numbers) = (udp.next()?, udp.next()?);
    numbers.nth(names.position(|name| name == "InCsumErrors")?)?.parse().ok()
}

/// One line a counter.
fn in_snmp6(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("Udp6InCsumErrors"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
