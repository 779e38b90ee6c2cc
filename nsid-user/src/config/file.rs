//! The configuration file: TOML whose keys are the long flags' names.

use std::path::{Path, PathBuf};

use super::settings::Settings;
use crate::host::text_file::{self, TextFileError};

/// Bytes of a file: a hundred times what its longest lists take.
const FILE_MAX: u64 = 4 << 20;

/// Characters of a line of the file that an error shows.
const EXCERPT_MAX: usize = 60;

/// Reads the settings of a file.
pub(super) fn read(path: &Path) -> Result<Settings, FileError> {
    let bytes = text_file::read(path, FILE_MAX)
        .map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    let text = String::from_utf8(bytes).map_err(|error| FileError::NotUtf8 {
        path: path.to_owned(),
        line: line_at(error.as_bytes(), error.utf8_error().valid_up_to()),
    })?;
    toml::from_str(&text).map_err(|error| {
        let line = line_at(text.as_bytes(), error.span().map_or(0, |span| span.start));
        FileError::Toml {
            path: path.to_owned(),
            line,
            excerpt: excerpt(text.lines().nth(line - 1).unwrap_or_default()),
            // serde speaks of a struct's fields and an enum's variants, people of a file's keys and values.
            message: printable(error.message())
                .replace("unknown field", "unknown key")
                .replace("unknown variant", "unknown value"),
        }
    })
}

/// The number of the line, counted from 1, that a byte belongs to.
fn line_at(text: &[u8], byte: usize) -> usize {
    1 + text.iter().take(byte).filter(|b| **b == b'\n').count()
}

fn excerpt(line: &str) -> String {
    printable(line.trim()).chars().take(EXCERPT_MAX).collect()
}

/// The text without line breaks and other controls, which would garble a message.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Why a file gives no settings.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read at all.
    #[error("--config {}: {source}; name a TOML file that this user may read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TextFileError,
    },
    /// It is no text.
    #[error("{}:{line}: not UTF-8; save the file as UTF-8 text", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Where the first byte stands that does not belong.
        line: usize,
    },
    /// It is no TOML, or has keys or values that do not belong.
    #[error(
        "{}:{line}: `{excerpt}`: {message}\n\
         keys are named like the long flags, those of a service under [[services]]; see `nsid run --help`",
        path.display()
    )]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// The start of that line.
        excerpt: String,
        /// What is wrong.
        message: String,
    },
}
