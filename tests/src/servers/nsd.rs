//! NSD, of Debian's package `nsd`.

use std::process::Command;

use super::{Setting, Software, tsig, zone};
use crate::link::Addresses;

pub(super) fn command(setting: &Setting<'_>) -> Command {
    let Addresses { v4, v6 } = setting.addresses;
    on(&[v4.to_string(), v6.to_string()], setting)
}

/// On addresses as NSD writes them: `ADDRESS` or `ADDRESS@PORT`.
pub(super) fn on(addresses: &[String], setting: &Setting<'_>) -> Command {
    let nsid = setting.own_nsid(|nsid| format!("nsid: \"ascii_{nsid}\"\n  identity: \"{nsid}\""));
    let listen: Vec<String> = addresses.iter().map(|address| format!("  ip-address: {address}")).collect();
    let listen = listen.join("\n");
    let (state, zone) = (setting.directory.display(), zone::FILE);
    let (key, secret) = (tsig::KEY, tsig::SECRET);
    let text = format!(
        r#"
server:
{listen}
  username: ""
  pidfile: ""
  database: ""
  zonesdir: "{state}"
  xfrdir: "{state}"
  xfrdfile: "{state}/xfrd.state"
  zonelistfile: "{state}/zone.list"
  cookie-secret-file: ""
  # One client asks for one name from one address without a pause.
  rrl-ratelimit: 0
  {nsid}
remote-control:
  control-enable: no
key:
  name: "{key}"
  algorithm: hmac-sha256
  secret: "{secret}"
zone:
  name: example.test
  zonefile: {zone}
zone:
  name: broken.test
  zonefile: missing
"#
    );
    let file = setting.write("nsd.conf", &text);
    let mut command = setting.program(Software::Nsd);
    command.arg("-d").arg("-c").arg(file);
    command
}
