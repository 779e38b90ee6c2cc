//! What only root may do, called through sudo where a user started xtask: the build stays the user's.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, iter};

use anyhow::{Context as _, Result, bail};

/// Variables of the user's that also concern a program started through sudo, which passes none by itself.
const KEPT: [&str; 4] = ["RUST_LOG", "RUST_BACKTRACE", "NO_COLOR", "CI"];

/// Whether xtask runs as root: the owner of its /proc entry is its effective user (proc(5)).
pub(crate) fn is_root() -> Result<bool> {
    let process = fs::metadata("/proc/self").context("/proc is not mounted")?;
    Ok(process.uid() == 0)
}

/// The command that runs `program` as root with the given environment.
pub(crate) fn as_root(program: impl AsRef<OsStr>, environment: &[(&str, &OsStr)]) -> Result<Command> {
    if is_root()? {
        let mut command = Command::new(program);
        command.envs(environment.iter().copied());
        return Ok(command);
    }
    let mut command = Command::new(sudo()?);
    let kept = KEPT.into_iter().filter_map(|name| Some((name, env::var_os(name)?)));
    let given = environment.iter().map(|&(name, value)| (name, value.to_owned()));
    let mut assignments = kept.chain(given).peekable();
    if assignments.peek().is_some() {
        command.arg("env");
    }
    for (name, value) in assignments {
        let mut assignment = OsStr::new(name).to_owned();
        assignment.push("=");
        assignment.push(value);
        command.arg(assignment);
    }
    command.arg(program);
    Ok(command)
}

/// Where sudo is.
pub(crate) fn sudo() -> Result<PathBuf> {
    let Some(sudo) = find("sudo") else {
        bail!("this needs root and there is no sudo: install sudo, or start `cargo xtask` as root")
    };
    Ok(sudo)
}

/// Becomes `command`: what the terminal sends reaches it alone, and its exit code is ours.
pub(crate) fn become_command(mut command: Command) -> Result<()> {
    let error = command.exec();
    Err(error).with_context(|| format!("{} does not start", command.get_program().display()))
}

/// Where root would find `program`: users' PATH lacks the directories of the servers.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(|directory| Path::new(directory).to_owned());
    let mut directories = env::split_paths(&path).chain(system);
    iter::from_fn(|| directories.next()).map(|directory| directory.join(program)).find(|file| file.is_file())
}
