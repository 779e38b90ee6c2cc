//! dnsmasq, of Debian's package `dnsmasq-base`.

use std::{path::Path, process::Command};

use super::{Software, upstream, write};
use crate::{link::Addresses, netns::Namespace};

pub(super) fn command(namespace: &Namespace, Addresses { v4, v6 }: Addresses, directory: &Path) -> Command {
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
    let file = write(directory, "dnsmasq.conf", &text);
    let mut command = namespace.command(Software::Dnsmasq.program());
    command.args(["--keep-in-foreground", &format!("--conf-file={}", file.display())]);
    command
}
