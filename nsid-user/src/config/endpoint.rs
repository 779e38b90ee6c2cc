//! Where a member of a store is.

use std::net::{Ipv4Addr, Ipv6Addr};

/// `HOST` or `HOST:PORT` as `HOST:PORT`; nothing if it is neither.
pub(super) fn endpoint(text: &str, usual_port: u16) -> Option<String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port_number(port)?),
        Some(_) | None => (text, usual_port),
    };
    is_host(host).then(|| format!("{host}:{port}"))
}

fn port_number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

/// The name or address of a host.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let numbers = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if numbers {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    let label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(known) && !label.starts_with('-')
    };
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}
