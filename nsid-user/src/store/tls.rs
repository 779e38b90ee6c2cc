//! How a store and a claimant of it prove to each other who they are, over TLS.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Whom to believe to be the store, and what to prove by who this node is; neither is shown.
#[derive(Clone)]
pub struct Tls {
    pem: Arc<Pem>,
    config: Arc<ClientConfig>,
}

/// The texts of it.
#[derive(PartialEq, Eq)]
pub(super) struct Pem {
    /// The certificates of who vouches for the store.
    pub(super) authorities: Vec<u8>,
    /// The certificate of this node, and its key.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Texts that are no certificates, or no key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Of who vouches for the store.
    #[error(
        "there is no certificate in it; it takes those of the authority that signed the servers', in PEM"
    )]
    NoAuthority,
    /// Of this node.
    #[error("it is no certificate with its key, both in PEM ({reason})")]
    NoIdentity {
        /// What the TLS library says.
        reason: String,
    },
}

impl Tls {
    /// Believes those certificates, and has that certificate with its key, if any; all in PEM.
    pub fn new(authorities: &[u8], identity: Option<(&[u8], &[u8])>) -> Result<Self, TlsError> {
        let certificates = CertificateDer::pem_slice_iter(authorities).collect::<Result<Vec<_>, _>>();
        let mut roots = RootCertStore::empty();
        let (believed, _) = roots.add_parsable_certificates(certificates.unwrap_or_default());
        if believed == 0 {
            return Err(TlsError::NoAuthority);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 take")
            .with_root_certificates(roots);
        let config = match identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>();
                let key = PrivateKeyDer::from_pem_slice(key).map_err(no_identity)?;
                config.with_client_auth_cert(chain.map_err(no_identity)?, key).map_err(no_identity)?
            }
        };
        let identity = identity.map(|(certificate, key)| (certificate.to_vec(), key.to_vec()));
        let pem = Pem { authorities: authorities.to_vec(), identity };
        Ok(Self { pem: Arc::new(pem), config: Arc::new(config) })
    }

    /// As it was given.
    pub(super) fn pem(&self) -> &Pem {
        &self.pem
    }

    /// As the TLS library takes it.
    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

/// What a person can do about an error of a connection, where it is a matter of settings. `plain` is how the store is
/// written that is reached without TLS.
pub(super) fn with_advice(reason: String, plain: &str) -> String {
    let no_tls = format!("does it speak TLS? If not, write {plain}");
    let advice = if reason.contains("invalid peer certificate") {
        "is it signed by the authority of --ca, and for this address?"
    } else if reason.contains("received fatal alert") {
        "does it take the certificate of --cert?"
    } else if reason.contains("InvalidContentType") || reason.contains("tls handshake eof") {
        &no_tls
    } else {
        return reason;
    };
    format!("{reason}; {advice}")
}

fn no_identity(error: impl Error) -> TlsError {
    TlsError::NoIdentity { reason: error.to_string() }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
