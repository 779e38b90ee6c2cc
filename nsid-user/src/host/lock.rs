//! One agent per instance: a lock that the kernel lets go of when the agent dies, however it dies.
//!
//! **Invariant:** files of an instance are bound or removed only by the holder of its lock; the functions that
//! do so take the lock as a parameter.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    thread,
    time::Duration,
};

use thiserror::Error;

use super::{instance::Instance, succession};

/// Who asks whether the lock is held takes it for a moment, and so does who removes it: an agent tries again.
const ATTEMPTS: u32 = 10;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);

/// Why the instance cannot be ours.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another agent has it.
    #[error("instance '{instance}' already runs as pid {holder}; stop it or use --instance NAME")]
    Held {
        /// The name asked for.
        instance: String,
        /// The agent that has it.
        holder: Holder,
    },
    /// The file system refuses.
    #[error("cannot lock instance '{instance}' in {directory}: {source}; run as root, with a writable /run")]
    Io {
        /// The name asked for.
        instance: String,
        /// Where its files are.
        directory: String,
        /// The reason.
        source: io::Error,
    },
}

/// The agent that holds an instance's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// As the agent itself saw its pid, for people to read: in another PID namespace, somebody else has that number.
    /// None yet in the moment of its start.
    pub pid: Option<u32>,
}

impl Holder {
    /// The agent that runs this instance now, if one does, frozen or not.
    pub fn of(instance: &Instance) -> io::Result<Option<Self>> {
        let file = match File::open(instance.lock_path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(Self::read(instance))),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn read(instance: &Instance) -> Self {
        let text = fs::read_to_string(instance.lock_path()).unwrap_or_default();
        Self { pid: text.trim().parse().ok() }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            Some(pid) => pid.fmt(f),
            None => f.write_str("unknown (it is just starting)"),
        }
    }
}

/// The instance is ours until this is dropped.
#[derive(Debug)]
pub struct InstanceLock {
    instance: Instance,
    file: File,
    came: Came,
}

/// How the instance came to be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Nobody had it.
    Free,
    /// The program that this process ran before had it, and let go of it at no time.
    FromPredecessor,
}

impl InstanceLock {
    /// Goes on with the instance where this process had it before it ran this program, and takes it otherwise.
    pub fn inherit_or_acquire(instance: &Instance) -> Result<Self, LockError> {
        let inherited = succession::inherited().map(File::from);
        match inherited.and_then(|file| try_lock(instance, file).ok().flatten()) {
            Some(file) => Ok(Self { instance: instance.clone(), file, came: Came::FromPredecessor }),
            None => Self::acquire(instance),
        }
    }

    /// Takes the instance, and makes its directory.
    pub fn acquire(instance: &Instance) -> Result<Self, LockError> {
        let io = |source| LockError::Io {
            instance: instance.name().to_owned(),
            directory: instance.run_dir().display().to_string(),
            source,
        };
        for _ in 0..ATTEMPTS {
            if let Some(file) = try_acquire(instance).map_err(io)? {
                return Ok(Self { instance: instance.clone(), file, came: Came::Free });
            }
            thread::sleep(BETWEEN_ATTEMPTS);
        }
        Err(LockError::Held { instance: instance.name().to_owned(), holder: Holder::read(instance) })
    }

    /// What is locked.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// How it came to be ours.
    pub fn came(&self) -> Came {
        self.came
    }

    /// The open file that is locked.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Removes the instance's files, then lets go. Pins are not touched.
    pub fn remove_files(self) -> io::Result<()> {
        let (directory, lock) = (self.instance.run_dir(), self.instance.lock_path());
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.path() != lock && !entry.file_type()?.is_dir() {
                not_found_is_fine(fs::remove_file(entry.path()))?;
            }
        }
        // Last: as long as it has its name, nobody else can take it.
        not_found_is_fine(fs::remove_file(lock))?;
        match fs::remove_dir(directory) {
            // The pools of the local store are in the directory of an instance that is itself called `local`.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            result => not_found_is_fine(result),
        }
    }
}

/// `None`: it is held, or removed under our hands.
fn try_acquire(instance: &Instance) -> io::Result<Option<File>> {
    match open(instance) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => try_lock(instance, file?),
    }
}

