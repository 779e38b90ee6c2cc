//! Certificates, made by OpenSSL.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::process::run;

/// An authority. Its certificate, and those that it has signed, go on Drop.
#[derive(Debug)]
pub struct Authority(TempDir);

/// A certificate and its key, each in a file in PEM.
#[derive(Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

impl Authority {
    /// A new one, whom nobody believes yet.
    #[expect(clippy::new_without_default, reason = "there is no usual authority")]
    pub fn new() -> Self {
        let authority = Self(tempfile::tempdir().expect("room for certificates"));
        authority.openssl(&format!("req -x509 {KEY} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"));
        authority
    }

    /// Its own certificate, in a file in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// A certificate of that address, as server and as client.
    pub fn certify(&self, address: IpAddr) -> Identity {
        let file = |ending: &str| format!("{address}.{ending}");
        let (key, request, certificate) = (file("key"), file("csr"), file("pem"));
        let extensions = format!("subjectAltName=IP:{address}\nextendedKeyUsage=serverAuth,clientAuth\n");
        fs::write(self.path("extensions"), extensions).expect("room for it");
        self.openssl(&format!("req -new {KEY} -keyout {key} -out {request} -subj /CN=node"));
        self.openssl(&format!(
            "x509 -req -in {request} -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out \
             {certificate}"
        ));
        Identity { certificate: self.path(&certificate), key: self.path(&key) }
    }

    fn openssl(&self, arguments: &str) {
        run(Command::new("openssl").current_dir(self.0.path()).args(arguments.split(' ')));
    }

    fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(file)
    }
}
