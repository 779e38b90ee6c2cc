//! Rules of the source text that no lint knows: the invariants of ARCHITECTURE that are about who knows what.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::cargo::{cargo, workspace};
use crate::setup::say;

/// A longer file holds more than one idea.
const MAX_LINES: usize = 500;

/// What a crate must not depend on, however indirectly: nsid-common is the same code in the kernel and in tests, and
/// nsid-peers is told the time, and given messages and random numbers.
const STRANGERS: [(&str, &[&str]); 2] =
    [("nsid-common", &["aya-ebpf", "tokio"]), ("nsid-peers", &["getrandom", "rand", "rustix", "tokio"])];

/// Words that a path may hold only in some places. The rest of this file is tested with them, so they are not
/// written out here.
const WORDS: [Rule; 4] = [
    Rule {
        word: concat!("un", "safe"),
        below: "nsid-common/",
        except: &["nsid-common/src/memory.rs"],
        why: "unsafe code of nsid-common is in memory.rs only, where its bounds are proved",
    },
    Rule {
        word: concat!("aya", "::"),
        below: "nsid-user/src/",
        except: &["nsid-user/src/datapath/"],
        why: "only the module datapath knows aya",
    },
    Rule { word: concat!("to", "do!"), below: "", except: &[], why: "what is not written yet is left out" },
    Rule {
        word: concat!("[", "allow("),
        below: "",
        except: &[],
        why: "#[expect(LINT, reason = \"...\")] says why, and ends when the lint does",
    },
];

/// A word that no Rust file below a directory may hold.
struct Rule {
    word: &'static str,
    below: &'static str,
    except: &'static [&'static str],
    why: &'static str,
}

/// Whether the sources keep the rules; says which do not.
pub(crate) fn tidy() -> Result<bool> {
    let root = workspace()?;
    let mut broken = Vec::new();
    for (package, strangers) in STRANGERS {
        broken.extend(strangers_of(package, strangers)?);
    }
    for file in files(&root)? {
        let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let path = file.strip_prefix(&root)?.display().to_string();
        broken.extend(rules_broken_by(&path, &text));
    }
    for rule in &broken {
        say(rule);
    }
    Ok(broken.is_empty())
}

fn rules_broken_by(path: &str, text: &str) -> Vec<String> {
    if path.ends_with("Cargo.toml") {
        let inherits = !text.contains("[package]") || text.contains("[lints]\nworkspace = true");
        return if inherits {
            vec![]
        } else {
            vec![format!("{path}: every crate inherits the workspace's lints")]
        };
    }
    let mut broken = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        broken.push(format!("{path}: {lines} lines, at most {MAX_LINES}: split it by idea"));
    }
    for Rule { word, below, except, why } in WORDS {
        if !path.starts_with(below) || except.iter().any(|allowed| path.starts_with(allowed)) {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            let code = line.split_once("//").map_or(line, |(code, _comment)| code);
            if holds_word(code, word) {
                broken.push(format!("{path}:{}: `{word}`: {why}", index + 1));
            }
        }
    }
    broken
}

/// Whether `word` stands in `code` and is not the end or the start of a longer identifier.
fn holds_word(code: &str, word: &str) -> bool {
    let identifier = |character: char| character.is_alphanumeric() || character == '_';
    let ends_open = word.ends_with(identifier);
    code.match_indices(word).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = code[start + word.len()..].chars().next();
        let part_of_a_name = before.is_some_and(identifier) || (ends_open && after.is_some_and(identifier));
        !part_of_a_name
    })
}

fn strangers_of(package: &str, strangers: &[&str]) -> Result<Vec<String>> {
    let tree = cargo()?
        .args(["tree", "--package", package, "--edges=normal,build", "--prefix=none", "--format={p}"])
        .output()
        .context("cargo does not start")?;
    ensure!(tree.status.success(), "`cargo tree` failed: {}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).context("cargo's tree is no UTF-8")?;
    let packages: Vec<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let found = strangers.iter().filter(|stranger| packages.contains(stranger));
    Ok(found.map(|stranger| format!("{package}/Cargo.toml: depends on {stranger}")).collect())
}

/// The manifests and Rust files below `directory`, but not of what cargo, git or an editor keeps there.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("{} cannot be read", directory.display()))? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type()?.is_dir() {
            if name != "target" && !name.as_encoded_bytes().starts_with(b".") {
                found.extend(files(&path)?);
            }
        } else if name == "Cargo.toml" || path.extension() == Some(OsStr::new("rs")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_broken(path: &str, text: &str, broken: usize) {
        let found = rules_broken_by(path, text);
        assert_eq!(found.len(), broken, "{path}: {text}: {found:?}");
    }

    #[test]
    fn a_word_is_refused_below_its_directory_and_outside_its_home() {
        let [unsafety, aya, unwritten, allow] = WORDS.map(|rule| rule.word);
        let block = format!("let x = {unsafety} {{ y }};");
        assert_broken("nsid-common/src/parse.rs", &block, 1);
        assert_broken("nsid-common/src/memory.rs", &block, 0);
        assert_broken("nsid-user/src/agent.rs", &block, 0);
        let import = format!("use {aya}Ebpf;");
        assert_broken("nsid-user/src/agent.rs", &import, 1);
        assert_broken("nsid-user/src/datapath/load.rs", &import, 0);
        assert_broken("tests/src/lib.rs", &format!("{unwritten}()"), 1);
        assert_broken("tests/src/lib.rs", &format!("#{allow}dead_code)]\n#!{allow}dead_code)]"), 2);
    }

    #[test]
    fn a_word_in_a_comment_or_in_a_longer_name_is_another_word() {
        let [unsafety, aya, ..] = WORDS.map(|rule| rule.word);
        assert_broken("nsid-common/src/lib.rs", &format!("#![deny({unsafety}_code)] // no {unsafety}"), 0);
        assert_broken("nsid-user/src/lib.rs", &format!("use himal{aya}Peak;"), 0);
    }

    #[test]
    fn a_long_file_is_refused() {
        assert_broken("tests/src/lib.rs", &"\n".repeat(MAX_LINES), 0);
        assert_broken("tests/src/lib.rs", &"\n".repeat(MAX_LINES + 1), 1);
    }

    #[test]
    fn a_crate_without_the_workspaces_lints_is_refused() {
        assert_broken("nsid-ebpf/Cargo.toml", "[package]\n\n[lints]\nworkspace = true\n", 0);
        assert_broken("nsid-ebpf/Cargo.toml", "[package]\n", 1);
        assert_broken("Cargo.toml", "[workspace]\n", 0);
    }
}
