//! NSD, of Debian's package `nsd`.

use std::{path::Path, process::Command};

use super::{Options, configured, zone};
use crate::{link::Addresses, netns::Namespace};

pub(super) fn command(
    namespace: &Namespace,
    Addresses { v4, v6 }: Addresses,
    options: Options<'_>,
    directory: &Path,
) -> Command {
    let nsid = options.own_nsid.map_or_else(String::new, |nsid| format!("nsid: \"ascii_{nsid}\""));
    let (state, zone) = (directory.display(), zone::FILE);
    let text = format!(
        r#"
server:
  ip-address: {v4}
  ip-address: {v6}
  username: ""
  pidfile: ""
  database: ""
  zonesdir: "{state}"
  xfrdir: "{state}"
  xfrdfile: "{state}/xfrd.state"
  zonelistfile: "{state}/zone.list"
  cookie-secret-file: ""
  # The prober asks for one name from one address without a pause.
  rrl-ratelimit: 0
  {nsid}
remote-control:
  control-enable: no
zone:
  name: example.test
  zonefile: {zone}
"#
    );
    configured(namespace, "/usr/sbin/nsd", directory, &text)
}
