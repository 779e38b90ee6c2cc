//! The name of a network interface.

use std::{fmt, str::FromStr};

/// Bytes that the name of an interface may have: `IFNAMSIZ` (include/uapi/linux/if.h) without the final zero.
const INTERFACE_NAME_MAX: usize = 15;

/// A name that the kernel allows an interface to have (`dev_valid_name`, net/core/dev.c); whether there is such
/// an interface is another matter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = InterfaceNameError;

    fn from_str(text: &str) -> Result<Self, InterfaceNameError> {
        let unfit = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':');
        if (1..=INTERFACE_NAME_MAX).contains(&text.len())
            && !matches!(text, "." | "..")
            && !text.contains(unfit)
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(InterfaceNameError { name: text.to_owned() })
        }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no [`InterfaceName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} cannot name an interface (1 to {INTERFACE_NAME_MAX} bytes without '/', ':' or spaces); give one of \
     those that `ip link` shows"
)]
pub struct InterfaceNameError {
    /// The text.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        for name in ["", ".", "..", "a/b", "eth0:1", "a b", "a\tb", "sixteen-bytes-xx"] {
            assert!(name.parse::<InterfaceName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn what_the_kernel_allows_is_taken() {
        for name in ["eth0", "veth@x", "eth0.100", "fifteen-bytes-x", "ü"] {
            assert!(name.parse::<InterfaceName>().is_ok(), "{name:?}");
        }
    }
}
