//! `CoreDNS`, as `cargo xtask setup` builds it: Debian has no package.
//!
//! Asked with an NSID option, it echoes it, empty, in every answer: it copies the OPT record of the query
//! (`Request.SizeAndDo`, request/request.go). Its plugin `nsid` fills it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{ORIGIN, Options, zone};
use crate::{link::Addresses, netns::Namespace};

pub(super) fn command(
    namespace: &Namespace,
    Addresses { v4, v6 }: Addresses,
    options: Options<'_>,
    directory: &Path,
) -> Command {
    let nsid = options.own_nsid.map_or_else(String::new, |nsid| format!("nsid {nsid}"));
    let zone = directory.join(zone::FILE);
    // Each socket has room for some 40 queries while the server is stopped: on veth with XDP each takes a page.
    let text = format!(
        "{ORIGIN} {{
  bind {v4} {v6}
  multisocket 16
  file {}
  {nsid}
}}
",
        zone.display()
    );
    let file = directory.join("Corefile");
    fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut command = namespace.command(binary().to_str().expect("a path in UTF-8"));
    command.arg("-conf").arg(file);
    command
}

/// The binary: `COREDNS_BIN`, else the newest in the project's cache.
fn binary() -> PathBuf {
    let given = env::var_os("COREDNS_BIN").map(PathBuf::from);
    given.or_else(cached).unwrap_or_else(|| panic!("no CoreDNS: run `cargo xtask setup`, or set COREDNS_BIN"))
}

fn cached() -> Option<PathBuf> {
    let user = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let user = user.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))?;
    let built = fs::read_dir(user.join("nsid")).ok()?.flatten().map(|entry| entry.path().join("coredns"));
    built.filter(|program| program.is_file()).max()
}
