//! Tables of what the client sees: a line for each question, a column for each node. Plain text, with colour on a
//! terminal.

use std::{
    env,
    io::{IsTerminal as _, stdout},
};

const LABEL: usize = 32;
const COLUMN: usize = 18;

/// What is shown in one place, and whether it is as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) shown: String,
    pub(crate) holds: bool,
}

/// A table, printed line by line, and whether all that it has shown holds.
#[derive(Debug)]
pub(crate) struct Table {
    colour: bool,
    holds: bool,
}

impl Table {
    /// Prints the line of headings.
    pub(crate) fn new(headings: &[String]) -> Self {
        // https://no-color.org
        let colour = stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        Self::headings(headings);
        Self { colour, holds: true }
    }

    /// Prints a line of headings: what follows has other columns.
    pub(crate) fn headings(headings: &[String]) {
        let line: Vec<String> = headings.iter().map(|heading| format!("{heading:COLUMN$} ")).collect();
        println!("{:LABEL$}{}", "", line.concat().trim_end());
    }

    /// Prints a line.
    pub(crate) fn line(&mut self, label: &str, facts: &[Fact]) {
        let line: String = facts.iter().map(|fact| self.cell(fact)).collect();
        println!("{label:LABEL$}{}", line.trim_end());
        self.holds &= facts.iter().all(|fact| fact.holds);
    }

    /// Whether all that was shown is as it must be.
    pub(crate) fn holds(&self) -> bool {
        self.holds
    }

    fn cell(&self, fact: &Fact) -> String {
        let shown = if fact.holds { fact.shown.clone() } else { format!("WRONG: {}", fact.shown) };
        let padded = format!("{shown:COLUMN$} ");
        match (self.colour, fact.holds) {
            (false, _) => padded,
            (true, true) => format!("\x1b[32m{padded}\x1b[0m"),
            (true, false) => format!("\x1b[31m{padded}\x1b[0m"),
        }
    }
}
