//! Debian's kernels, kept in the project's cache: of each series the newest build.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::setup::{cache, say};

const MIRROR: &str = "http://deb.debian.org";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Suites that have kernels, below the mirror: 6.1, 6.12, and what came after.
const SUITES: [(&str, &str); 4] = [
    ("debian", "bookworm"),
    ("debian-security", "bookworm-security"),
    ("debian", "bookworm-backports"),
    ("debian", "trixie-backports"),
];

/// The smallest builds: they lack drivers of real hardware.
const FLAVOUR: &str = "-cloud-amd64";

/// Where a build's files are: up to 6.18 all in one package, later apart.
const PACKAGES: [&str; 3] = ["linux-image-", "linux-binary-", "linux-modules-"];

/// What is kept of them, by the start of its name. None of these modules needs another.
const KEPT: [&str; 4] = ["vmlinuz", "veth.ko", "sch_ingress.ko", "cls_bpf.ko"];

/// The oldest series that nsid is for.
const OLDEST: (u32, u32) = (6, 1);

/// An unpacked kernel.
pub(crate) struct Kernel {
    /// `6.1.0-56-cloud-amd64`.
    pub(crate) release: String,
    directory: PathBuf,
}

impl Kernel {
    /// Its image.
    pub(crate) fn image(&self) -> PathBuf {
        self.directory.join("vmlinuz")
    }

    /// Its modules, some perhaps compressed.
    pub(crate) fn modules(&self) -> Result<Vec<PathBuf>> {
        Ok(files(&self.directory)?.into_iter().filter(|file| !file.ends_with("vmlinuz")).collect())
    }

    /// Whether it can connect namespaces.
    pub(crate) fn has_veth(&self) -> bool {
        ["veth.ko", "veth.ko.xz"].iter().any(|module| self.directory.join(module).exists())
    }
}

/// The newest build of each series, or of one.
pub(crate) fn newest(series: Option<&str>) -> Result<Vec<Kernel>> {
    let cache = cache()?.join("kernels");
    let apt = Apt::new(&cache.join("apt"))?;
    say("reading the lists of Debian's kernels");
    apt.run("apt-get", &["-qq", "update"])?;
    let packages = apt.run("apt-cache", &["pkgnames", "linux-"])?;
    let packages: Vec<&str> = packages.lines().collect();
    let chosen: Vec<_> = newest_of_each_series(&packages)
        .into_iter()
        .filter(|(of, _)| *of >= OLDEST && series.is_none_or(|series| series == format!("{}.{}", of.0, of.1)))
        .collect();
    let oldest_is_there = series.is_some() || chosen.first().is_some_and(|(of, _)| *of == OLDEST);
    ensure!(!chosen.is_empty() && oldest_is_there, "Debian's lists lack a kernel of the series");
    chosen.into_iter().map(|(_, release)| fetch(&apt, &cache, release, &packages)).collect()
}

/// Builds by their series: `(6, 12)` and `6.12.117+deb12-cloud-amd64`.
fn newest_of_each_series<'p>(packages: &[&'p str]) -> BTreeMap<(u32, u32), &'p str> {
    let mut newest = BTreeMap::new();
    for package in packages {
        let release = PACKAGES.iter().find_map(|kind| package.strip_prefix(kind));
        let Some(release) = release.filter(|release| release.ends_with(FLAVOUR)) else { continue };
        let version = numbers(release);
        // Not `unsigned-7.3.4`: the same build once more.
        if !release.starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        let &[major, minor, _, ..] = version.as_slice() else { continue };
        let kept = newest.entry((major, minor)).or_insert(release);
        if numbers(kept) < version {
            *kept = release;
        }
    }
    newest
}

fn numbers(release: &str) -> Vec<u32> {
    release
        .trim_end_matches(FLAVOUR)
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse().ok())
        .collect()
}

fn fetch(apt: &Apt, cache: &Path, release: &str, packages: &[&str]) -> Result<Kernel> {
    let kernel = Kernel { release: release.to_owned(), directory: cache.join(release) };
    if kernel.directory.exists() {
        return Ok(kernel);
    }
    say(format_args!("downloading Linux {release}"));
    let unpacked = fresh(cache.join("unpacked"))?;
    let names = PACKAGES.map(|kind| format!("{kind}{release}"));
    let names = names.iter().map(String::as_str).filter(|name| packages.contains(name));
    apt.run("apt-get", &["-qq", "download"].into_iter().chain(names).collect::<Vec<_>>())?;
    for package in files(&apt.directory)?.iter().filter(|file| file.extension() == Some(OsStr::new("deb"))) {
        output(Command::new("dpkg-deb").arg("-x").args([package, &unpacked]))?;
        fs::remove_file(package)?;
    }
    let kept = fresh(cache.join("kept"))?;
    for file in files(&unpacked)? {
        let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if let Some(keep) = KEPT.iter().find(|keep| name.starts_with(**keep)) {
            // The image alone has the release in its name.
            let name = if *keep == "vmlinuz" { keep } else { name };
            fs::copy(&file, kept.join(name))?;
        }
    }
    fs::remove_dir_all(&unpacked)?;
    ensure!(kept.join("vmlinuz").exists(), "Debian's packages of Linux {release} have no vmlinuz");
    fs::rename(kept, &kernel.directory)?;
    Ok(kernel)
}

/// apt with sources and lists of its own: the system's stay as they are.
struct Apt {
    directory: PathBuf,
}

impl Apt {
    fn new(directory: &Path) -> Result<Self> {
        for below in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(directory.join(below))?;
        }
        let sources = SUITES.map(|(archive, suite)| {
            format!("deb [arch=amd64 signed-by={KEYRING}] {MIRROR}/{archive} {suite} main\n")
        });
        fs::write(directory.join("sources.list"), sources.concat())?;
        Ok(Self { directory: directory.to_owned() })
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(program);
        for (option, path) in [
            ("Dir::Etc::SourceList", "sources.list"),
            ("Dir::Etc::SourceParts", "none"),
            ("Dir::State::Lists", "lists"),
            ("Dir::Cache", "cache"),
        ] {
            command.arg(format!("-o{option}={}", self.directory.join(path).display()));
        }
        // The directory is the user's, and apt's own user may not write there.
        command.arg("-oAPT::Sandbox::User=root").args(arguments).current_dir(&self.directory);
        output(&mut command)
    }
}

fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("{program} does not start"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {}", said.trim());
    String::from_utf8(output.stdout).with_context(|| format!("{program} prints no UTF-8"))
}

/// An empty directory.
fn fresh(directory: PathBuf) -> Result<PathBuf> {
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// All files below a directory.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_build_of_a_series_is_the_one_with_the_highest_numbers() {
        let packages = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-57-amd64",
            "linux-binary-7.2.12+deb13-cloud-amd64",
            "linux-binary-7.2.9+deb13-cloud-amd64",
            "linux-binary-unsigned-7.2.13+deb13-cloud-amd64",
            "linux-modules-7.2.12+deb13-cloud-amd64",
            "linux-image-7.2-cloud-amd64",
            "linux-image-cloud-amd64",
        ];
        let newest = newest_of_each_series(&packages);
        let expected = [((6, 1), "6.1.0-56-cloud-amd64"), ((7, 2), "7.2.12+deb13-cloud-amd64")];
        assert_eq!(newest, BTreeMap::from(expected));
    }
}
