//! An instance: one agent's place on the host. Everything it leaves outside its own memory is in two
//! directories, one for files and one for pins.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// Files of every instance on this host; also the slots of the `local` store, in `local/`.
pub const RUN_ROOT: &str = "/run/nsid";
/// The directory there that has what witnesses leave behind, and is no instance's.
pub const WITNESSES: &str = "witnesses";
/// Pins of every instance on this host.
pub const PIN_ROOT: &str = "/sys/fs/bpf/nsid";

/// Where the files and pins of an instance are. Says nothing about whether they exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    name: String,
    run_dir: PathBuf,
    pin_dir: PathBuf,
}

impl Instance {
    /// The instance of that name: one path component.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self::below(RUN_ROOT.as_ref(), PIN_ROOT.as_ref(), name.as_ref())
    }

    /// Every instance of which there is a file or a pin, dead or alive, by name.
    pub fn all() -> io::Result<Vec<Self>> {
        Self::all_below(RUN_ROOT.as_ref(), PIN_ROOT.as_ref())
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory of the files.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// The directory of the pins.
    pub fn pin_dir(&self) -> &Path {
        &self.pin_dir
    }

    /// Locked as long as the agent lives; its pid is in it.
    pub fn lock_path(&self) -> PathBuf {
        self.run_dir.join("lock")
    }

    /// The nonce by which a store knows this incarnation.
    pub fn nonce_path(&self) -> PathBuf {
        self.run_dir.join("nonce")
    }

    /// The socket on which the agent tells its state.
    pub fn control_path(&self) -> PathBuf {
        self.run_dir.join("control.sock")
    }

    /// What the agent last wrote down about itself.
    pub fn state_path(&self) -> PathBuf {
        self.run_dir.join("state.json")
    }

    pub(super) fn below(run_root: &Path, pin_root: &Path, name: &str) -> Self {
        Self { name: name.to_owned(), run_dir: run_root.join(name), pin_dir: pin_root.join(name) }
    }

    fn all_below(run_root: &Path, pin_root: &Path) -> io::Result<Vec<Self>> {
        let mut names: BTreeSet<_> = directories(pin_root)?.into_iter().collect();
        // The local store's directory looks like an instance, but has no lock of its own.
        names.extend(
            directories(run_root)?.into_iter().filter(|name| run_root.join(name).join("lock").exists()),
        );
        Ok(names.iter().map(|name| Self::below(run_root, pin_root, name)).collect())
    }
}

fn directories(root: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_listed_for_a_lock_or_a_pin_and_the_local_store_is_none() {
        let root = tempfile::tempdir().unwrap();
        let (run, pins) = (root.path().join("run"), root.path().join("pins"));
        assert_eq!(Instance::all_below(&run, &pins).unwrap(), [], "no directories at all");
        for directory in [run.join("both"), run.join("file"), run.join("local/worker{id}"), pins.join("both")]
        {
            fs::create_dir_all(directory).unwrap();
        }
        fs::create_dir_all(pins.join("pin")).unwrap();
        for name in ["both", "file"] {
            fs::write(Instance::below(&run, &pins, name).lock_path(), "").unwrap();
        }
        let all = Instance::all_below(&run, &pins).unwrap();
        assert_eq!(all.iter().map(Instance::name).collect::<Vec<_>>(), ["both", "file", "pin"]);
        assert_eq!(all[0], Instance::below(&run, &pins, "both"));
    }

    #[test]
    fn paths_are_those_in_the_documentation() {
        let instance = Instance::new("default");
        assert_eq!(instance.lock_path(), Path::new("/run/nsid/default/lock"));
        assert_eq!(instance.nonce_path(), Path::new("/run/nsid/default/nonce"));
        assert_eq!(instance.control_path(), Path::new("/run/nsid/default/control.sock"));
        assert_eq!(instance.state_path(), Path::new("/run/nsid/default/state.json"));
        assert_eq!(instance.pin_dir(), Path::new("/sys/fs/bpf/nsid/default"));
    }
}
