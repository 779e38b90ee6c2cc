//! The list of witnesses, the same on every node.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The witnesses of a cluster, in the order of their addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<SocketAddr>", into = "Vec<SocketAddr>")]
pub struct List(Arc<[SocketAddr]>);

/// Why a list is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Of an even number half is no majority, and the one more witness is only one more that can fail.
    #[error("{0} witnesses; give 1, 3 or 5")]
    Number(usize),
    /// One would have two voices.
    #[error("{0} is twice among the witnesses")]
    Twice(SocketAddr),
}

/// A change of the list that is refused, since both lists could give one name away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the witnesses were {old} and are {new} now; change fewer than half of them at a time")]
pub struct TooMany {
    /// What it was.
    pub old: List,
    /// What it is to be.
    pub new: List,
}

impl List {
    /// That of these witnesses, whose order is no matter.
    pub fn new(mut witnesses: Vec<SocketAddr>) -> Result<Self, ListError> {
        if !matches!(witnesses.len(), 1 | 3 | 5) {
            return Err(ListError::Number(witnesses.len()));
        }
        witnesses.sort_unstable();
        match witnesses.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(ListError::Twice(pair[0])),
            None => Ok(Self(witnesses.into())),
        }
    }

    /// The witnesses.
    pub fn witnesses(&self) -> &[SocketAddr] {
        &self.0
    }

    /// Which one has that address.
    pub fn place(&self, address: SocketAddr) -> Option<usize> {
        self.0.iter().position(|witness| *witness == address)
    }

    /// Whether witnesses of `old` may go on as those of this list: each majority of either has one in it that is of both.
    pub fn may_follow(&self, old: &Self) -> Result<(), TooMany> {
        let only_in = |list: &Self, other: &Self| {
            list.0.iter().filter(|witness| other.place(**witness).is_none()).count()
        };
        let minority = |list: &Self| (list.0.len() - 1) / 2;
        if only_in(old, self) > minority(old) || only_in(self, old) > minority(self) {
            return Err(TooMany { old: old.clone(), new: self.clone() });
        }
        Ok(())
    }
}

impl TryFrom<Vec<SocketAddr>> for List {
    type Error = ListError;

    fn try_from(witnesses: Vec<SocketAddr>) -> Result<Self, ListError> {
        Self::new(witnesses)
    }
}

impl From<List> for Vec<SocketAddr> {
    fn from(list: List) -> Self {
        list.0.to_vec()
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, witness) in self.0.iter().enumerate() {
            write!(f, "{}{witness}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(hosts: &[u8]) -> Result<List, ListError> {
        List::new(hosts.iter().map(|host| SocketAddr::from(([10, 0, 0, *host], 7400))).collect())
    }

    #[test]
    fn an_even_number_and_one_that_is_there_twice_are_refused() {
        for hosts in [&[][..], &[1, 2], &[1, 2, 3, 4], &[1, 2, 3, 4, 5, 6, 7]] {
            assert_eq!(list(hosts), Err(ListError::Number(hosts.len())));
        }
        let told = list(&[1, 2, 1]).unwrap_err().to_string();
        assert_eq!(told, "10.0.0.1:7400 is twice among the witnesses");
        assert_eq!(list(&[3, 1, 2]), list(&[1, 2, 3]));
    }

    #[test]
    fn a_minority_may_be_replaced_at_a_time() {
        for (old, new, may) in [
            (&[1, 2, 3][..], &[1, 2, 4][..], true),
            (&[1, 2, 3], &[1, 4, 5], false),
            (&[1, 2, 3, 4, 5], &[1, 2, 3, 6, 7], true),
            (&[1, 2, 3, 4, 5], &[1, 2, 3], true),
            (&[1, 2, 3], &[1, 2, 3, 4, 5], true),
            (&[1], &[2], false),
            (&[1], &[1, 2, 3], false),
        ] {
            let (old, new) = (list(old).unwrap(), list(new).unwrap());
            assert_eq!(new.may_follow(&old).is_ok(), may, "{old} to {new}");
        }
        let refused =
            list(&[4, 5, 6]).unwrap().may_follow(&list(&[1, 2, 3]).unwrap()).unwrap_err().to_string();
        for part in ["10.0.0.1:7400,10.0.0.2:7400,10.0.0.3:7400 and", "10.0.0.6:7400 now; change fewer"] {
            assert!(refused.contains(part), "{refused}");
        }
    }
}
