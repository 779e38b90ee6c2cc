//! Certificates, made by OpenSSL.

use std::{fs, net::IpAddr, path::PathBuf};

use tempfile::TempDir;

use crate::{netns::Namespace, process::run};

/// An authority, and the one certificate that it signed: of an address, as server and as client.
#[derive(Debug)]
pub struct Authority(TempDir);

impl Authority {
    /// A new one.
    pub fn new(namespace: &Namespace, address: IpAddr) -> Self {
        const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        let directory = namespace.scratch();
        let extensions = format!("subjectAltName=IP:{address}\nextendedKeyUsage=serverAuth,clientAuth\n");
        fs::write(directory.path().join("extensions"), extensions).expect("room for a few lines");
        for arguments in [
            format!("req -x509 {KEY} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"),
            format!("req -new {KEY} -keyout own.key -out own.csr -subj /CN=own"),
            "x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out own.pem"
                .to_owned(),
        ] {
            let mut openssl = namespace.command("openssl");
            run(openssl.current_dir(directory.path()).args(arguments.split(' ')));
        }
        Self(directory)
    }

    /// Its own certificate.
    pub fn ca(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// The certificate that it signed.
    pub fn cert(&self) -> PathBuf {
        self.0.path().join("own.pem")
    }

    /// The key of that one.
    pub fn key(&self) -> PathBuf {
        self.0.path().join("own.key")
    }
}
