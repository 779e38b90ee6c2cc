//! The etcd that a pool is kept in.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::store::PASSWORD_VARIABLE;

/// etcd's port for clients.
const PORT: u16 = 2379;

/// An etcd cluster, as `etcd://[USER@]HOST[:PORT][,HOST[:PORT]...]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdAddress {
    /// The members, at least one, as `HOST:PORT`.
    pub endpoints: Vec<String>,
    /// Who we are to it, where it has access control.
    pub user: Option<String>,
}

impl FromStr for EtcdAddress {
    type Err = EtcdAddressError;

    /// What stands behind `etcd://`.
    fn from_str(text: &str) -> Result<Self, EtcdAddressError> {
        let (user, members) = match text.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => return Err(EtcdAddressError::Password),
            Some((user, members)) => (Some(user.to_owned()), members),
            None => (None, text),
        };
        if user.as_ref().is_some_and(|user| user.is_empty() || user.contains(',')) {
            return Err(EtcdAddressError::User);
        }
        let endpoints = members.split(',').map(endpoint).collect::<Result<_, _>>()?;
        Ok(Self { endpoints, user })
    }
}

fn endpoint(text: &str) -> Result<String, EtcdAddressError> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port_number(port)),
        Some(_) | None => (text, Some(PORT)),
    };
    match port {
        Some(port) if is_host(host) => Ok(format!("{host}:{port}")),
        Some(_) | None => Err(EtcdAddressError::Endpoint { endpoint: text.to_owned() }),
    }
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

/// Why a text is no [`EtcdAddress`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EtcdAddressError {
    /// A member's address.
    #[error(
        "{endpoint:?} is no address of an etcd member; write etcd://HOST:PORT, several with commas between them: \
         etcd://192.0.2.1:2379,[2001:db8::1]:2379"
    )]
    Endpoint {
        /// The text.
        endpoint: String,
    },
    /// Nothing before the `@`, or a member.
    #[error(
        "the user stands before the first member; write etcd://USER@HOST:PORT,HOST:PORT, or drop the '@'"
    )]
    User,
    /// A password, for all to see in the list of processes. It is not repeated here.
    #[error(
        "a password does not belong in an address, where every user of this host can read it; write \
         etcd://USER@HOST:PORT,HOST:PORT, and the password into the environment as {PASSWORD_VARIABLE}"
    )]
    Password,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_hosts_with_a_port_or_the_usual_one() {
        for (text, endpoints) in [
            ("192.0.2.1:2379", &["192.0.2.1:2379"][..]),
            ("etcd-1.example.net", &["etcd-1.example.net:2379"]),
            ("[2001:db8::1]:4001,192.0.2.1", &["[2001:db8::1]:4001", "192.0.2.1:2379"]),
            ("a,b:1,[::1]", &["a:2379", "b:1", "[::1]:2379"]),
        ] {
            let address: EtcdAddress = text.parse().expect(text);
            assert_eq!(address.endpoints, endpoints, "{text}");
            assert_eq!(address.user, None, "{text}");
        }
    }

    #[test]
    fn a_user_stands_before_the_members_and_a_password_nowhere() {
        let address: EtcdAddress = "nsid@a:1,b:2".parse().unwrap();
        assert_eq!((address.user.as_deref(), address.endpoints.len()), (Some("nsid"), 2));
        let error = "nsid:secret@a:1".parse::<EtcdAddress>().unwrap_err();
        assert_eq!(error, EtcdAddressError::Password);
        assert!(!error.to_string().contains("secret"));
        for text in ["@a:1", "a,nsid@b"] {
            assert_eq!(text.parse::<EtcdAddress>(), Err(EtcdAddressError::User), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        for (text, endpoint) in [
            ("", ""),
            ("a:1,", ""),
            (",a:1", ""),
            ("a:0", "a:0"),
            ("a:", "a:"),
            (":2379", ":2379"),
            ("a:65536", "a:65536"),
            ("a:b", "a:b"),
            ("2001:db8::1", "2001:db8::1"),
            ("[::1", "[::1"),
            ("[::1]x:2379", "[::1]x:2379"),
            ("[zzz]:2379", "[zzz]:2379"),
            ("[fe80::1%eth0]:2379", "[fe80::1%eth0]:2379"),
            ("999.1.1.1", "999.1.1.1"),
            ("...:1", "...:1"),
            ("-:1", "-:1"),
            ("a/b", "a/b"),
            ("a b", "a b"),
            ("http://a:1", "http://a:1"),
            ("a:1,b:2/prefix", "b:2/prefix"),
        ] {
            let endpoint = endpoint.to_owned();
            assert_eq!(text.parse::<EtcdAddress>(), Err(EtcdAddressError::Endpoint { endpoint }), "{text}");
        }
    }
}
