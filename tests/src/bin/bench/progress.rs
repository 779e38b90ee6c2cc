//! Where the measuring is.

use std::fmt::Display;

/// Tells on stderr.
#[expect(clippy::print_stderr, reason = "stdout is for the rows")]
pub(crate) fn progress(line: impl Display) {
    eprintln!("{line}");
}
