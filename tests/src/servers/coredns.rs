//! `CoreDNS`, as `cargo xtask setup` builds it: Debian has no package.
//!
//! Asked with an NSID option, it echoes it, empty, in every answer: it copies the OPT record of the query
//! (`Request.SizeAndDo`, request/request.go). Its plugin `nsid` fills it.

use std::{path::Path, process::Command};

use super::{Intake, ORIGIN, Options, Software, tsig, write, zone};
use crate::{link::Addresses, netns::Namespace};

pub(super) fn command(
    namespace: &Namespace,
    Addresses { v4, v6 }: Addresses,
    options: Options<'_>,
    directory: &Path,
) -> Command {
    let nsid = options.own_nsid.map_or_else(String::new, |nsid| format!("nsid {nsid}"));
    let zone = directory.join(zone::FILE);
    let (key, secret) = (tsig::KEY, tsig::SECRET);
    // Each socket has room for some 40 queries while the server is stopped: on veth with XDP each takes a page.
    let sockets = if options.intake == Intake::Sockets { "multisocket 16" } else { "" };
    let identity = options
        .own_nsid
        .map_or_else(String::new, |_| format!("id.server {{\n  bind {v4} {v6}\n  chaos\n  {nsid}\n}}\n"));
    let text = format!(
        "{ORIGIN} {{
  bind {v4} {v6}
  {sockets}
  file {}
  tsig {{
    secret {key} {secret}
  }}
  {nsid}
}}
broken.test {{
  bind {v4} {v6}
  template ANY ANY {{
    rcode SERVFAIL
  }}
  {nsid}
}}
{identity}",
        zone.display()
    );
    let file = write(directory, "Corefile", &text);
    let mut command = namespace.command(Software::Coredns.program());
    command.arg("-conf").arg(file);
    command
}
