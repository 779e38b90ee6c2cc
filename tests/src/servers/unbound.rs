//! Unbound, of Debian's package `unbound`.

use std::process::Command;

use super::{Setting, Software, zone};
use crate::link::Addresses;

pub(super) fn command(setting: &Setting<'_>) -> Command {
    let Addresses { v4, v6 } = setting.addresses;
    let nsid = setting.own_nsid(|nsid| format!("nsid: \"ascii_{nsid}\""));
    let (state, zone) = (setting.directory.display(), zone::FILE);
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
    let file = setting.write("unbound.conf", &text);
    let mut command = setting.program(Software::Unbound);
    command.arg("-d").arg("-c").arg(file);
    command
}
