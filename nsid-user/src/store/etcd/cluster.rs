//! Which etcd, and who we are to it.

use std::fmt;

/// The environment variable that has the user's password.
pub const PASSWORD_VARIABLE: &str = "NSID_ETCD_PASSWORD";

/// An etcd cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Where its members are, at least one, as `HOST:PORT`.
    pub endpoints: Vec<String>,
    /// Who we are, where it has access control.
    pub credentials: Option<Credentials>,
}

/// A user of an etcd with access control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The user's password.
    pub password: Password,
}

/// A password, which is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Of that text.
    pub fn new(password: String) -> Self {
        Self(password)
    }

    pub(in crate::store) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let credentials = Credentials { user: "nsid".into(), password: Password::new("secret".into()) };
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
