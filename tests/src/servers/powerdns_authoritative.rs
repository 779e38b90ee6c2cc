//! The authoritative server of `PowerDNS`, of Debian's packages `pdns-server` and `pdns-backend-bind`.

use std::{path::Path, process::Command};

use super::{Dnssec, Options, Software, tsig, write, zone};
use crate::{link::Addresses, netns::Namespace, process::run};

pub(super) fn command(
    namespace: &Namespace,
    Addresses { v4, v6 }: Addresses,
    options: Options<'_>,
    directory: &Path,
) -> Command {
    let nsid = options.own_nsid.map_or_else(String::new, |nsid| format!("server-id={nsid}"));
    let (state, zone) = (directory.display(), zone::FILE);
    write(
        directory,
        "zones.conf",
        &format!(
            r#"
options {{ directory "{state}"; }};
zone "example.test" {{ type master; file "{zone}"; }};
zone "broken.test" {{ type master; file "missing"; }};
"#
        ),
    );
    let text = format!(
        "
launch=bind
bind-config={state}/zones.conf
bind-dnssec-db={state}/keys.db
local-address={v4}, {v6}
socket-dir={state}
disable-syslog=yes
{nsid}
"
    );
    write(directory, "pdns.conf", &text);
    let tool =
        |arguments: &[&str]| run(Command::new("pdnsutil").arg("--config-dir").arg(directory).args(arguments));
    tool(&["create-bind-db", &format!("{state}/keys.db")]);
    tool(&["import-tsig-key", tsig::KEY, "hmac-sha256", tsig::SECRET]);
    if options.dnssec == Dnssec::Signed {
        tool(&["set-presigned", "example.test"]);
    }
    let mut command = namespace.command(Software::PowerdnsAuthoritative.program());
    command.arg(format!("--config-dir={state}")).args(["--daemon=no", "--guardian=no"]);
    command
}
