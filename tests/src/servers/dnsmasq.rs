//! dnsmasq, of Debian's package `dnsmasq-base`.

use std::process::Command;

use super::{Setting, Software, upstream};
use crate::link::Addresses;

pub(super) fn command(setting: &Setting<'_>) -> Command {
    let Addresses { v4, v6 } = setting.addresses;
    let (ip, port) = (upstream::ADDRESS.ip(), upstream::ADDRESS.port());
    let text = format!(
        "
listen-address={v4}
listen-address={v6}
bind-interfaces
no-resolv
no-hosts
user=root
pid-file=
log-facility=-
server=/example.test/broken.test/{ip}#{port}
"
    );
    let file = setting.write("dnsmasq.conf", &text);
    let mut command = setting.program(Software::Dnsmasq);
    command.args(["--keep-in-foreground", &format!("--conf-file={}", file.display())]);
    command
}
