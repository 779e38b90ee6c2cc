//! `docs/conformance.md`, and the JSON that it is the short form of.

use std::{env, fmt::Write as _, fs, path::PathBuf};

use nsid_tests::servers::Software;

use crate::{
    column::Column,
    exceptions::{Expected, expected},
    rules,
    subject::Found,
};

/// Set to `write`, the page is written and not compared.
const MODE: &str = "NSID_CONFORMANCE";

/// Writes a column below `target/`.
pub(crate) fn keep(column: &Column) {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("conformance");
    fs::create_dir_all(&directory).expect("target is ours");
    let file = directory.join(format!("{}.json", column.software.name()));
    let text = serde_json::to_string_pretty(&column.json()).expect("JSON");
    fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// Compares the page with all columns, or writes it.
pub(crate) fn compare(columns: &mut [Column]) {
    columns.sort_by_key(|column| column.software);
    let page = render(columns);
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    if env::var(MODE).is_ok_and(|mode| mode == "write") {
        fs::create_dir_all(file.parent().expect("below docs")).expect("the workspace is ours");
        return fs::write(&file, page).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == page,
        "docs/conformance.md is not what this run found: `cargo xtask conformance` writes it anew.\n{page}"
    );
}

fn render(columns: &[Column]) -> String {
    let mut page = String::from(
        "# Conformance

Written by `cargo xtask conformance`; `cargo xtask test` compares. Each server is Debian 12's package, unchanged, but for
CoreDNS (its Go module) and hickory-dns (its crate, default features). It runs in three pairs, with the agent and without, and
both of a pair are asked the same: with the agent on the server's own host, on the host of the container that the server is
in, and beside a server with an NSID of its own; over IPv4 and IPv6, with checksum offload and without. A router between server and client finishes what checksums are
unfinished, and the client's kernel checks them. An NSID of the server's own is replaced, or kept, on the server's own host.

| sign | |
| --- | --- |
| ✓ | kept: where the rule is about answers, they have the name, and every other byte as without the agent |
| = | the server's answer has no place for the name: it left as without the agent |
| ○ | the server does not answer with such an option: the name is there, and every other byte as without the agent |
| – | cannot be asked of this server |

Numbers lead to the reasons below. What is marked = or ○ is asked too, and more than that breaks the test.

",
    );
    let mut notes = Vec::new();
    write_head(&mut page, columns);
    for rule in rules::all() {
        write!(page, "| {} | {} |", rule.says, rule.source).expect("a String takes all");
        for Column { software, .. } in columns {
            write!(page, " {} |", cell(rule.key, *software, &mut notes)).expect("a String takes all");
        }
        page.push('\n');
    }
    page.push_str("\nWhy:\n\n");
    for (number, note) in (1..).zip(&notes) {
        writeln!(page, "{number}. {note}").expect("a String takes all");
    }
    page
}

fn write_head(page: &mut String, columns: &[Column]) {
    let mut line = |first: &str, cell: &dyn Fn(&Column) -> String| {
        let cells: Vec<String> = columns.iter().map(cell).collect();
        writeln!(page, "| {first} | {} |", cells.join(" | ")).expect("a String takes all");
    };
    line("rule | source", &|column| column.software.title().to_owned());
    line("--- | ---", &|_| "---".to_owned());
    line("version | ", &|column| column.branch());
    line("NSID by itself, as installed | ", &|column| column.own_nsid().to_owned());
    line("is told its own NSID by | ", &|column| column.software.nsid_setting().to_owned());
}

/// A sign, and the number of the reason, if there is one.
fn cell(rule: &str, software: Software, notes: &mut Vec<&'static str>) -> String {
    let (sign, why) = match expected(rule, software) {
        Expected::Is(Found::Kept, why) => ("✓", why),
        Expected::Is(Found::Unchanged, why) => ("=", why),
        Expected::Is(Found::Absent, why) => ("○", why),
        Expected::NotApplicable(why) => ("–", why),
    };
    if why.is_empty() {
        return sign.to_owned();
    }
    let known = notes.iter().position(|note| *note == why);
    let number = known.unwrap_or_else(|| {
        notes.push(why);
        notes.len() - 1
    });
    format!("{sign} {}", number + 1)
}
