//! Which ZooKeeper, and who we are to it.

use crate::store::{Credentials, Tls};

/// The environment variable that has the user's password.
pub const PASSWORD_VARIABLE: &str = "NSID_ZOOKEEPER_PASSWORD";

/// A ZooKeeper ensemble, and the place in its tree where the pools are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensemble {
    /// Where its servers are, at least one, as `HOST:PORT`.
    pub endpoints: Vec<String>,
    /// The path of the node that the pools are below.
    pub path: String,
    /// Who we are, where nodes have ACLs: by the scheme `digest`.
    pub credentials: Option<Credentials>,
    /// How its servers and this node prove who they are; none: by nothing, and everybody on the way can read and write.
    pub tls: Option<Tls>,
}
