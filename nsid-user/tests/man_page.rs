//! `docs/nsid.1` is what the command line's own help says, and what else there is to know of a program.

use std::{env, fs, path::Path};

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use nsid_user::{
    cli::Cli,
    store::{etcd, zookeeper},
};

/// In the environment, has the page written anew.
const WRITE: &str = "NSID_WRITE_MAN";

const SIGNALS: &[(&str, &str)] = &[
    ("TERM, INT", "The agent gives its names back, takes its programs off the interfaces, and exits with 0."),
    (
        "HUP",
        "The agent reads its file again, and the key of --nsid hmac:FILE. Its policies become what a start would make them, whatever nsid \
         set made of them; if anything in the file is wrong, or cannot change while it runs, nothing changes, and the \
         log says why.",
    ),
    (
        "KILL",
        "Programs and maps stay: the kernel says a pool's name until its claim has run out, and a static one for ever. \
         The next nsid run of the instance goes on with them; nsid detach removes them.",
    ),
];

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Done. Of nsid probe: the server says a name. Of nsid wait: so many names are held."),
    (
        "1",
        "It could not be done; stderr says why. Of nsid probe: the server says no name. Of nsid wait: fewer are held after \
         --timeout, or waiting does not help: there is no such instance, its agent is dead, or the pool has fewer names.",
    ),
    ("2", "The command line or the configuration makes no sense."),
];

const FILES: &[(&str, &str)] = &[
    (
        "/run/nsid/INSTANCE/",
        "State, lock, nonce and control socket of an instance; and session-N, the ZooKeeper session of its service N, by \
         which the next agent goes on with its name. Who can read that file can use the session; only root can.",
    ),
    ("/run/nsid/local/", "The pools of the store local."),
    (
        "/run/nsid/witnesses/",
        "That there was a witness of peers:// at an address of this host, and of which list: it stays when the agent ends, \
         and the next one there is silent for as long as what was granted may last. To delete one is safe a lease after its \
         agent ended (a --ttl, 2 % and 0.25 s), and not before.",
    ),
    ("/sys/fs/bpf/nsid/INSTANCE/", "The pins of its maps and links, by which they outlive the agent."),
];

fn environment() -> [(&'static str, &'static str); 3] {
    [
        (etcd::PASSWORD_VARIABLE, "The password of the user that etcd://USER@HOST:PORT names."),
        (zookeeper::PASSWORD_VARIABLE, "The password of the user that zk://USER@HOST:PORT names."),
        ("NO_COLOR", "If it is set, the log has no colours."),
    ]
}

fn page() -> String {
    let mut nsid = Cli::command();
    nsid.build();
    let man = Man::new(nsid.clone());
    let mut page = section(|page| {
        man.render_title(page)?;
        man.render_name_section(page)?;
        man.render_synopsis_section(page)?;
        man.render_description_section(page)
    });
    let verbs = || nsid.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help");
    let commands: Vec<_> = verbs()
        .map(|verb| (format!("nsid {}", verb.get_name()), verb.get_about().expect("it has help").to_string()))
        .collect();
    page.push_str(&list("COMMANDS", commands.iter().map(|(verb, about)| (&**verb, &**about))));
    verbs().for_each(|verb| page.push_str(&of_verb(verb)));
    for (title, items) in [
        ("SIGNALS", SIGNALS),
        ("EXIT STATUS", EXIT_STATUS),
        ("FILES", FILES),
        ("ENVIRONMENT", &environment()),
    ] {
        page.push_str(&list(title, items.iter().copied()));
    }
    page
}

fn list<'a>(title: &str, items: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = format!(".SH \"{title}\"\n");
    for (item, about) in items {
        text.extend([".TP\n\\fB", &escaped(item), "\\fR\n", &escaped(about), "\n"]);
    }
    text
}

/// A section for a verb, with subsections where a page of its own would have sections.
fn of_verb(verb: &Command) -> String {
    let man = Man::new(verb.clone());
    let sections = section(|page| {
        man.render_synopsis_section(page)?;
        man.render_description_section(page)?;
        man.render_options_section(page)
    });
    let mut text = format!(".SH \"NSID {}\"\n", verb.get_name().to_uppercase());
    // What the first section sets up for the others is set up already.
    let sections = sections.replace(".SH ", ".SS ");
    text.push_str(&sections);
    if let Some(examples) = verb.get_after_long_help() {
        text.push_str(".SS EXAMPLES\n.nf\n");
        for line in examples.to_string().lines() {
            text.extend([&escaped(line), "\n"]);
        }
        text.push_str(".fi\n");
    }
    text
}

fn section(render: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut page = Vec::new();
    render(&mut page).expect("a vector takes all");
    String::from_utf8(page).expect("help is text")
}

/// As roff takes a line for text alone.
fn escaped(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-");
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}

#[test]
fn the_man_page_is_what_the_command_line_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/nsid.1");
    if env::var_os(WRITE).is_some() {
        fs::write(&path, page()).expect("it can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page(),
        "docs/nsid.1 is not up to date: run `{WRITE}=1 cargo test -p nsid-user --test man_page`"
    );
}
