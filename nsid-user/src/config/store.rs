//! Where a service's name comes from.

use std::str::FromStr;

use crate::name::{NameError, NodeName};

/// The store as it is given: `static:NAME` or `local`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// A name given by hand.
    Static(NodeName),
    /// A pool of names shared by the agents of this host.
    Local,
}

impl FromStr for Store {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        match text.split_once(':') {
            Some(("static", name)) => Ok(Self::Static(name.parse()?)),
            None if text == "local" => Ok(Self::Local),
            None if text == "static" => Err(StoreError::NoName),
            Some(_) | None => Err(StoreError::Unknown { store: text.to_owned() }),
        }
    }
}

/// Why a text is no [`Store`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// `static` alone.
    #[error("`static` needs a name; write static:NAME")]
    NoName,
    /// `static:` with something that is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// None of the stores.
    #[error("unknown store {store:?}; the stores are static:NAME and local")]
    Unknown {
        /// The text.
        store: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_static_with_a_name_or_local() {
        assert_eq!("static:ns1".parse(), Ok(Store::Static("ns1".parse().unwrap())));
        assert_eq!("local".parse(), Ok(Store::Local));
    }

    #[test]
    fn what_is_no_store_says_why() {
        assert_eq!("static".parse::<Store>(), Err(StoreError::NoName));
        assert_eq!("static:".parse::<Store>(), Err(StoreError::Name(NameError::Empty)));
        for store in ["", "Local", "local:", "etcd://192.0.2.1:2379", "ns1"] {
            assert_eq!(store.parse::<Store>(), Err(StoreError::Unknown { store: store.to_owned() }));
        }
    }
}
