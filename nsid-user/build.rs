//! Builds the eBPF programs into `OUT_DIR`, with the compiler and the linker that `cargo xtask setup` found.

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{env, fs, iter};

use anyhow::{Context as _, Result};
use aya_build::{Package, Toolchain, build_ebpf};

/// Two lines, by `cargo xtask setup`: rustup's name of the compiler, and the directory of bpf-linker.
const RECORD: &str = "../.ebpf-compiler";

/// The binaries of nsid-ebpf.
const OBJECTS: [&str; 3] = ["nsid-ebpf", "nsid-ebpf-bench", "nsid-ebpf-flood"];

fn main() -> Result<()> {
    // aya-build adds nsid-ebpf itself.
    for input in [RECORD, "../nsid-common", "../Cargo.toml", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={input}");
    }
    let package =
        Package { name: "nsid-ebpf", root_dir: "../nsid-ebpf", features: features(), ..Package::default() };
    if skipped() {
        // For editors: the code that includes the objects still compiles. aya-build warns.
        leave_empty_objects()?;
        return build_ebpf([package], Toolchain::Nightly);
    }
    let record = fs::read_to_string(RECORD).unwrap_or_default();
    let Some((toolchain, linker)) = record.trim_end().split_once('\n') else {
        println!("cargo::error=no compiler for the eBPF programs is known here yet: run `cargo xtask setup`");
        return Ok(());
    };
    lend(Path::new(linker))?;
    share_what_is_built(package.name, package.features)?;
    build_ebpf([package], Toolchain::Custom(toolchain))
}

/// Those of our own features that the programs have too.
fn features() -> &'static [&'static str] {
    if env::var_os("CARGO_FEATURE_WITHOUT_FENCE").is_some() { &["without-fence"] } else { &[] }
}

/// Has all builds of the same programs be one, whichever profile and features they are for: core alone takes a minute. Those
/// of other features have a place of their own, so that none is ever taken for another.
fn share_what_is_built(name: &str, features: &[&str]) -> Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    // TARGET/PROFILE/build/PACKAGE/out
    let target = out.ancestors().nth(4).context("OUT_DIR is below cargo's target directory")?;
    let shared = target.join("ebpf").join([&[name], features].concat().join("-"));
    // Where aya-build has cargo build them.
    let own = out.join("aya-build/target").join(name);
    fs::create_dir_all(&shared)?;
    fs::create_dir_all(own.parent().context("it is below OUT_DIR")?)?;
    if own.symlink_metadata().is_err() {
        symlink(shared, own)?;
    }
    Ok(())
}

/// Whether aya-build will build nothing, asked in its words.
fn skipped() -> bool {
    env::var_os("AYA_BUILD_SKIP").is_some_and(|skip| skip == "1" || skip.eq_ignore_ascii_case("true"))
}

fn leave_empty_objects() -> Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    for object in OBJECTS {
        fs::write(out.join(object), [])?;
    }
    Ok(())
}

/// Gives what aya-build starts the linker, and the unstable flags that a target without a built core takes.
fn lend(linker: &Path) -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(iter::once(linker.to_owned()).chain(env::split_paths(&path)))?;
    set_for_children("PATH", path);
    set_for_children("RUSTC_BOOTSTRAP", "1");
    // aya-build makes a warning of each line of progress, and cargo repeats them at every build.
    set_for_children("CARGO_TERM_QUIET", "true");
    Ok(())
}

fn set_for_children(name: &str, value: impl AsRef<OsStr>) {
    // SAFETY: this program has one thread, so nothing reads the environment meanwhile.
    unsafe { env::set_var(name, value) };
}
