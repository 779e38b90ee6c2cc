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

/// The binary: `COREDNS_BIN`.
fn binary() -> PathBuf {
    let path = env::var_os("COREDNS_BIN").unwrap_or_else(|| {
        panic!("no CoreDNS: run `cargo xtask test`; or `cargo xtask setup`, and set COREDNS_BIN to what it has built")
    });
    path.into()
}
