//! Unbound, of Debian's package `unbound`.

use std::{path::Path, process::Command};

use super::{Options, Software, write, zone};
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
  interface: {v4}
  interface: {v6}
  username: ""
  chroot: ""
  pidfile: ""
  directory: "{state}"
  use-syslog: no
  access-control: 10.77.0.0/16 allow
  access-control: fd77::/16 allow
  # Room for 256 queries while the server is stopped: on veth with XDP each takes a page.
  so-rcvbuf: 4m
  # Answers are compared byte by byte.
  rrset-roundrobin: no
  # Built in is `test. static`, which hides the zone.
  local-zone: "test." nodefault
  local-zone: "refused.test." always_refuse
  {nsid}
remote-control:
  control-enable: no
auth-zone:
  name: example.test
  zonefile: {zone}
# Nobody has this one: it never comes.
auth-zone:
  name: broken.test
  primary: 127.0.0.1@5399
  fallback-enabled: no
"#
    );
    let file = write(directory, "unbound.conf", &text);
    let mut command = namespace.command(Software::Unbound.program());
    command.arg("-d").arg("-c").arg(file);
    command
}
