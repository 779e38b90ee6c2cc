//! dnsdist, of Debian's package of that name.
//!
//! Its cache keeps what it was answered, NSID included, and tells that to whoever asks for NSID.

use std::{path::Path, process::Command};

use super::{Software, upstream, write};
use crate::{link::Addresses, netns::Namespace};

pub(super) fn command(namespace: &Namespace, Addresses { v4, v6 }: Addresses, directory: &Path) -> Command {
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
    let file = write(directory, "dnsdist.conf", &text);
    let mut command = namespace.command(Software::Dnsdist.program());
    command.args(["--supervised", "--disable-syslog", "-C"]).arg(file);
    command
}
