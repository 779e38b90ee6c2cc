//! The resolver of `PowerDNS`, of Debian's package `pdns-recursor`.
//!
//! It drops what comes from an address that `allow-from` does not have, and says nothing of that.

use std::process::Command;

use super::{Setting, Software, upstream};
use crate::link::Addresses;

pub(super) fn command(setting: &Setting<'_>) -> Command {
    let Addresses { v4, v6 } = setting.addresses;
    let nsid = setting.own_nsid(|nsid| format!("server-id={nsid}"));
    let (state, upstream) = (setting.directory.display(), upstream::ADDRESS);
    // It has no setting that refuses; and what its servers refuse is a SERVFAIL of its own.
    let refuse = "
refused = newDN('refused.test.')
function preresolve(query)
  if not query.qname:isPartOf(refused) then return false end
  query.rcode = pdns.REFUSED
  return true
end
";
    setting.write("refuse.lua", refuse);
    let text = format!(
        "
local-address={v4}, {v6}
allow-from=10.77.0.0/16, fd77::/16
# Else not on loopback.
dont-query=
forward-zones=example.test={upstream}, broken.test={upstream}
lua-dns-script={state}/refuse.lua
# There is no root here to validate from.
dnssec=process-no-validate
socket-dir={state}
disable-syslog=yes
security-poll-suffix=
{nsid}
"
    );
    setting.write("recursor.conf", &text);
    let mut command = setting.program(Software::PowerdnsRecursor);
    command.arg(format!("--config-dir={state}")).args(["--daemon=no"]);
    command
}
