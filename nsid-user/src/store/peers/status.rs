//! What a witness does, for `nsid status` and the log.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::clock::BootTime;

/// What the witness at one address does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessStatus {
    /// Its address.
    pub address: SocketAddr,
    /// Whether it grants names.
    pub grants: bool,
    /// Until when it grants none: one before it may have granted some that it does not know of.
    pub silent_until: Option<BootTime>,
    /// Without whose answers it grants none.
    pub waits_for: Vec<SocketAddr>,
    /// What keeps it from being one.
    pub trouble: Option<String>,
}

impl WitnessStatus {
    /// One that has not begun yet.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, grants: false, silent_until: None, waits_for: Vec::new(), trouble: None }
    }

    /// There is none, and why.
    pub fn none(address: SocketAddr, trouble: String) -> Self {
        Self { trouble: Some(trouble), ..Self::new(address) }
    }
}

/// `10.0.0.1:7400: grants nothing for 3.8s: one before it may have`.
impl fmt::Display for WitnessStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, grants, silent_until, waits_for, trouble } = self;
        write!(f, "{address}: ")?;
        if *grants {
            return f.write_str("grants names");
        }
        f.write_str("grants nothing")?;
        if let Some(trouble) = trouble {
            return write!(f, ": {trouble}");
        }
        if !waits_for.is_empty() {
            let missing: Vec<_> = waits_for.iter().map(ToString::to_string).collect();
            write!(f, " until {} answer", missing.join(" and "))?;
        }
        if let Some(until) = silent_until {
            let and = if waits_for.is_empty() { "" } else { ", and" };
            write!(f, "{and} for {:.1?}: one before it may have", until.left())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_witness_waits_for_is_told() {
        let [own, second, third] = [1, 2, 3].map(|host| SocketAddr::from(([10, 0, 0, host], 7400)));
        let new = WitnessStatus::new(own);
        // Long over: as text, that is told as no time at all.
        let past = Some(BootTime::from_nanos(1));
        for (status, text) in [
            (WitnessStatus { grants: true, ..new.clone() }, "10.0.0.1:7400: grants names"),
            (
                WitnessStatus { silent_until: past, ..new.clone() },
                "10.0.0.1:7400: grants nothing for 0.0ns: one before it may have",
            ),
            (
                WitnessStatus { waits_for: vec![second, third], ..new.clone() },
                "10.0.0.1:7400: grants nothing until 10.0.0.2:7400 and 10.0.0.3:7400 answer",
            ),
            (
                WitnessStatus { waits_for: vec![second], silent_until: past, ..new },
                "10.0.0.1:7400: grants nothing until 10.0.0.2:7400 answer, and for 0.0ns: one before it may have",
            ),
            (WitnessStatus::none(own, "in use".to_owned()), "10.0.0.1:7400: grants nothing: in use"),
        ] {
            assert_eq!(status.to_string(), text);
        }
    }
}
