//! hickory-dns, as `cargo xtask setup` builds it: Debian has no package.

use std::process::Command;

use super::{Setting, Software, zone};
use crate::link::Addresses;

pub(super) fn command(setting: &Setting<'_>) -> Command {
    let Addresses { v4, v6 } = setting.addresses;
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
    let file = setting.write("named.toml", &text);
    let mut command = setting.program(Software::Hickory);
    command.arg("-c").arg(file).arg("-z").arg(setting.directory);
    if let Some(nsid) = setting.options.own_nsid {
        command.args(["--nsid", nsid]);
    }
    command
}
