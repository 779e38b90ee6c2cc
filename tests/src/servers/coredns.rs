//! `CoreDNS`, as `cargo xtask setup` builds it: Debian has no package.
//!
//! Asked with an NSID option, it echoes it, empty, in every answer: it copies the OPT record of the query
//! (`Request.SizeAndDo`, request/request.go). Its plugin `nsid` fills it.

use std::process::Command;

use super::{Intake, ORIGIN, Setting, Software, tsig, zone};
use crate::link::Addresses;

pub(super) fn command(setting: &Setting<'_>) -> Command {
    let Addresses { v4, v6 } = setting.addresses;
    let nsid = setting.own_nsid(|nsid| format!("nsid {nsid}"));
    let zone = setting.directory.join(zone::FILE);
    let (key, secret) = (tsig::KEY, tsig::SECRET);
    // Each socket has room for some 40 queries while the server is stopped: on veth with XDP each takes a page.
    let sockets = if setting.options.intake == Intake::Sockets { "multisocket 16" } else { "" };
    let identity = setting.own_nsid(|_| format!("id.server {{\n  bind {v4} {v6}\n  chaos\n  {nsid}\n}}\n"));
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
    let file = setting.write("Corefile", &text);
    let mut command = setting.program(Software::Coredns);
    command.arg("-conf").arg(file);
    command
}
