//! Knot DNS, of Debian's package `knot`.

use std::process::Command;

use super::{Intake, Setting, Software, tsig, zone};
use crate::link::Addresses;

pub(super) fn command(setting: &Setting<'_>) -> Command {
    let Addresses { v4, v6 } = setting.addresses;
    let nsid = setting.own_nsid(|nsid| format!("nsid: \"{nsid}\"\n  identity: \"{nsid}\""));
    let workers = match setting.options.intake {
        Intake::Sockets => "",
        Intake::OneThread | Intake::AfXdp(_) => "udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1",
    };
    let xdp = match setting.options.intake {
        Intake::AfXdp(interface) => format!("xdp:\n  listen: {interface}"),
        Intake::Sockets | Intake::OneThread => String::new(),
    };
    let (state, zone) = (setting.directory.display(), zone::FILE);
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
    let file = setting.write("knot.conf", &text);
    let mut command = setting.program(Software::Knot);
    command.arg("-c").arg(file);
    command
}
