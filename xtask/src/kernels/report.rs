//! What was found on a kernel: said as a line, and kept in docs/kernels.md.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write as _};
use std::fs;

use anyhow::{Context as _, Result};

use crate::cargo::workspace;
use crate::kernels::machine::Run;
use crate::setup::say;

const FILE: &str = "docs/kernels.md";

const INTRODUCTION: &str = "\
# Kernels

What `cargo xtask kernels` found, which writes this file: each kernel that Debian has, booted in a virtual machine. How many
instructions the verifier goes through is for the programs as they are shipped; in brackets with `--log-packets`. A
program above the limit of [tests/src/verifier.rs](../tests/src/verifier.rs) fails the run.

";

/// What came of one kernel.
pub(crate) struct Report {
    release: String,
    shown: String,
    verified: BTreeMap<String, Verified>,
    run: Run,
}

/// How many instructions the verifier went through for a program.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verified {
    /// As it is shipped.
    plain: Option<u32>,
    /// With `--log-packets`.
    logging: Option<u32>,
}

impl Report {
    pub(crate) fn new(release: String, shown: &[&str], run: Run) -> Self {
        Self { release, shown: shown.join(", "), verified: verified(&run.output), run }
    }

    /// The kernel, if a test failed there.
    pub(crate) fn failed(&self) -> Option<&str> {
        (!self.run.passed).then_some(&self.release)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.release)?;
        for (program, count) in &self.verified {
            write!(f, " {program} {count},")?;
        }
        if self.run.passed {
            write!(f, " {}", self.shown)
        } else {
            write!(f, " FAILED:\n{}", self.run.output)
        }
    }
}

impl Display for Verified {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = |count: Option<u32>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        write!(f, "{} ({})", text(self.plain), text(self.logging))
    }
}

/// The lines `verified PROGRAM COUNT` and `verified PROGRAM COUNT --log-packets` that the test `kernel` prints.
fn verified(output: &str) -> BTreeMap<String, Verified> {
    let mut programs: BTreeMap<String, Verified> = BTreeMap::new();
    for line in output.lines() {
        let Some((_, line)) = line.split_once("verified ") else { continue };
        let mut words = line.split_whitespace();
        let (Some(program), Some(Ok(count))) = (words.next(), words.next().map(str::parse)) else { continue };
        let of = programs.entry(program.to_owned()).or_default();
        match words.next() {
            None => of.plain = Some(count),
            Some(_log_packets) => of.logging = Some(count),
        }
    }
    programs
}

/// Writes docs/kernels.md.
pub(crate) fn write(reports: &[Report]) -> Result<()> {
    let file = workspace()?.join(FILE);
    fs::create_dir_all(file.parent().context("a file lies in a directory")?)?;
    fs::write(&file, document(reports)?).with_context(|| format!("{FILE} cannot be written"))?;
    say(format_args!("wrote {FILE}"));
    Ok(())
}

fn document(reports: &[Report]) -> Result<String> {
    let mut programs: Vec<_> = reports.iter().flat_map(|report| report.verified.keys()).collect();
    programs.sort();
    programs.dedup();
    let mut text = INTRODUCTION.to_owned();
    let names: Vec<_> = programs.iter().map(|name| format!("`{name}`")).collect();
    writeln!(
        text,
        "| kernel | {} | ran |\n| --- |{} --- |",
        names.join(" | "),
        " ---: |".repeat(names.len())
    )?;
    for Report { release, shown, verified, .. } in reports {
        let count = |program: &&String| verified.get(*program).map_or_else(String::new, Verified::to_string);
        let counts: Vec<_> = programs.iter().map(count).collect();
        writeln!(text, "| {release} | {} | {shown} |", counts.join(" | "))?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(output: &str) -> Report {
        let run = Run { passed: true, output: output.to_owned() };
        Report::new("6.1.0".to_owned(), &["loads", "packet tables"], run)
    }

    #[test]
    fn counts_are_read_wherever_they_stand_in_their_line() {
        let found = verified(
            "test a ... verified nsid_one 17 \nverified nsid_two 30\nverified nsid_one 18 --log-packets\nverified none\n",
        );
        let one = Verified { plain: Some(17), logging: Some(18) };
        let two = Verified { plain: Some(30), logging: None };
        assert_eq!(found, BTreeMap::from([("nsid_one".to_owned(), one), ("nsid_two".to_owned(), two)]));
    }

    #[test]
    fn a_program_that_one_kernel_lacks_leaves_its_column_empty_there() {
        let reports = [report("verified a 1"), report("verified b 2\nverified b 3 --log-packets")];
        let expected = "\
| kernel | `a` | `b` | ran |
| --- | ---: | ---: | --- |
| 6.1.0 | 1 (-) |  | loads, packet tables |
| 6.1.0 |  | 2 (3) | loads, packet tables |
";
        assert!(document(&reports).unwrap().ends_with(expected));
    }
}
