//! Debian's kernels, kept in the project's cache: of each series the newest build.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
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

/// The modules that are kept, each after those that it needs. Some kernels have some of them built in.
const MODULES: [&str; 20] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
    "veth",
    "sch_ingress",
    "cls_bpf",
    "dummy",
    "llc",
    "stp",
    "bridge",
    "garp",
    "mrp",
    "8021q",
    "tls",
    "bonding",
];

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

    /// Its modules, each after those that it needs.
    pub(crate) fn modules(&self) -> Vec<PathBuf> {
        let files = MODULES.map(|module| self.directory.join(module_file(module)));
        files.into_iter().filter(|file| file.exists()).collect()
    }

    /// Whether Debian has its modules still.
    pub(crate) fn has_modules(&self) -> bool {
        !self.modules().is_empty()
    }
}

fn module_file(module: &str) -> String {
    format!("{module}.ko")
}

/// The newest build of each series, or of one.
pub(crate) fn newest_of_each_series(only: Option<&str>) -> Result<Vec<Kernel>> {
    let archive = Archive::open()?;
    let series = archive.series()?;
    let wanted = |of: &(u32, u32)| only.is_none_or(|only| only == format!("{}.{}", of.0, of.1));
    let builds: Vec<_> = series.iter().filter(|(of, _)| wanted(of)).map(|(_, build)| build).collect();
    ensure!(!builds.is_empty(), "Debian's lists lack a kernel of the series");
    builds.into_iter().map(|build| archive.fetch(build)).collect()
}

/// The newest builds of the oldest series and of the newest.
pub(crate) fn oldest_and_newest() -> Result<Vec<Kernel>> {
    let archive = Archive::open()?;
    let series = archive.series()?;
    let builds = [series.first_key_value(), series.last_key_value()];
    builds.into_iter().flatten().map(|(_, build)| archive.fetch(build)).collect()
}

/// Builds by their series: `(6, 12)` and `6.12.117+deb12-cloud-amd64`.
fn newest_builds(packages: &[String]) -> BTreeMap<(u32, u32), &str> {
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

/// Debian's packages of kernels, and those that were unpacked before.
struct Archive {
    apt: Apt,
    cache: PathBuf,
    packages: Vec<String>,
}

impl Archive {
    /// Reads Debian's lists.
    fn open() -> Result<Self> {
        // What another xtask unpacked may have other modules.
        let mut modules = DefaultHasher::new();
        MODULES.hash(&mut modules);
        let cache = cache()?.join("kernels").join(format!("modules-{:016x}", modules.finish()));
        let apt = Apt::new(&cache.join("apt"))?;
        say("reading the lists of Debian's kernels");
        apt.run("apt-get", &["-qq", "update"])?;
        let packages = apt.run("apt-cache", &["pkgnames", "linux-"])?;
        let packages = packages.lines().map(str::to_owned).collect();
        Ok(Self { apt, cache, packages })
    }

    /// The newest builds from the oldest series on that nsid is for.
    fn series(&self) -> Result<BTreeMap<(u32, u32), &str>> {
        let builds = newest_builds(&self.packages).split_off(&OLDEST);
        ensure!(builds.contains_key(&OLDEST), "Debian's lists lack a kernel {}.{}", OLDEST.0, OLDEST.1);
        Ok(builds)
    }

    /// A build's image and modules, downloaded once.
    fn fetch(&self, release: &str) -> Result<Kernel> {
        let kernel = Kernel { release: release.to_owned(), directory: self.cache.join(release) };
        if kernel.directory.exists() {
            return Ok(kernel);
        }
        say(format_args!("downloading Linux {release}"));
        let unpacked = fresh(self.cache.join("unpacked"))?;
        let names = PACKAGES.map(|kind| format!("{kind}{release}"));
        let names = names.iter().filter(|name| self.packages.contains(name)).map(String::as_str);
        self.apt.run("apt-get", &["-qq", "download"].into_iter().chain(names).collect::<Vec<_>>())?;
        for package in
            files(&self.apt.directory)?.iter().filter(|file| file.extension() == Some(OsStr::new("deb")))
        {
            output(Command::new("dpkg-deb").arg("-x").args([package, &unpacked]))?;
            fs::remove_file(package)?;
        }
        let kept = fresh(self.cache.join("kept"))?;
        for file in files(&unpacked)? {
            let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if name.starts_with("vmlinuz") {
                fs::copy(&file, kept.join("vmlinuz"))?;
            } else if let Some(module) = MODULES.iter().find(|module| name.starts_with(&module_file(module)))
            {
                let to = kept.join(module_file(module));
                if file.extension() == Some(OsStr::new("xz")) {
                    let mut unxz = Command::new("busybox");
                    unxz.args(["unxz", "-c"]).arg(&file);
                    ensure!(unxz.stdout(File::create(to)?).status()?.success(), "{name} cannot be unpacked");
                } else {
                    fs::copy(&file, to)?;
                }
            }
        }
        fs::remove_dir_all(&unpacked)?;
        ensure!(kept.join("vmlinuz").exists(), "Debian's packages of Linux {release} have no vmlinuz");
        fs::rename(kept, &kernel.directory)?;
        Ok(kernel)
    }
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
        let packages = packages.map(str::to_owned);
        let newest = newest_builds(&packages);
        let expected = [((6, 1), "6.1.0-56-cloud-amd64"), ((7, 2), "7.2.12+deb13-cloud-amd64")];
        assert_eq!(newest, BTreeMap::from(expected));
    }
}