fn open(instance: &Instance) -> io::Result<File> {
    let run_root = instance.run_dir().parent().unwrap_or(instance.run_dir());
    DirBuilder::new().recursive(true).mode(0o755).create(run_root)?;
    // For root alone: the nonce in it proves who owns a slot.
    match DirBuilder::new().mode(0o700).create(instance.run_dir()) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    File::options().read(true).write(true).create(true).truncate(false).open(instance.lock_path())
}

fn try_lock(instance: &Instance, mut file: File) -> io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // The file that we opened may have been removed before we locked it, and be another agent's by name.
    let ours = file.metadata()?;
    match fs::metadata(instance.lock_path()) {
        Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    // One that was inherited stands where the predecessor wrote last.
    file.rewind()?;
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Some(file))
}

fn not_found_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(root: &tempfile::TempDir) -> Instance {
        Instance::below(&root.path().join("run"), &root.path().join("pins"), "default")
    }

    #[test]
    fn a_second_agent_is_refused_and_told_of_the_first() {
        let root = tempfile::tempdir().unwrap();
        let instance = instance(&root);
        assert_eq!(Holder::of(&instance).unwrap(), None, "never started");
        let lock = InstanceLock::acquire(&instance).unwrap();
        let pid = std::process::id();
        assert_eq!(Holder::of(&instance).unwrap(), Some(Holder { pid: Some(pid) }));
        assert_eq!(
            InstanceLock::acquire(&instance).unwrap_err().to_string(),
            format!("instance 'default' already runs as pid {pid}; stop it or use --instance NAME")
        );
        drop(lock);
        assert_eq!(Holder::of(&instance).unwrap(), None, "its file is left, its lock is not");
        InstanceLock::acquire(&instance).unwrap();
    }

    #[test]
    fn who_goes_on_with_an_open_file_is_told_of_as_well() {
        let root = tempfile::tempdir().unwrap();
        let instance = instance(&root);
        let mut lock = InstanceLock::acquire(&instance).unwrap();
        for _ in 0..2 {
            // Over `execve`, it keeps its offset.
            lock.file = try_lock(&instance, lock.file.try_clone().unwrap()).unwrap().unwrap();
            assert_eq!(Holder::of(&instance).unwrap(), Some(Holder { pid: Some(std::process::id()) }));
        }
    }

    #[test]
    fn removing_leaves_nothing_but_the_slots_of_the_local_store() {
        let root = tempfile::tempdir().unwrap();
        let instance = instance(&root);
        let lock = InstanceLock::acquire(&instance).unwrap();
        for path in [instance.nonce_path(), instance.state_path(), instance.control_path()] {
            fs::write(path, "").unwrap();
        }
        // Of an agent that was killed, a session in ZooKeeper, say, and what it was about to write.
        for name in ["session-0", "state.json.new"] {
            fs::write(instance.run_dir().join(name), "").unwrap();
        }
        lock.remove_files().unwrap();
        assert!(!instance.run_dir().exists());

        let lock = InstanceLock::acquire(&instance).unwrap();
        fs::create_dir(instance.run_dir().join("worker{id}")).unwrap();
        lock.remove_files().unwrap();
        let left: Vec<_> =
            fs::read_dir(instance.run_dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["worker{id}"]);
    }

    #[test]
    fn a_lock_that_was_removed_before_it_was_locked_is_not_held() {
        let root = tempfile::tempdir().unwrap();
        let instance = instance(&root);
        let lock = InstanceLock::acquire(&instance).unwrap();
        let (second, third) = (open(&instance).unwrap(), open(&instance).unwrap());
        lock.remove_files().unwrap();
        assert!(try_lock(&instance, second).unwrap().is_none(), "it has no name");
        let _lock = InstanceLock::acquire(&instance).unwrap();
        assert!(try_lock(&instance, third).unwrap().is_none(), "its name is another's");
    }

    #[test]
    fn asking_who_runs_does_not_keep_an_agent_from_starting() {
        let root = tempfile::tempdir().unwrap();
        let instance = instance(&root);
        drop(InstanceLock::acquire(&instance).unwrap());
        let asking = File::open(instance.lock_path()).unwrap();
        asking.try_lock_shared().unwrap();
        thread::scope(|scope| {
            let agent = scope.spawn(|| InstanceLock::acquire(&instance).unwrap());
            thread::sleep(BETWEEN_ATTEMPTS * 2);
            drop(asking);
            agent.join().unwrap();
        });
    }
}
