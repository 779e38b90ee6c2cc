//! NSD, of Debian's package `nsd`.

use std::{path::Path, process::Command};

use super::{Options, Software, tsig, write, zone};
use crate::{link::Addresses, netns::Namespace};

pub(super) fn command(
    namespace: &Namespace,
    Addresses { v4, v6 }: Addresses,
    options: Options<'_>,
    directory: &Path,
) -> Command {
    on(&[v4.to_string(), v6.to_string()], namespace, options, directory)
}

/// On addresses as NSD writes them: `ADDRESS` or `ADDRESS@PORT`.
pub(super) fn on(
    addresses: &[String],
    namespace: &Namespace,
    options: Options<'_>,
    directory: &Path,
) -> Command {
    let nsid = options
        .own_nsid
        .map_or_else(String::new, |nsid| format!("nsid: \"ascii_{nsid}\"\n  identity: \"{nsid}\""));
    let listen: Vec<String> = addresses.iter().map(|address| format!("  ip-address: {address}")).collect();
    let listen = listen.join("\n");
    let (state, zone) = (directory.display(), zone::FILE);
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
    let file = write(directory, "nsd.conf", &text);
    let mut command = namespace.command(Software::Nsd.program());
    command.arg("-d").arg("-c").arg(file);
    command
}
