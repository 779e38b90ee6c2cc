//! Debian's packages.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::root::{as_root, is_root};
use crate::setup::say;

/// Where Debian's LLVM packages of the version that bpf-linker is built with lie.
pub(crate) const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

/// Only what is named, and nothing removed for it: Debian's own `rustc` would go for `rustc-web`.
const INSTALL: [&str; 4] = ["install", "--yes", "--no-install-recommends", "--no-remove"];

/// Whether this is Debian itself: its derivatives have other versions of the packages (os-release(5)).
pub(crate) fn is_debian() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    release.lines().any(|line| line == "ID=debian")
}

/// The command of [`install`], as a person would type it.
pub(crate) fn install_line(packages: &[&str]) -> String {
    let sudo = if is_root().unwrap_or(false) { "" } else { "sudo " };
    format!("{sudo}apt-get {} {}", INSTALL.join(" "), packages.join(" "))
}

/// Installs packages, from lists that are up to date.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let apt = || as_root("apt-get", &[("DEBIAN_FRONTEND", "noninteractive".as_ref())]);
    say("reading Debian's package lists");
    let update = apt()?.args(["-qq", "update"]).status().context("apt-get does not start")?;
    if !update.success() {
        say("`apt-get update` failed: going on with the lists that are there");
    }
    say(format_args!("installing {}", packages.join(" ")));
    let install =
        apt()?.arg("-qq").args(INSTALL).args(packages).status().context("apt-get does not start")?;
    ensure!(
        install.success(),
        "`{}` failed ({install}); it says above why. Packages that a Debian other than 12 lacks: for rustc-web and \
         its like, `{}` does too; the others are for you to find",
        install_line(packages),
        super::ebpf::PINNED_NIGHTLY.join(" "),
    );
    Ok(())
}
