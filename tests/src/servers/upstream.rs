//! The authoritative server behind those that have no zone of their own: NSD on a port of the namespace's own `lo`.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::{Setting, nsd, until_it_answers};
use crate::{client::Client, process::Process};

/// Where it is asked.
pub(super) const ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5300);

/// Starts it, with the zone of the one before it.
pub(super) fn start(setting: &Setting<'_>) -> Process {
    let address = format!("{}@{}", ADDRESS.ip(), ADDRESS.port());
    let mut command = nsd::on(&[address], setting);
    let mut process = Process::start("upstream", &mut command, setting.directory);
    until_it_answers(&mut process, &Client::inside(setting.namespace, ADDRESS));
    process
}
