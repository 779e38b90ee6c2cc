//! Which etcd, and who we are to it.

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::store::tls::Pem;
use crate::store::{Credentials, Tls};

/// The environment variable that has the user's password.
pub const PASSWORD_VARIABLE: &str = "NSID_ETCD_PASSWORD";

/// An etcd cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Where its members are, at least one, as `HOST:PORT`.
    pub endpoints: Vec<String>,
    /// What stands before all keys: a path, without a slash at its end.
    pub prefix: String,
    /// Who we are, where it has access control.
    pub credentials: Option<Credentials>,
    /// How its members and this node prove who they are; none: by nothing, and everybody on the way can read and write.
    pub tls: Option<Tls>,
}

impl Cluster {
    /// What stands before all keys, where nothing else is said.
    pub const PREFIX: &str = "/nsid";

    /// One without access control.
    pub fn new(endpoints: Vec<String>) -> Self {
        Self { endpoints, prefix: Self::PREFIX.to_owned(), credentials: None, tls: None }
    }

    /// The way to a member, to which nothing is sent yet.
    pub(super) fn endpoint(&self, member: usize) -> Result<Endpoint, tonic::transport::Error> {
        let member = &self.endpoints[member];
        let Some(tls) = &self.tls else { return Endpoint::from_shared(format!("http://{member}")) };
        let host = member.rsplit_once(':').map_or(&**member, |(host, _)| host);
        // As it stands in certificates.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let Pem { authorities, identity } = tls.pem();
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authorities));
        if let Some((certificate, key)) = identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        Endpoint::from_shared(format!("https://{member}"))?.tls_config(tls.domain_name(host))
    }
}
