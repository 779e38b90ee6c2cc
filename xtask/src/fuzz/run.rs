//! A target's program at work: where it starts from, what it says, and what it has found.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::root::as_root;
use crate::setup::say;

/// How often to look for its end, and how often to say where it is.
const LOOK: Duration = Duration::from_millis(200);
const SPEAK: Duration = Duration::from_secs(20);

/// Bytes of the longest input: a frame, and a little for the state that it meets.
const LONGEST: usize = 3003;

/// How much of the log a failure shows.
const LAST_LINES: usize = 40;

/// A target's program.
pub(super) struct Fuzzer {
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    pub(super) needs_root: bool,
    pub(super) below: PathBuf,
}

impl Fuzzer {
    /// Runs it on what it makes of its seeds and of what earlier runs kept; a failure is an error that says how to
    /// see it again.
    pub(super) fn run_for(&self, time: Duration) -> Result<()> {
        let Self { name, below, .. } = self;
        let [seeds, corpus, failures] =
            ["seeds", "corpus", "failures"].map(|kind| below.join(kind).join(name));
        for directory in [&corpus, &failures] {
            fs::create_dir_all(directory).with_context(|| format!("{}", directory.display()))?;
        }
        let log = below.join(format!("{name}.log"));
        let mut command = self.command()?;
        command.arg(corpus).arg(seeds);
        command.arg(format!("-max_total_time={}", time.as_secs().max(1)));
        command.arg(format!("-max_len={LONGEST}"));
        command.arg(format!("-artifact_prefix={}/", failures.display()));
        command.args(["-print_final_stats=1", "-timeout=10"]);
        let output = File::create(&log).with_context(|| format!("{}", log.display()))?;
        let child = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn();
        let mut child = child.with_context(|| format!("{} does not start", self.program.display()))?;
        say(format_args!("fuzzing {name} for {} s (log: {})", time.as_secs(), log.display()));
        let mut spoke = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if spoke.elapsed() >= SPEAK {
                say(format_args!("{name}: {}", progress(&read(&log))));
                spoke = Instant::now();
            }
            thread::sleep(LOOK);
        };
        let text = read(&log);
        if status.success() {
            say(format_args!("{name}: nothing found; {}", progress(&text)));
            return Ok(());
        }
        let lines: Vec<_> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        let again = artifact(&text)
            .map_or_else(String::new, |input| format!("\nto run it again: cargo xtask fuzz {name} {input}"));
        bail!("{name} failed ({status}):\n{tail}{again}")
    }

    /// Runs it on one input, once, and says what it says.
    pub(super) fn run_on(&self, input: &Path) -> Result<()> {
        let status = self.command()?.arg(input).status();
        let status = status.with_context(|| format!("{} does not start", self.program.display()))?;
        ensure!(status.success(), "{} fails on {}", self.name, input.display());
        Ok(())
    }

    fn command(&self) -> Result<std::process::Command> {
        if self.needs_root {
            as_root(&self.program, &[])
        } else {
            Ok(std::process::Command::new(&self.program))
        }
    }
}

/// Inputs, coverage and speed, from the last line of libFuzzer's that has them.
fn progress(log: &str) -> String {
    let line = log.lines().rev().find(|line| line.starts_with('#') && line.contains("exec/s:"));
    let Some(line) = line else { return "starting".to_owned() };
    let after = |word: &str| line.split_once(word).and_then(|(_, rest)| rest.split_whitespace().next());
    let inputs = line.trim_start_matches('#').split_whitespace().next().unwrap_or("?");
    format!(
        "{inputs} inputs, {} a second, {} places reached",
        after("exec/s:").unwrap_or("?"),
        after("cov:").unwrap_or("?")
    )
}

/// The file that libFuzzer wrote the input to on which it failed.
fn artifact(log: &str) -> Option<&str> {
    let (_, rest) = log.split_once("Test unit written to ")?;
    rest.lines().next()
}

fn read(log: &Path) -> String {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_from_the_last_line_that_has_it() {
        let log = "INFO: Seed: 1\n#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                   #524288\tpulse  cov: 345 ft: 1340 corp: 61/9Kb lim: 4096 exec/s: 174762 rss: 52Mb\nDone";
        assert_eq!(progress(log), "524288 inputs, 174762 a second, 345 places reached");
        assert_eq!(progress("INFO: Seed: 1"), "starting");
    }

    #[test]
    fn the_input_that_failed_is_found() {
        let log = "SUMMARY: libFuzzer: deadly signal\nMS: 1\nartifact_prefix='x/'; \
                   Test unit written to x/crash-0a1b\nBase64: ZQ==";
        assert_eq!(artifact(log), Some("x/crash-0a1b"));
        assert_eq!(artifact("Done 17 runs in 2 second(s)"), None);
    }
}
