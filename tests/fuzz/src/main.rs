//! Writes what the fuzz targets start from below a directory.

use std::{env, io, path::Path};

fn main() -> io::Result<()> {
    let below = env::args_os().nth(1).ok_or_else(|| io::Error::other("fuzz-seeds DIRECTORY"))?;
    nsid_fuzz::seeds::write(Path::new(&below))
}
