//! The compiler of the eBPF programs.
//!
//! It takes core's source (the target comes without a built one), so a nightly or `RUSTC_BOOTSTRAP=1`, and an LLVM
//! no newer than the linker's. Looked for in this order: an installed nightly that will do; Debian's `rustc-web`; a
//! nightly of the day before rustc went on to the next LLVM.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cargo::workspace;
use crate::setup::crates::BPF_LINKER;
use crate::setup::plan::Plan;
use crate::setup::{debian, numbers, rust};

/// Where the build script of nsid-user reads which compiler and linker there are.
const RECORD: &str = ".ebpf-compiler";

/// rustup's name for Debian's compiler.
const DEBIAN_TOOLCHAIN: &str = "bpf-deb";
const DEBIAN_SYSROOT: &str = "/usr";

/// The newest LLVM that [`BPF_LINKER`] reads the output of.
const NEWEST_LLVM: u32 = 22;

/// Installs a compiler that will do, where neither rustup nor Debian has one.
pub(crate) const PINNED_NIGHTLY: [&str; 9] = [
    "rustup",
    "toolchain",
    "install",
    "nightly-2026-05-20",
    "--profile",
    "minimal",
    "-c",
    "rust-src",
    "--no-self-update",
];

/// An installed compiler that will do.
pub(crate) struct Compiler {
    toolchain: String,
    sysroot: PathBuf,
}

impl Compiler {
    /// Looks for one.
    pub(crate) fn find() -> Result<Option<Self>> {
        let (nightlies, others): (Vec<_>, Vec<_>) =
            rust::toolchains()?.into_iter().partition(|toolchain| toolchain.name.starts_with("nightly"));
        let debian = others.into_iter().filter(|toolchain| toolchain.name == DEBIAN_TOOLCHAIN);
        let mut usable = nightlies.into_iter().chain(debian).filter(|toolchain| will_do(&toolchain.sysroot));
        Ok(usable.next().map(|rust::Toolchain { name, sysroot }| Self { toolchain: name, sysroot }))
    }

    /// Tells the build script of nsid-user.
    pub(crate) fn record(&self) -> Result<()> {
        let linker = BPF_LINKER.path()?;
        let directory = linker.parent().context("bpf-linker lies in no directory")?;
        let record = format!("{}\n{}\n", self.toolchain, directory.display());
        let path = workspace()?.join(RECORD);
        // Its time of change makes the build script run again.
        if fs::read_to_string(&path).is_ok_and(|recorded| recorded == record) {
            return Ok(());
        }
        fs::write(&path, record).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Its cargo, as nsid-user's build script calls it.
    pub(crate) fn cargo(&self) -> Result<Command> {
        let mut cargo = Command::new("rustup");
        cargo.args(["run", &self.toolchain, "cargo"]).env("RUSTC_BOOTSTRAP", "1").current_dir(workspace()?);
        Ok(cargo)
    }

    fn is_debians(&self) -> bool {
        self.toolchain == DEBIAN_TOOLCHAIN
    }
}

/// Plans a compiler, if none was found.
pub(crate) fn plan_compiler(found: Option<&Compiler>, plan: &mut Plan) -> Result<()> {
    if found.is_some() {
        return Ok(());
    }
    if !debian::is_debian() {
        let [rustup, arguments @ ..] = PINNED_NIGHTLY;
        let mut install = Command::new(rustup);
        install.args(arguments);
        plan.step("a nightly compiler for the eBPF programs", install);
        return Ok(());
    }
    if !will_do(Path::new(DEBIAN_SYSROOT)) {
        for package in ["rustc-web", "cargo-web", "rust-web-src"] {
            plan.package(package, "the compiler of the eBPF programs");
        }
    }
    if !rust::toolchains()?.iter().any(|toolchain| toolchain.name == DEBIAN_TOOLCHAIN) {
        let mut link = Command::new("rustup");
        link.args(["toolchain", "link", DEBIAN_TOOLCHAIN, DEBIAN_SYSROOT]);
        plan.step(format!("Debian's compiler, named {DEBIAN_TOOLCHAIN} for rustup"), link);
    }
    Ok(())
}

/// Plans the compiler's clippy; before there is a compiler, that of the compiler to come.
pub(crate) fn plan_clippy(found: Option<&Compiler>, plan: &mut Plan) {
    if found.is_some_and(|compiler| compiler.sysroot.join("bin/clippy-driver").exists()) {
        return;
    }
    let debians = found.map_or_else(debian::is_debian, Compiler::is_debians);
    if debians {
        plan.package("rust-web-clippy", "lints of the eBPF programs");
        return;
    }
    let [_, _, _, nightly, ..] = PINNED_NIGHTLY;
    let toolchain = found.map_or(nightly, |compiler| compiler.toolchain.as_str());
    let mut add = Command::new("rustup");
    add.args(["component", "add", "clippy", "--toolchain", toolchain]);
    plan.step("clippy for the eBPF programs", add);
}

fn will_do(sysroot: &Path) -> bool {
    let core = sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml");
    let rustc = sysroot.join("bin/rustc");
    if !core.exists() || !sysroot.join("bin/cargo").exists() {
        return false;
    }
    let Ok(version) = Command::new(rustc).arg("-vV").output() else { return false };
    version_will_do(&String::from_utf8_lossy(&version.stdout))
}

/// Whether a compiler that calls itself this knows our edition and has an LLVM no newer than the linker's.
fn version_will_do(version: &str) -> bool {
    let field = |name: &str| version.lines().find_map(|line| numbers(line.strip_prefix(name)?.trim()));
    let (Some(release), Some((llvm, _))) = (field("release:"), field("LLVM version:")) else { return false };
    numbers(env!("CARGO_PKG_RUST_VERSION")).is_some_and(|oldest| release >= oldest) && llvm <= NEWEST_LLVM
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compilers_llvm_is_no_newer_than_the_linkers() {
        for (version, usable) in [
            ("rustc 1.96.0\nrelease: 1.96.0\nLLVM version: 22.1.8\n", true),
            ("rustc 1.97.0-nightly\nrelease: 1.97.0-nightly\nLLVM version: 22.1.4\n", true),
            ("rustc 1.99.0-nightly\nrelease: 1.99.0-nightly\nLLVM version: 23.1.0\n", false),
            ("rustc 1.85.0\nrelease: 1.85.0\nLLVM version: 19.1.7\n", false),
            ("", false),
        ] {
            assert_eq!(version_will_do(version), usable, "{version}");
        }
    }
}
