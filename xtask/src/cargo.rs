//! The cargo that runs xtask, called again.

use std::collections::HashMap;
use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// The root of the workspace.
pub(crate) fn workspace() -> Result<PathBuf> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").context("start xtask as `cargo xtask`")?;
    let root = Path::new(&manifest).parent().context("xtask lies in no workspace")?;
    Ok(root.to_owned())
}

/// Cargo, called in the root of the workspace, with nothing left out of what it builds.
pub(crate) fn cargo() -> Result<Command> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace()?).env_remove("AYA_BUILD_SKIP");
    Ok(cargo)
}

/// A binary of the workspace.
pub(crate) struct Binary {
    pub(crate) package: &'static str,
    pub(crate) name: &'static str,
}

/// Builds the release binaries, and tells where each one is.
pub(crate) fn build_release<const N: usize>(binaries: &[Binary; N]) -> Result<[PathBuf; N]> {
    let mut build = cargo()?;
    build.args(["build", "--release", "--message-format=json-render-diagnostics"]);
    for Binary { package, name } in binaries {
        build.args(["--package", package, "--bin", name]);
    }
    let mut executables = executables(build)?;
    let mut paths = [const { PathBuf::new() }; N];
    for (path, Binary { name, .. }) in paths.iter_mut().zip(binaries) {
        let Some(executable) = executables.remove(*name) else { bail!("cargo built no `{name}`") };
        *path = executable;
    }
    Ok(paths)
}

/// Builds a binary with a feature of its package, quickly: as tests are built, from what they are built from.
pub(crate) fn build_beside_tests(binary: &Binary, feature: &str) -> Result<PathBuf> {
    let Binary { package, name } = binary;
    let mut build = cargo()?;
    build.args(["build", "--message-format=json-render-diagnostics"]);
    build.args(["--package", package, "--bin", name, "--features", feature]);
    // As in tests, whatever the profile says: else every dependency is built once more.
    build.args(["--config", "profile.dev.panic='unwind'"]);
    executables(build)?.remove(*name).with_context(|| format!("cargo built no `{name}`"))
}

/// Builds test programs of the package nsid-tests, and tells where each one is; and where binaries are, all of which cargo
/// builds for a package's tests.
pub(crate) fn build_tests(names: &[&str], binaries: &[&str]) -> Result<Vec<(String, PathBuf)>> {
    let mut build = cargo()?;
    build.args(["test", "--no-run", "--package=nsid-tests", "--message-format=json-render-diagnostics"]);
    for name in names {
        build.args(["--test", name]);
    }
    let executables = executables(build)?;
    let wanted = |name: &str| names.contains(&name) || binaries.contains(&name);
    Ok(executables.into_iter().filter(|(name, _)| wanted(name)).collect())
}

/// Runs a cargo that builds, and tells where each executable is.
pub(crate) fn executables(mut build: Command) -> Result<HashMap<String, PathBuf>> {
    let mut child = build.stdout(Stdio::piped()).spawn().context("cargo does not start")?;
    let messages = BufReader::new(child.stdout.take().context("cargo has no output")?);
    let mut executables = HashMap::new();
    for message in messages.lines() {
        let message: Value = serde_json::from_str(&message?).context("cargo's message is no JSON")?;
        if let (Some(name), Some(path)) = (message["target"]["name"].as_str(), message["executable"].as_str())
        {
            executables.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    ensure!(child.wait()?.success(), "the build failed: cargo says above why");
    Ok(executables)
}
