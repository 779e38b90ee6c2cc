//! `docs/outcomes.md` is what the outcomes' own documentation says.

use std::{env, fs, path::Path};

use nsid_common::outcome::Outcome;

/// Set, the table is written.
const WRITE: &str = "NSID_WRITE_DOCS";

fn table() -> String {
    let mut text = "\
# Outcomes

Why each frame left as it did: every one is counted once, under one of these names. `nsid status` has the counts.
This table is made of the documentation in [outcome.rs](../nsid-common/src/outcome.rs).

| outcome | what it means |
| --- | --- |
"
    .to_owned();
    for outcome in Outcome::ALL {
        // A bar would end the cell.
        let meaning = outcome.meaning().replace('|', "\\|");
        text.extend(["| `", outcome.name(), "` | ", &meaning, " |\n"]);
    }
    text
}

#[test]
fn the_table_of_outcomes_in_the_docs_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/outcomes.md");
    if env::var_os(WRITE).is_some() {
        fs::create_dir_all(path.parent().expect("a directory of docs")).expect("it can be made");
        fs::write(&path, table()).expect("it can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == table(),
        "docs/outcomes.md is not up to date: run `{WRITE}=1 cargo test -p nsid-common --test outcomes_table`"
    );
}
