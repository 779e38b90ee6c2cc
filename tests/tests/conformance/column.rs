//! What was found of one server.

use std::collections::BTreeMap;

use nsid_tests::{
    link::TxChecksum,
    message::Query,
    servers::{PRESENT, Software},
};

use crate::{
    exceptions::{Expected, expected},
    rules,
    subject::{Found, Place, Subject},
};

/// A column of the table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) software: Software,
    pub(crate) version: String,
    /// By the keys of the rules: what each side of each place said.
    pub(crate) cells: BTreeMap<&'static str, Vec<(String, Result<Found, String>)>>,
}

impl Column {
    /// Asks everything.
    pub(crate) fn fill(software: Software) -> Self {
        let mut cells: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for place in [Place::Host] {
            let subject = Subject::start(software, place, None);
            for tx in [TxChecksum::Offloaded, TxChecksum::Computed] {
                subject.set_tx_checksum(tx);
                for side in subject.sides() {
                    for rule in rules::all() {
                        if matches!(expected(rule.key, software), Expected::NotApplicable(_)) {
                            continue;
                        }
                        let whose = format!("{place:?} {tx:?} {}", side.address);
                        let t = std::time::Instant::now();
                        let found = (rule.check)(&side);
                        eprintln!("{whose} {} {:?} {}", rule.key, t.elapsed(), format!("{found:?}").chars().take(400).collect::<String>());
                        cells.entry(rule.key).or_default().push((whose, found));
                    }
                }
            }
            let _ = (subject.checksum_errors(), subject.status(), Query::a(PRESENT));
        }
        Self { software, version: software.version(), cells }
    }

    pub(crate) fn write(&self) {}

    /// What is not as expected.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for rule in rules::all() {
            for (whose, found) in self.cells.get(rule.key).into_iter().flatten() {
                let Expected::Is(expected, _) = expected(rule.key, self.software) else { continue };
                match found {
                    Ok(found) if *found == expected => {}
                    Ok(found) => broken.push(format!("{} [{whose}] {found:?}, not {expected:?}", rule.key)),
                    Err(error) => broken.push(format!("{} [{whose}] {error}", rule.key)),
                }
            }
        }
        broken
    }
}
