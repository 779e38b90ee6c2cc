//! The authoritative server behind those that have no zone of their own: NSD on a port of the namespace's own `lo`.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    path::Path,
};

use super::{Options, nsd, until_it_answers};
use crate::{client::Client, netns::Namespace, process::Process};

/// Where it is asked.
pub(super) const ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5300);

/// Starts it, with the zone in `directory`.
pub(super) fn start(namespace: &Namespace, options: Options<'_>, directory: &Path) -> Process {
    let address = format!("{}@{}", ADDRESS.ip(), ADDRESS.port());
    let mut command = nsd::on(&[address], namespace, options, directory);
    let mut process = Process::start("upstream", &mut command, directory);
    until_it_answers(&mut process, &Client::inside(namespace, ADDRESS));
    process
}
