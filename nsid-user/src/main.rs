//! `nsid`: the agent and its command line.

use std::{
    env,
    ffi::OsString,
    fmt,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use env_logger::{Target, WriteStyle};
use log::LevelFilter;
use nsid_user::{
    agent,
    cli::{Cli, NamesArgs, ProbeArgs, ReleaseArgs, SetArgs, StatusArgs, UpgradeArgs, Verb, WaitArgs, usage},
    clock,
    config::{ConfigError, InstanceName},
    detach,
    host::namespaces,
    lines, names,
    probe::probe,
    release::release,
    set,
    status::Status,
    switch,
    upgrade::{self, upgrade},
};
use serde::Serialize;

// `--all-features`, say, must not make a binary that is taken for the one that is shipped.
const _: () = assert!(
    !(cfg!(feature = "without-fence") && matches!(env!("CARGO_BIN_NAME").as_bytes(), b"nsid")),
    "the feature `without-fence` is for tests only; with it, build `--bin nsid-without-fence` alone"
);
const _: () = assert!(
    !(cfg!(feature = "without-transaction") && matches!(env!("CARGO_BIN_NAME").as_bytes(), b"nsid")),
    "the feature `without-transaction` is for tests only; with it, build `--bin nsid-without-transaction` alone"
);

/// The exit code for a command line or a configuration that makes no sense.
const USAGE: u8 = 2;

pub(crate) fn main() -> ExitCode {
    let args = env::args_os().collect::<Vec<OsString>>();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        // Asking for help is no error.
        Err(help) if !help.use_stderr() => {
            return help.print().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        Err(error) => return refuse(usage::explain(&error, &args)),
    };
    match carry_out(cli.verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(why)) => refuse(format_args!("error: {why}")),
        Err(Failure::NoName) => ExitCode::FAILURE,
        Err(Failure::Other(why)) => {
            lines::STDERR.say(format!("error: {}\n", told_once(&why)));
            lines::STDERR.finish();
            ExitCode::FAILURE
        }
    }
}

/// What went wrong, and so which exit code it gets.
enum Failure {
    Usage(ConfigError),
    /// The server that was asked says no name, as the report of it tells.
    NoName,
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(why: anyhow::Error) -> Self {
        Self::Other(why)
    }
}

/// The configuration is read first: its path is meant where we are now.
fn carry_out(verb: Verb) -> Result<(), Failure> {
    let (source, config) = match verb {
        Verb::Run(run) => {
            let check = run.check;
            let source = run.into_source();
            let config = source.load().map_err(Failure::Usage)?;
            if check {
                clock::is_the_kernels().map_err(anyhow::Error::from)?;
                let origin = namespaces::Origin::here().map_err(anyhow::Error::from)?;
                return Ok(on_host(|| show(&agent::check(config, source, origin)?, true))?);
            }
            (source, config)
        }
        Verb::On(of) => return Ok(on_host(|| switch::set(&of.instance, true))?),
        Verb::Off(of) => return Ok(on_host(|| switch::set(&of.instance, false))?),
        Verb::Detach(of) => return Ok(on_host(|| detach::detach(&of.instance))?),
        Verb::Set(SetArgs { of, changes, json }) => {
            clock::is_the_kernels().map_err(anyhow::Error::from)?;
            return Ok(on_host(|| show(&set::set(&of.instance, &changes)?, json))?);
        }
        Verb::Names(args) => return Ok(on_host(|| show_names(&args))?),
        Verb::Wait(WaitArgs { of, pool, expect, timeout, json }) => {
            let wait = || names::wait(&of.instance, pool.as_deref(), expect, timeout);
            return Ok(on_host(|| show(&wait()?, json))?);
        }
        Verb::Release(ReleaseArgs { of, name, json }) => {
            return Ok(on_host(|| show(&release(&of.instance, name.as_ref())?, json))?);
        }
        Verb::Probe(args) => return show_probe(&args),
        Verb::Upgrade(UpgradeArgs { binary, of, json }) => {
            let binary = upgrade::binary(binary).map_err(anyhow::Error::from)?;
            return Ok(on_host(|| show(&upgrade(&of.instance, &binary)?, json))?);
        }
        Verb::Status(StatusArgs { of, json }) => {
            clock::is_the_kernels().map_err(anyhow::Error::from)?;
            return Ok(on_host(|| show_status(&of.instance, json))?);
        }
    };
    clock::is_the_kernels().map_err(anyhow::Error::from)?;
    let origin = namespaces::Origin::here().map_err(anyhow::Error::from)?;
    Ok(on_host(|| {
        log_to_stderr(if config.verbose { LevelFilter::Debug } else { LevelFilter::Info });
        let ended = agent::run(config, source, origin);
        lines::STDOUT.finish();
        lines::STDERR.finish();
        ended
    })?)
}

/// Starts a thread with the first record: the mount namespace can be changed no more.
fn log_to_stderr(level: LevelFilter) {
    // As env_logger does by itself where it writes to a terminal (https://no-color.org).
    let plain = !io::stderr().is_terminal() || env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let style = if plain { WriteStyle::Never } else { WriteStyle::Always };
    env_logger::Builder::new()
        .filter_level(LevelFilter::Warn)
        .filter_module("nsid_user", level)
        .filter_module("packet", level)
        .format_target(false)
        .target(Target::Pipe(Box::new(lines::Log::default())))
        .write_style(style)
        .init();
}

/// Pins and files are in the host's mount namespace, wherever we were started.
fn on_host(verb: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    namespaces::enter_host_mount_namespace()?;
    verb()
}

fn show_status(instance: &InstanceName, json: bool) -> anyhow::Result<()> {
    show(&Status::of(instance)?, json)
}

fn show_names(NamesArgs { of, pool, watch, json }: &NamesArgs) -> anyhow::Result<()> {
    let (instance, pool) = (&of.instance, pool.as_deref());
    if *watch {
        return names::watch(instance, pool, |names| show(names, *json));
    }
    show(&names::names(instance, pool)?, *json)
}

fn show_probe(&ProbeArgs { server, timeout, json }: &ProbeArgs) -> Result<(), Failure> {
    let report = probe(server, timeout).map_err(anyhow::Error::from)?;
    show(&report, json)?;
    if report.has_a_name() { Ok(()) } else { Err(Failure::NoName) }
}

fn show(report: &(impl fmt::Display + Serialize), json: bool) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut stdout, report)?;
        writeln!(stdout)?;
    } else {
        write!(stdout, "{report}")?;
    }
    Ok(())
}

fn refuse(why: impl fmt::Display) -> ExitCode {
    // Nobody is left to be told where stderr is closed; the exit code still tells.
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::from(USAGE)
}

/// The error and its causes in one line. Many of ours tell their cause themselves: it is not told again.
fn told_once(why: &anyhow::Error) -> String {
    why.chain().map(ToString::to_string).fold(String::new(), |told, cause| {
        if told.is_empty() {
            cause
        } else if told.contains(&cause) {
            told
        } else {
            format!("{told}: {cause}")
        }
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_told_once_also_where_its_error_tells_it() {
        let cause = || anyhow!("no such file");
        assert_eq!(told_once(&cause()), "no such file");
        assert_eq!(told_once(&cause().context("cannot read x")), "cannot read x: no such file");
        let telling = cause().context("cannot read x: no such file; make it").context("cannot start");
        assert_eq!(told_once(&telling), "cannot start: cannot read x: no such file; make it");
    }
}
