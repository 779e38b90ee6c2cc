//! The installations that are to be made, in the words in which they are announced.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::{self, Display, Formatter};
use std::io::{self, IsTerminal as _, Write as _};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::setup::beside::{Job, Running};
use crate::setup::{Consent, debian, say};

/// Debian packages first, then commands in order, and beside those, from when its own are done, what takes long.
#[derive(Default)]
pub(crate) struct Plan {
    packages: BTreeMap<&'static str, &'static str>,
    steps: Vec<Step>,
    beside: Vec<Job>,
}

struct Step {
    what: String,
    command: Command,
}

impl Plan {
    /// Adds a Debian package.
    pub(crate) fn package(&mut self, package: &'static str, what_for: &'static str) {
        self.packages.insert(package, what_for);
    }

    /// Adds a command to run once the packages are there.
    pub(crate) fn step(&mut self, what: impl Into<String>, command: Command) {
        self.steps.push(Step { what: what.into(), command });
    }

    /// Adds what is to be built beside everything else.
    pub(crate) fn beside(&mut self, job: Job) {
        self.beside.push(job);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.is_done_but_for_beside() && self.beside.is_empty()
    }

    /// Whether nothing is missing but what is built beside.
    pub(crate) fn is_done_but_for_beside(&self) -> bool {
        self.packages.is_empty() && self.steps.is_empty()
    }

    /// Says what is missing and what will be done; an answer other than yes is an error.
    pub(crate) fn announce_and_ask(&self, consent: Consent) -> Result<()> {
        say(format_args!("missing here, and needed:\n{self}"));
        if !self.packages.is_empty() && !debian::is_debian() {
            bail!(
                "this is not Debian: install what its packages {} hold with your system's package manager \
                 (LLVM_PREFIX tells where LLVM is, if not in {}), then start this again",
                self.package_names().join(", "),
                debian::LLVM_PREFIX,
            );
        }
        if consent == Consent::AskOnTerminal && io::stdin().is_terminal() {
            let mut answer = String::new();
            write!(io::stderr(), "xtask: install that now? [Y/n] ")?;
            io::stdin().read_line(&mut answer).context("no answer")?;
            let answer = answer.trim();
            ensure!(
                answer.is_empty() || answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes"),
                "nothing was installed: run the commands above yourself, or answer yes next time"
            );
        }
        Ok(())
    }

    /// Does it all, but for what it returns: that has only been started.
    pub(crate) fn carry_out(self) -> Result<Vec<Running>> {
        if !self.packages.is_empty() {
            debian::install(&self.package_names())?;
        }
        for Step { what, mut command } in self.steps {
            say(&what);
            let line = command_line(&command);
            let status = command.status().with_context(|| format!("`{line}` does not start"))?;
            ensure!(status.success(), "{what}: `{line}` failed ({status}); it says above why");
        }
        self.beside.into_iter().map(Job::start).collect()
    }

    fn package_names(&self) -> Vec<&'static str> {
        self.packages.keys().copied().collect()
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (package, what_for) in &self.packages {
            writeln!(f, "    {package:20} {what_for}")?;
        }
        if !self.packages.is_empty() && debian::is_debian() {
            writeln!(f, "  by: {}", debian::install_line(&self.package_names()))?;
        }
        for Step { what, command } in &self.steps {
            writeln!(f, "    {what}\n  by: {}", command_line(command))?;
        }
        for job in &self.beside {
            writeln!(f, "    {job}")?;
        }
        Ok(())
    }
}

/// A command as a person would type it.
pub(crate) fn command_line(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let assignments = set.map(|(name, value)| format!("{}={}", name.display(), quoted(value)));
    let words = [command.get_program()].into_iter().chain(command.get_args());
    assignments.chain(words.map(quoted)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.display();
    if word.to_string().contains(' ') { format!("'{word}'") } else { word.to_string() }
}
