//! BIND, of Debian's package `bind9`.

use std::process::Command;

use super::{Setting, Software, tsig, zone};
use crate::link::Addresses;

pub(super) fn command(setting: &Setting<'_>) -> Command {
    let Addresses { v4, v6 } = setting.addresses;
    let nsid = setting.own_nsid(|nsid| format!("server-id \"{nsid}\";"));
    let (state, zone) = (setting.directory.display(), zone::FILE);
    let (key, secret) = (tsig::KEY, tsig::SECRET);
    let text = format!(
        r#"
options {{
  directory "{state}";
  pid-file none;
  session-keyfile none;
  listen-on {{ {v4}; }};
  listen-on-v6 {{ {v6}; }};
  recursion no;
  dnssec-validation no;
  # Answers are compared byte by byte.
  rrset-order {{ order none; }};
  {nsid}
}};
controls {{ }};
key "{key}" {{ algorithm hmac-sha256; secret "{secret}"; }};
zone "example.test" {{ type primary; file "{zone}"; }};
zone "broken.test" {{ type primary; file "missing"; }};
"#
    );
    let file = setting.write("named.conf", &text);
    let mut command = setting.program(Software::Bind);
    command.args(["-g", "-n", "1", "-c"]).arg(file);
    command
}
