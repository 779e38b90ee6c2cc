//! `nsid`: the agent and its command line.

use std::{
    env,
    ffi::OsString,
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use nsid_user::cli::{Cli, Verb, usage};

/// The exit code for a command line or a configuration that makes no sense.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let args = env::args_os().collect::<Vec<OsString>>();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        // Asking for help is no error.
        Err(help) if !help.use_stderr() => {
            return help.print().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        Err(error) => return refuse(usage::explain(&error, &args)),
    };
    match cli.verb {
        Verb::Run(run) => match run.into_config() {
            Ok(_config) => ExitCode::SUCCESS,
            Err(error) => refuse(format_args!("error: {error}")),
        },
        Verb::On(_) | Verb::Off(_) | Verb::Status(_) | Verb::Detach(_) => ExitCode::SUCCESS,
    }
}

fn refuse(why: impl fmt::Display) -> ExitCode {
    // Nobody is left to be told where stderr is closed; the exit code still tells.
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::from(USAGE)
}
