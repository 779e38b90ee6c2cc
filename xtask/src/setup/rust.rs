//! What is asked of rustup.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::setup::plan::Plan;

/// A toolchain that rustup knows.
pub(crate) struct Toolchain {
    pub(crate) name: String,
    pub(crate) sysroot: PathBuf,
}

/// All of them.
pub(crate) fn toolchains() -> Result<Vec<Toolchain>> {
    let output = Command::new("rustup")
        .args(["toolchain", "list", "--verbose"])
        .stderr(Stdio::inherit())
        .output()
        .context("rustup does not start: install it from https://rustup.rs")?;
    ensure!(output.status.success(), "`rustup toolchain list` failed ({})", output.status);
    let list = String::from_utf8(output.stdout).context("rustup's list is no UTF-8")?;
    Ok(list.lines().filter_map(parse_toolchain).collect())
}

/// Plans the components of the compiler that runs xtask which `cargo xtask lint` calls.
pub(crate) fn plan_components(plan: &mut Plan) {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        let version = Command::new("cargo").args([subcommand, "--version"]).output();
        if !version.is_ok_and(|output| output.status.success()) {
            let mut add = Command::new("rustup");
            add.args(["component", "add", component]);
            plan.step(format!("{component} of the stable Rust"), add);
        }
    }
}

/// `NAME [(default)] PATH`.
fn parse_toolchain(line: &str) -> Option<Toolchain> {
    let name = line.split_whitespace().next()?.to_owned();
    let sysroot = line.get(line.find(" /")?..)?.trim_start().into();
    Some(Toolchain { name, sysroot })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_line_of_rustups_list_is_a_name_remarks_and_a_path() {
        for (line, name, sysroot) in [
            ("bpf-deb /usr", "bpf-deb", "/usr"),
            ("stable-x86_64 (active, default) /home/a b/stable", "stable-x86_64", "/home/a b/stable"),
        ] {
            let toolchain = parse_toolchain(line).expect(line);
            assert_eq!((toolchain.name.as_str(), toolchain.sysroot.as_path()), (name, Path::new(sysroot)));
        }
        assert!(parse_toolchain("no installed toolchains").is_none());
    }
}
