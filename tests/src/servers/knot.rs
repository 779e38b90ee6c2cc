//! Knot DNS, of Debian's package `knot`.

use std::{path::Path, process::Command};

use super::{Intake, Options, Software, tsig, write, zone};
use crate::{link::Addresses, netns::Namespace};

pub(super) fn command(
    namespace: &Namespace,
    Addresses { v4, v6 }: Addresses,
    options: Options<'_>,
    directory: &Path,
) -> Command {
    let nsid =
        options.own_nsid.map_or_else(String::new, |nsid| format!("nsid: \"{nsid}\"\n  identity: \"{nsid}\""));
    let workers = match options.intake {
        Intake::Sockets => "",
        Intake::OneThread | Intake::AfXdp(_) => "udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1",
    };
    let xdp = match options.intake {
        Intake::AfXdp(interface) => format!("xdp:\n  listen: {interface}"),
        Intake::Sockets | Intake::OneThread => String::new(),
    };
    let (state, zone) = (directory.display(), zone::FILE);
    let (key, secret) = (tsig::KEY, tsig::SECRET);
    let text = format!(
        r#"
server:
  listen: [ "{v4}@53", "{v6}@53" ]
  rundir: "{state}"
  {nsid}
  {workers}
{xdp}
database:
  storage: "{state}"
log:
  - target: stderr
    any: info
key:
  - id: {key}
    algorithm: hmac-sha256
    secret: {secret}
acl:
  - id: signed
    key: {key}
    action: transfer
template:
  - id: default
    storage: "{state}"
zone:
  - domain: example.test
    file: {zone}
    acl: signed
  - domain: broken.test
    file: missing
"#
    );
    let file = write(directory, "knot.conf", &text);
    let mut command = namespace.command(Software::Knot.program());
    command.arg("-c").arg(file);
    command
}
