//! `CoreDNS`, which Debian does not have: its Go module, pinned, built once and kept in the project's cache.
//!
//! It takes minutes, and only the tests' end needs it, so it is built beside what cargo builds. Go's caches are in a
//! directory of their own, removed when it is done.

use std::env::consts::ARCH;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::root::find;
use crate::setup::beside::Job;
use crate::setup::plan::Plan;
use crate::setup::{cache, numbers};

const MODULE: &str = "github.com/coredns/coredns";
const VERSION: &str = "v1.14.7";

/// The Go that `CoreDNS` names for its own builds (`.go-version`), for where there is none that fetches one itself.
const GO: &str = "1.26.6";

/// The first Go that fetches the one that a module asks for (`GOTOOLCHAIN=auto`, <https://go.dev/doc/toolchain>).
const FETCHES_ANOTHER: (u32, u32) = (1, 21);

/// The program.
pub(crate) fn path() -> Result<PathBuf> {
    Ok(directory()?.join("coredns"))
}

/// Plans what it takes until the program runs.
pub(crate) fn plan(plan: &mut Plan) -> Result<()> {
    let program = path()?;
    if succeeds(Command::new(&program).arg("-version")) {
        return Ok(());
    }
    let directory = directory()?;
    let caches = directory.join("go");
    if find("go").is_none() {
        plan.package("golang-go", "fetches the Go that builds CoreDNS");
    }
    let go = if fetches_another() { "go".into() } else { plan_toolchain(&caches, plan) };
    let mut install = Command::new("nice");
    install.arg(go).args(["install", "-v", &format!("{MODULE}@{VERSION}")]);
    set_caches(&mut install, &caches).env("GOTOOLCHAIN", "auto");
    // No symbols, no C compiler: a smaller program that needs no library.
    install.env("GOBIN", &directory).env("GOFLAGS", "-modcacherw -ldflags=-s").env("CGO_ENABLED", "0");
    plan.beside(Job {
        what: format!("CoreDNS {VERSION}"),
        takes: "about 5 minutes",
        command: install,
        log: directory.join("build.log"),
        makes: program,
        then_remove: caches,
    });
    Ok(())
}

/// Plans a newer Go. Go's modules are the way that there is wherever `CoreDNS`'s own modules can be fetched, and Go
/// checks them (`GOSUMDB`).
fn plan_toolchain(caches: &Path, plan: &mut Plan) -> PathBuf {
    let version = format!("v0.0.1-go{GO}.linux-{}", go_architecture());
    let root = caches.join(format!("mod/golang.org/toolchain@{version}"));
    let go = root.join("bin/go");
    if succeeds(Command::new(&go).arg("version")) {
        return go;
    }
    let mut download = Command::new("go");
    download.args(["mod", "download", &format!("golang.org/toolchain@{version}")]);
    set_caches(&mut download, caches).env("GOFLAGS", "-modcacherw");
    plan.step(format!("Go {GO}, which is newer than the one here"), download);
    // A module has no file modes, and no go.mod below its own: what a later Go does when it fetches one
    // (cmd/go/internal/toolchain/select.go).
    let mut permit = Command::new("chmod");
    permit.args(["-R", "u+x"]).args(["bin", "pkg/tool"].map(|below| root.join(below)));
    plan.step("its programs may be run", permit);
    let mut name = Command::new("cp");
    name.args(["src/_go.mod", "src/go.mod"].map(|file| root.join(file)));
    plan.step("its library is a module", name);
    go
}

fn set_caches<'c>(command: &'c mut Command, caches: &Path) -> &'c mut Command {
    command.env("GOMODCACHE", caches.join("mod")).env("GOCACHE", caches.join("build"))
}

/// Whether the Go that is there fetches a newer one, if it is not itself new enough.
fn fetches_another() -> bool {
    let Ok(output) = Command::new("go").args(["env", "GOVERSION"]).output() else { return false };
    let version = String::from_utf8_lossy(&output.stdout);
    version.trim().strip_prefix("go").and_then(numbers).is_some_and(|version| version >= FETCHES_ANOTHER)
}

/// This machine's architecture, as Go names it.
fn go_architecture() -> &'static str {
    match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        same => same,
    }
}

fn succeeds(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn directory() -> Result<PathBuf> {
    Ok(cache()?.join(format!("coredns-{VERSION}")))
}
