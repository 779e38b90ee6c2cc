//! What an agent writes down about itself, for the verbs that must work when it is dead.

use std::{fs, io};

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::{instance::Instance, lock::InstanceLock, replace::replace};

/// Why a dead agent's state is of no use.
#[derive(Debug, Error)]
pub enum StateError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}; run as root")]
    Read {
        /// The file.
        path: String,
        /// The reason.
        source: io::Error,
    },
    /// It is not what this version writes.
    #[error(
        "{path} is not of this version of nsid: {source}; `nsid detach --instance {instance}` removes it"
    )]
    Malformed {
        /// The file.
        path: String,
        /// Whose it is.
        instance: String,
        /// The reason.
        source: serde_json::Error,
    },
}

/// Replaces the state as a whole.
pub fn write<T: Serialize>(lock: &InstanceLock, state: &T) -> io::Result<()> {
    replace(&lock.instance().state_path(), 0o644, &serde_json::to_vec_pretty(state)?)
}

/// The state last written; `None` if there is none.
pub fn read<T: DeserializeOwned>(instance: &Instance) -> Result<Option<T>, StateError> {
    let path = instance.state_path();
    let shown = || path.display().to_string();
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|source| StateError::Read { path: shown(), source })?,
    };
    serde_json::from_slice(&text).map(Some).map_err(|source| StateError::Malformed {
        path: shown(),
        instance: instance.name().to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    fn instance(root: &tempfile::TempDir) -> Instance {
        Instance::below(&root.path().join("run"), &root.path().join("pins"), "default")
    }

    #[test]
    fn a_reader_never_sees_half_a_state() {
        let root = tempfile::tempdir().unwrap();
        let instance = instance(&root);
        assert_eq!(read::<Vec<u64>>(&instance).unwrap(), None);
        let lock = InstanceLock::acquire(&instance).unwrap();
        write(&lock, &vec![0; 1000]).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for value in 1..200_u64 {
                    write(&lock, &vec![value; 1000]).unwrap();
                }
                done.store(true, Ordering::Relaxed);
            });
            while !done.load(Ordering::Relaxed) {
                let state: Vec<u64> = read(&instance).unwrap().unwrap();
                assert_eq!(state, vec![state[0]; 1000]);
            }
        });
        assert_eq!(read::<Vec<u64>>(&instance).unwrap().unwrap(), vec![199; 1000]);
        lock.remove_files().unwrap();
        assert!(!instance.run_dir().exists());
    }

    #[test]
    fn a_state_of_another_version_names_the_file_and_the_way_out() {
        let root = tempfile::tempdir().unwrap();
        let instance = instance(&root);
        let lock = InstanceLock::acquire(&instance).unwrap();
        write(&lock, &"something else").unwrap();
        let error = read::<u64>(&instance).unwrap_err().to_string();
        assert!(error.contains("state.json") && error.contains("nsid detach --instance default"), "{error}");
    }
}
