//! The ZooKeeper that a pool is kept in.

use super::endpoint::endpoint;
use crate::store::zookeeper::PASSWORD_VARIABLE;

/// ZooKeeper's port for clients, and the one that its guide has for those over TLS (`secureClientPort`).
const PORT: u16 = 2181;
const TLS_PORT: u16 = 2281;

/// What pools are below, if nothing else is said.
const PATH: &str = "/nsid";

/// A ZooKeeper ensemble, as `zk://[USER@]HOST[:PORT][,HOST[:PORT]...][/PATH]`, or `zks://`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZooKeeperAddress {
    /// The servers, at least one, as `HOST:PORT`.
    pub endpoints: Vec<String>,
    /// What pools are below.
    pub path: String,
    /// Who we are to it, where nodes have ACLs.
    pub user: Option<String>,
}

impl ZooKeeperAddress {
    /// What stands behind `zk://`.
    pub fn parse(text: &str) -> Result<Self, ZooKeeperAddressError> {
        Self::with_port(text, PORT)
    }

    /// What stands behind `zks://`.
    pub fn parse_over_tls(text: &str) -> Result<Self, ZooKeeperAddressError> {
        Self::with_port(text, TLS_PORT)
    }

    fn with_port(text: &str, port: u16) -> Result<Self, ZooKeeperAddressError> {
        let (user, place) = match text.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => return Err(ZooKeeperAddressError::Password),
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, text),
        };
        if user.as_ref().is_some_and(|user| user.is_empty() || user.contains([',', '/'])) {
            return Err(ZooKeeperAddressError::User);
        }
        let (servers, path) = match place.find('/') {
            Some(at) => (&place[..at], path(&place[at..])?),
            None => (place, PATH.to_owned()),
        };
        let server = |text: &str| {
            endpoint(text, port).ok_or_else(|| ZooKeeperAddressError::Endpoint { endpoint: text.to_owned() })
        };
        Ok(Self { endpoints: servers.split(',').map(server).collect::<Result<_, _>>()?, path, user })
    }
}

/// As ZooKeeper takes it (`PathUtils.validatePath`), and without what would be hard to read.
fn path(text: &str) -> Result<String, ZooKeeperAddressError> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let mut parts = text.split('/').skip(1);
    let is_part = |part: &str| {
        !matches!(part, "" | "." | "..") && part.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
    };
    if text.is_empty() {
        Ok(PATH.to_owned())
    } else if parts.all(is_part) {
        Ok(text.to_owned())
    } else {
        Err(ZooKeeperAddressError::Path { path: text.to_owned() })
    }
}

/// Why a text is no [`ZooKeeperAddress`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZooKeeperAddressError {
    /// A server's address.
    #[error(
        "{endpoint:?} is no address of a ZooKeeper server; write zk://HOST:PORT, several with commas between them, and \
         the path last: zk://192.0.2.1:2181,[2001:db8::1]:2181/nsid"
    )]
    Endpoint {
        /// The text.
        endpoint: String,
    },
    /// What pools are to be below.
    #[error(
        "{path:?} is no path in ZooKeeper; write it as in zk://HOST:PORT/dns/names, or leave it out for {PATH}"
    )]
    Path {
        /// The text.
        path: String,
    },
    /// Nothing before the `@`, or a server.
    #[error("the user stands before the first server; write zk://USER@HOST:PORT,HOST:PORT, or drop the '@'")]
    User,
    /// A password, for all to see in the list of processes. It is not repeated here.
    #[error(
        "a password does not belong in an address, where every user of this host can read it; write \
         zk://USER@HOST:PORT,HOST:PORT, and the password into a file (--password-file) or the environment as {PASSWORD_VARIABLE}"
    )]
    Password,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_hosts_with_a_port_or_the_usual_one_and_a_path_or_the_usual_one_follows() {
        for (text, endpoints, path) in [
            ("192.0.2.1", &["192.0.2.1:2181"][..], "/nsid"),
            ("192.0.2.1/", &["192.0.2.1:2181"], "/nsid"),
            ("a,b:1,[::1]/dns/names", &["a:2181", "b:1", "[::1]:2181"], "/dns/names"),
            ("a/x/", &["a:2181"], "/x"),
        ] {
            let address = ZooKeeperAddress::parse(text).expect(text);
            assert_eq!(
                (&address.endpoints[..], &*address.path, &address.user),
                (&endpoints.iter().map(ToString::to_string).collect::<Vec<_>>()[..], path, &None)
            );
        }
    }

    #[test]
    fn over_tls_the_usual_port_is_another_one() {
        let address = ZooKeeperAddress::parse_over_tls("a,b:1/x").unwrap();
        assert_eq!((address.endpoints, &*address.path), (vec!["a:2281".into(), "b:1".into()], "/x"));
    }

    #[test]
    fn a_user_stands_before_the_servers_and_a_password_nowhere() {
        let address = ZooKeeperAddress::parse("nsid@a:1,b:2/x").unwrap();
        assert_eq!((address.user.as_deref(), address.endpoints.len()), (Some("nsid"), 2));
        for text in ["nsid:secret@a:1", "nsid:sec/ret@a:1/x"] {
            let error = ZooKeeperAddress::parse(text).unwrap_err();
            assert_eq!(error, ZooKeeperAddressError::Password);
            assert!(!error.to_string().contains("sec"), "{error}");
        }
        for text in ["@a:1", "a,nsid@b", "a/nsid@b"] {
            assert_eq!(ZooKeeperAddress::parse(text), Err(ZooKeeperAddressError::User), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        for (text, endpoint) in [("", ""), ("a:1,", ""), ("a:0/x", "a:0"), ("/x", ""), ("a b", "a b")] {
            let endpoint = endpoint.to_owned();
            let error = Err(ZooKeeperAddressError::Endpoint { endpoint });
            assert_eq!(ZooKeeperAddress::parse(text), error, "{text}");
        }
        for path in ["/a//b", "/a/../b", "/./a", "/a b", "/x,b:1", "/ä"] {
            let error = Err(ZooKeeperAddressError::Path { path: path.to_owned() });
            assert_eq!(ZooKeeperAddress::parse(&format!("a{path}")), error, "{path}");
        }
    }
}
