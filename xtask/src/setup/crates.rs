//! Programs built from crates.io, each in a directory of its own that all clones of a user share.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::root::find;
use crate::setup::beside::Job;
use crate::setup::debian::LLVM_PREFIX;
use crate::setup::plan::Plan;

/// A program of crates.io, pinned.
pub(crate) struct Crate {
    name: &'static str,
    version: &'static str,
    flags: &'static [&'static str],
    build_time: &'static str,
    links_llvm: bool,
}

/// Links the eBPF programs. Its LLVM must be at least as new as the compiler's (see [`super::ebpf`]).
pub(crate) const BPF_LINKER: Crate = Crate {
    name: "bpf-linker",
    version: "0.13.0",
    flags: &["--no-default-features", "--features=llvm-22"],
    build_time: "about 2 minutes",
    links_llvm: true,
};

/// Checks licences, sources and duplicates of the dependencies.
pub(crate) const CARGO_DENY: Crate = Crate {
    name: "cargo-deny",
    version: "0.20.2",
    flags: &[],
    build_time: "about 4 minutes",
    links_llvm: false,
};

/// A DNS server of the tests, as it is by default.
pub(crate) const HICKORY: Crate = Crate {
    name: "hickory-dns",
    version: "0.26.3",
    flags: &[],
    build_time: "about 2 minutes",
    links_llvm: false,
};

impl Crate {
    /// The program.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        Ok(self.directory()?.join("bin").join(self.name))
    }

    /// Plans what it takes until the program runs.
    pub(crate) fn plan(&self, plan: &mut Plan) -> Result<()> {
        if self.runs()? {
            return Ok(());
        }
        if self.links_llvm {
            plan_llvm(plan);
        }
        // `cargo install` moves the finished program into its place, and locks out another one that does the same.
        if !self.path()?.exists() {
            let mut install = Command::new("cargo");
            install.args(self.install_arguments()?).env_remove("CARGO_TARGET_DIR");
            if self.links_llvm {
                install.env("LLVM_PREFIX", llvm_prefix()).env("LLVM_SYS_221_PREFIX", llvm_prefix());
            }
            plan.step(format!("{} {}, built once, {}", self.name, self.version, self.build_time), install);
        }
        Ok(())
    }

    /// The same beside everything else.
    pub(crate) fn plan_beside(&self, plan: &mut Plan) -> Result<()> {
        if self.runs()? {
            return Ok(());
        }
        let directory = self.directory()?;
        let target = directory.join("target");
        let mut install = Command::new("nice");
        install.arg("cargo").args(self.install_arguments()?).env("CARGO_TARGET_DIR", &target);
        plan.beside(Job {
            what: format!("{} {}", self.name, self.version),
            takes: self.build_time,
            command: install,
            log: directory.join("build.log"),
            makes: self.path()?,
            then_remove: target,
        });
        Ok(())
    }

    fn runs(&self) -> Result<bool> {
        let version = Command::new(self.path()?).arg("--version").stderr(Stdio::null()).output();
        Ok(version.is_ok_and(|output| output.status.success()))
    }

    fn install_arguments(&self) -> Result<Vec<OsString>> {
        let install = ["install", self.name, "--version", self.version, "--locked"];
        let words = install.iter().chain(self.flags).chain(&["--root"]);
        Ok(words.map(OsString::from).chain([self.directory()?.into()]).collect())
    }

    fn directory(&self) -> Result<PathBuf> {
        Ok(cache()?.join(format!("{}-{}", self.name, self.version)))
    }
}

fn plan_llvm(plan: &mut Plan) {
    if !llvm_prefix().join("bin/llvm-config").exists() {
        plan.package("llvm-22-dev", "LLVM for bpf-linker, as new as the eBPF compiler's");
    }
    if find("c++").is_none() {
        plan.package("g++", "the C++ library that LLVM needs");
    }
}

fn llvm_prefix() -> PathBuf {
    env::var_os("LLVM_PREFIX").map_or_else(|| LLVM_PREFIX.into(), PathBuf::from)
}

/// The project's part of the user's cache (XDG Base Directory Specification).
pub(crate) fn cache() -> Result<PathBuf> {
    let user = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let user = user.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    Ok(user.context("HOME is not set: it tells where to keep what is built once")?.join("nsid"))
}
