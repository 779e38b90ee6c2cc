//! dnsdist, of Debian's package of that name.
//!
//! Its cache keeps what it was answered, NSID included, and tells that to whoever asks for NSID.

use std::process::Command;

use super::{Setting, Software, upstream};
use crate::link::Addresses;

pub(super) fn command(setting: &Setting<'_>) -> Command {
    let Addresses { v4, v6 } = setting.addresses;
    let upstream = upstream::ADDRESS;
    let text = format!(
        r#"
setLocal("{v4}:53")
addLocal("[{v6}]:53")
setACL({{ "10.77.0.0/16", "fd77::/16" }})
setSecurityPollSuffix("")
newServer({{ address = "{upstream}" }}):setUp()
getPool(""):setCache(newPacketCache(1000))
"#
    );
    let file = setting.write("dnsdist.conf", &text);
    let mut command = setting.program(Software::Dnsdist);
    command.args(["--supervised", "--disable-syslog", "-C"]).arg(file);
    command
}
