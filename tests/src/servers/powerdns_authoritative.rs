//! The authoritative server of `PowerDNS`, of Debian's packages `pdns-server` and `pdns-backend-bind`.

use std::process::Command;

use super::{Dnssec, Setting, Software, tsig, zone};
use crate::{link::Addresses, process::run};

pub(super) fn command(setting: &Setting<'_>) -> Command {
    let Addresses { v4, v6 } = setting.addresses;
    let nsid = setting.own_nsid(|nsid| format!("server-id={nsid}"));
    let (state, zone) = (setting.directory.display(), zone::FILE);
    setting.write(
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
    setting.write("pdns.conf", &text);
    let tool = |arguments: &[&str]| {
        run(Command::new("pdnsutil").arg("--config-dir").arg(setting.directory).args(arguments))
    };
    tool(&["create-bind-db", &format!("{state}/keys.db")]);
    tool(&["import-tsig-key", tsig::KEY, "hmac-sha256", tsig::SECRET]);
    if setting.options.dnssec == Dnssec::Signed {
        tool(&["set-presigned", "example.test"]);
    }
    let mut command = setting.program(Software::PowerdnsAuthoritative);
    command.arg(format!("--config-dir={state}")).args(["--daemon=no", "--guardian=no"]);
    command
}
