//! hickory-dns, as `cargo xtask setup` builds it: Debian has no package.

use std::{path::Path, process::Command};

use super::{Options, Software, write, zone};
use crate::{link::Addresses, netns::Namespace};

pub(super) fn command(
    namespace: &Namespace,
    Addresses { v4, v6 }: Addresses,
    options: Options<'_>,
    directory: &Path,
) -> Command {
    let text = format!(
        r#"
listen_addrs_ipv4 = ["{v4}"]
listen_addrs_ipv6 = ["{v6}"]
user = "root"
group = "root"
[[zones]]
zone = "example.test."
zone_type = "Primary"
file = "{}"
"#,
        zone::FILE
    );
    let file = write(directory, "named.toml", &text);
    let mut command = namespace.command(Software::Hickory.program());
    command.arg("-c").arg(file).arg("-z").arg(directory);
    if let Some(nsid) = options.own_nsid {
        command.args(["--nsid", nsid]);
    }
    command
}
