//! Text files that a person names. What is none could keep the agent waiting for ever (a FIFO), or never end (a device).

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::OFlags;
use thiserror::Error;

/// Why a file is not read.
#[derive(Debug, Error)]
pub enum TextFileError {
    /// The kernel refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("it is {what}, and not a regular file")]
    NotRegular {
        /// What it is.
        what: &'static str,
    },
    /// It has no end in sight.
    #[error("it is longer than {most} bytes")]
    TooLong {
        /// How many are read.
        most: u64,
    },
}

/// What is in a regular file, to which symbolic links may lead, if that is no more than `most` bytes.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, TextFileError> {
    // To open a FIFO would wait for a writer.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = match fs::File::options().read(true).custom_flags(flags).open(path) {
        // A socket.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {
            return Err(TextFileError::NotRegular { what: what(fs::metadata(path)?.file_type()) });
        }
        opened => opened?,
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(TextFileError::NotRegular { what: what(metadata.file_type()) });
    }
    let mut bytes = Vec::new();
    // Not its length, which files of `/proc` do not tell.
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(TextFileError::TooLong { most }) } else { Ok(bytes) }
}

fn what(kind: fs::FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use super::*;

    #[test]
    fn a_regular_file_is_read_also_by_a_symbolic_link_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("file"), "text").unwrap();
        symlink(path("file"), path("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("fifo"), rustix::fs::Mode::RUSR).unwrap();
        symlink(path("fifo"), path("link-to-fifo")).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        for name in ["file", "link"] {
            assert_eq!(read(&path(name), 4).unwrap(), b"text", "{name}");
        }
        for (path, expected) in [
            (path("fifo"), "a FIFO"),
            (path("link-to-fifo"), "a FIFO"),
            (path("socket"), "a socket"),
            (directory.path().to_owned(), "a directory"),
            ("/dev/zero".into(), "a device"),
        ] {
            let error = read(&path, 4).unwrap_err();
            assert!(
                matches!(error, TextFileError::NotRegular { what } if what == expected),
                "{}: {error}",
                path.display()
            );
        }
        assert!(matches!(read(&path("absent"), 4), Err(TextFileError::Io(_))));
    }

    #[test]
    fn a_file_is_read_up_to_a_bound_and_one_that_is_longer_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "text").unwrap();
        let error = read(&path, 3).unwrap_err();
        assert!(matches!(error, TextFileError::TooLong { most: 3 }), "{error}");
    }
}
