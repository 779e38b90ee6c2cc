//! What was found of one server.

use std::collections::BTreeMap;

use nsid_tests::{
    link::TxChecksum,
    message::Query,
    servers::{PRESENT, Software},
};
use serde_json::{Value, json};

use crate::{
    exceptions::{Expected, expected},
    rules::{self, Rule},
    subject::{Found, OWN, Place, Subject},
};

/// Where each server is asked.
const PLACES: [Place; 2] = [Place::Host, Place::ContainersHost];

/// A column of the table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) software: Software,
    version: String,
    /// The NSID that it says by default.
    nsid: Option<String>,
    /// By the keys of the rules.
    cells: BTreeMap<&'static str, Vec<Cell>>,
    checksum_errors: u64,
}

/// What one of a server's sides was found to do.
#[derive(Debug)]
struct Cell {
    place: Place,
    tx: TxChecksum,
    address: String,
    found: Result<Found, String>,
}

impl Column {
    /// Asks everything.
    pub(crate) fn fill(software: Software) -> Self {
        let version = software.version();
        let mut column = Self { software, version, nsid: None, cells: BTreeMap::new(), checksum_errors: 0 };
        for place in PLACES {
            let subject = Subject::start(software, place, None);
            column.nsid = subject.own_nsid(&Query::a(PRESENT).with_nsid());
            column.ask(&subject, place, TxChecksum::Offloaded, rules::signed());
            column.ask_with_both(&subject, place, rules::by_default);
        }
        let subject = Subject::start(software, Place::Host, Some(OWN));
        column.ask_with_both(&subject, Place::Host, rules::with_own);
        column
    }

    fn ask_with_both<R: Iterator<Item = &'static Rule>>(
        &mut self,
        subject: &Subject,
        place: Place,
        rules: fn() -> R,
    ) {
        for tx in [TxChecksum::Offloaded, TxChecksum::Computed] {
            subject.set_tx_checksum(tx);
            self.ask(subject, place, tx, rules());
        }
        self.checksum_errors += subject.checksum_errors();
    }

    fn ask(
        &mut self,
        subject: &Subject,
        place: Place,
        tx: TxChecksum,
        rules: impl Iterator<Item = &'static Rule>,
    ) {
        let sides = subject.sides();
        for rule in rules.filter(|rule| matches!(expected(rule.key, self.software), Expected::Is(..))) {
            for side in &sides {
                let (address, found) = (side.address.to_string(), (rule.check)(side));
                self.cells.entry(rule.key).or_default().push(Cell { place, tx, address, found });
            }
        }
    }

    /// What is not as expected.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (key, cell) in
            self.cells.iter().flat_map(|(key, cells)| cells.iter().map(move |cell| (key, cell)))
        {
            let Cell { place, tx, address, found } = cell;
            let Expected::Is(expected, _) = expected(key, self.software) else { continue };
            let found = match found {
                Ok(found) if *found == expected => continue,
                Ok(found) => format!("{found:?}, not {expected:?}"),
                Err(error) => error.clone(),
            };
            broken.push(format!("{key} ({place:?}, checksums {tx:?}, {address}): {found}"));
        }
        if self.checksum_errors > 0 {
            broken.push(format!("{} answers had a bad checksum", self.checksum_errors));
        }
        broken
    }

    /// `major.minor`, which is what a stable Debian keeps.
    pub(crate) fn branch(&self) -> String {
        self.version.split('.').take(2).collect::<Vec<_>>().join(".")
    }

    /// What it says to who asks for NSID, without us.
    pub(crate) fn own_nsid(&self) -> &'static str {
        match self.nsid.as_deref() {
            None => "nothing",
            Some("") => "an empty option",
            Some(_) => "the host's name",
        }
    }

    /// All of it.
    pub(crate) fn json(&self) -> Value {
        let cells = self.cells.iter().map(|(key, cells)| {
            let sides: Vec<Value> = cells
                .iter()
                .map(|Cell { place, tx, address, found }| {
                    let found = found.as_ref().map_or_else(Clone::clone, |found| format!("{found:?}"));
                    json!({"place": format!("{place:?}"), "tx": format!("{tx:?}"), "address": address, "found": found})
                })
                .collect();
            ((*key).to_owned(), Value::from(sides))
        });
        json!({
            "server": self.software.name(),
            "version": self.version,
            "own_nsid": self.nsid,
            "rules": cells.collect::<serde_json::Map<_, _>>(),
        })
    }
}
