//! BIND, of Debian's package `bind9`.

use std::{path::Path, process::Command};

use super::{Options, Software, tsig, write, zone};
use crate::{link::Addresses, netns::Namespace};

pub(super) fn command(
    namespace: &Namespace,
    Addresses { v4, v6 }: Addresses,
    options: Options<'_>,
    directory: &Path,
) -> Command {
    let nsid = options.own_nsid.map_or_else(String::new, |nsid| format!("server-id \"{nsid}\";"));
    let (state, zone) = (directory.display(), zone::FILE);
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
    let file = write(directory, "named.conf", &text);
    let mut command = namespace.command(Software::Bind.program());
    command.args(["-g", "-n", "1", "-c"]).arg(file);
    command
}
