//! What is wrong with a command line, in at most three lines.

use std::{ffi::OsString, os::unix::ffi::OsStrExt};

use clap::{CommandFactory, error::ErrorKind};

use super::Cli;

/// What is wrong, what was probably meant, and where to read on: a line each.
///
/// clap tells the same, spread over up to nine lines with the usage and blanks in between.
pub fn explain(error: &clap::Error, args: &[OsString]) -> String {
    let rendered = error.render().to_string();
    let mut facts = rendered
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .map(str::to_owned);
    let what = facts.next().unwrap_or_default();
    let mut more = facts.collect::<Vec<_>>();
    if error.kind() == ErrorKind::InvalidUtf8 {
        // clap does not say which.
        more.extend(
            args.iter()
                .filter(|arg| arg.to_str().is_none())
                .map(|arg| arg.as_bytes().escape_ascii().to_string()),
        );
    }
    let read_on = format!("for help: {} --help", asked_for(args));
    [what, more.join("; "), read_on]
        .into_iter()
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The program and, if the first argument is one, the verb.
fn asked_for(args: &[OsString]) -> String {
    let nsid = Cli::command();
    match args.get(1).and_then(|verb| nsid.find_subcommand(verb)) {
        Some(verb) => format!("{} {}", nsid.get_name(), verb.get_name()),
        None => nsid.get_name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use clap::Parser;

    use super::*;

    fn explained(args: &[&[u8]]) -> String {
        let args = args.iter().map(|arg| OsString::from_vec(arg.to_vec())).collect::<Vec<_>>();
        explain(&Cli::try_parse_from(&args).unwrap_err(), &args)
    }

    #[test]
    fn a_misspelt_flag_gets_the_one_that_was_meant_and_the_help_of_its_verb() {
        assert_eq!(
            explained(&[b"nsid", b"run", b"--ifac", b"eth0"]),
            "error: unexpected argument '--ifac' found\n\
             tip: a similar argument exists: '--iface'\n\
             for help: nsid run --help"
        );
    }

    #[test]
    fn an_argument_that_is_not_utf8_is_shown() {
        assert_eq!(
            explained(&[b"nsid", b"run", b"--iface", b"\xff"]),
            "error: invalid UTF-8 was detected in one or more arguments\n\
             \\xff\n\
             for help: nsid run --help"
        );
    }

    #[test]
    fn whatever_the_values_hold_there_are_no_more_than_three_lines() {
        let text = explained(&[b"nsid", b"run", b"--answer", b"lo\ncal\n\nx\n"]);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains("--answer"), "{text}");
    }
}
