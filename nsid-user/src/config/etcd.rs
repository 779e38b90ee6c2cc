//! The etcd that a pool is kept in.

use std::str::FromStr;

use super::endpoint::endpoint;
use crate::store::Cluster;
use crate::store::etcd::PASSWORD_VARIABLE;

/// etcd's port for clients.
const PORT: u16 = 2379;

/// An etcd cluster, as `etcd://[USER@]HOST[:PORT][,HOST[:PORT]...][/PREFIX]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdAddress {
    /// The members, at least one, as `HOST:PORT`.
    pub endpoints: Vec<String>,
    /// Who we are to it, where it has access control.
    pub user: Option<String>,
    /// What stands before all keys.
    pub prefix: String,
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
        let (members, prefix) = match members.split_once('/') {
            Some((members, path)) if !path.starts_with('/') => (members, prefix(path)?),
            Some(_) | None => (members, Cluster::PREFIX.to_owned()),
        };
        let endpoints = members.split(',').map(member).collect::<Result<_, _>>()?;
        Ok(Self { endpoints, user, prefix })
    }
}

/// Before all keys, as it stands behind the members.
fn prefix(path: &str) -> Result<String, EtcdAddressError> {
    let known = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'@');
    let named = |part: &str| !part.is_empty() && part.bytes().all(known);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.split('/').all(named) {
        Ok(format!("/{path}"))
    } else {
        Err(EtcdAddressError::Prefix { prefix: path.to_owned() })
    }
}

fn member(text: &str) -> Result<String, EtcdAddressError> {
    endpoint(text, PORT).ok_or_else(|| EtcdAddressError::Endpoint { endpoint: text.to_owned() })
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
    /// What stands before the keys.
    #[error(
        "{prefix:?} is no prefix of keys; write names with slashes between them: etcd://HOST:PORT,HOST:PORT/dns/nsid"
    )]
    Prefix {
        /// The text.
        prefix: String,
    },
    /// Nothing before the `@`, or a member.
    #[error(
        "the user stands before the first member; write etcd://USER@HOST:PORT,HOST:PORT, or drop the '@'"
    )]
    User,
    /// A password, for all to see in the list of processes. It is not repeated here.
    #[error(
        "a password does not belong in an address, where every user of this host can read it; write \
         etcd://USER@HOST:PORT,HOST:PORT, and the password into a file (--password-file) or the environment as {PASSWORD_VARIABLE}"
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
            assert_eq!((address.user, &*address.prefix), (None, "/nsid"), "{text}");
        }
    }

    #[test]
    fn a_path_behind_the_members_stands_before_the_keys() {
        for (text, prefix) in
            [("a:1,b:2/dns", "/dns"), ("u@a/dns/nsid/", "/dns/nsid"), ("[::1]:1/d-1_.x", "/d-1_.x")]
        {
            assert_eq!(
                text.parse::<EtcdAddress>().map(|address| address.prefix),
                Ok(prefix.to_owned()),
                "{text}"
            );
        }
        for text in ["a/", "a/b//c", "a/b c", "a/b,c:1", "a/ä"] {
            assert!(matches!(text.parse::<EtcdAddress>(), Err(EtcdAddressError::Prefix { .. })), "{text}");
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
            ("a b", "a b"),
            ("http://a:1", "http://a:1"),
        ] {
            let endpoint = endpoint.to_owned();
            assert_eq!(text.parse::<EtcdAddress>(), Err(EtcdAddressError::Endpoint { endpoint }), "{text}");
        }
    }
}
