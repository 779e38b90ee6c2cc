//! What is built beside something else, and waited for only where it is needed.

use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::setup::plan::command_line;
use crate::setup::say;

/// How often to look for its end, and how often to say that it is waited for.
const LOOK: Duration = Duration::from_millis(200);
const SPEAK: Duration = Duration::from_secs(20);

/// How much of the log a failure shows.
const LAST_LINES: usize = 20;

/// A command that makes one program.
pub(crate) struct Job {
    pub(crate) what: String,
    pub(crate) takes: &'static str,
    pub(crate) command: Command,
    /// Where its output goes; each line is a step of it.
    pub(crate) log: PathBuf,
    pub(crate) makes: PathBuf,
    /// What it needs no longer when it is done.
    pub(crate) then_remove: PathBuf,
}

/// A job that was started; killed on Drop. It is in the terminal's foreground, so that Ctrl-C ends it too.
#[must_use]
pub(crate) struct Running {
    job: Job,
    child: Child,
    since: Instant,
}

impl Job {
    pub(crate) fn start(mut self) -> Result<Running> {
        let directory = self.log.parent().context("a log lies in a directory")?;
        fs::create_dir_all(directory).with_context(|| format!("{}", directory.display()))?;
        let log = File::create(&self.log).with_context(|| format!("{}", self.log.display()))?;
        say(format_args!("building {} beside the rest (log: {})", self.what, self.log.display()));
        let command = self.command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn();
        let child = child.with_context(|| format!("`{}` does not start", command_line(&self.command)))?;
        Ok(Running { job: self, child, since: Instant::now() })
    }
}

impl Display for Job {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, built once, beside the rest, {}\n  by: {}",
            self.what,
            self.takes,
            command_line(&self.command)
        )
    }
}

impl Running {
    /// Waits for its end, and says so while it takes time.
    pub(crate) fn wait(mut self) -> Result<()> {
        let mut spoke = None::<Instant>;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if spoke.is_none_or(|spoke| spoke.elapsed() >= SPEAK) {
                let (steps, seconds) = (read(&self.job.log).lines().count(), self.since.elapsed().as_secs());
                say(format_args!("waiting for {}: {steps} steps in {seconds} s", self.job.what));
                spoke = Some(Instant::now());
            }
            thread::sleep(LOOK);
        };
        let Job { what, command, log, makes, then_remove, .. } = &self.job;
        if !status.success() {
            let command = command_line(command);
            bail!("{what}: `{command}` failed ({status}):\n{}\n(all of it: {})", tail(log), log.display());
        }
        ensure!(makes.exists(), "{what}: was built, and yet there is no {}", makes.display());
        fs::remove_dir_all(then_remove).with_context(|| format!("{} stays", then_remove.display()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn tail(log: &Path) -> String {
    let text = read(log);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

fn read(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}
