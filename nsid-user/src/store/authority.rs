//! Certificates for tests, made by OpenSSL.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::Tls;

/// An authority, and the one certificate that it signed: of 127.0.0.1, as server and as client.
pub(crate) struct Authority(TempDir);

impl Authority {
    pub(crate) fn new() -> Self {
        const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        let directory = tempfile::tempdir().unwrap();
        let openssl = |arguments: &str| openssl(directory.path(), arguments);
        openssl(&format!("req -x509 {KEY} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"));
        openssl(&format!("req -new {KEY} -keyout member.key -out member.csr -subj /CN=member"));
        let extensions = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n";
        fs::write(directory.path().join("extensions"), extensions).unwrap();
        openssl(
            "x509 -req -in member.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions \
             -out member.pem",
        );
        Self(directory)
    }

    /// Its own certificate, and that of a member with its key.
    pub(crate) fn files(&self) -> [String; 3] {
        ["ca.pem", "member.pem", "member.key"].map(|file| self.0.path().join(file).display().to_string())
    }

    /// Of who believes this authority, and has a certificate of `identity`'s.
    pub(crate) fn tls(&self, identity: Option<&Self>) -> Tls {
        let read = |file: &str| fs::read(file).unwrap();
        let [ca, ..] = self.files();
        let identity = identity.map(Self::files);
        let identity = identity.map(|[_, cert, key]| (read(&cert), read(&key)));
        Tls::new(&read(&ca), identity.as_ref().map(|(cert, key)| (&**cert, &**key))).unwrap()
    }
}

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").current_dir(directory).args(arguments.split(' ')).output();
    let output = output.expect("openssl can be started: `cargo xtask setup` installs it");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
