//! gdnsd, of Debian's package of that name.

use std::{fs, path::Path, process::Command};

use super::{Intake, Options, Software, write, zone};
use crate::{link::Addresses, netns::Namespace};

pub(super) fn command(
    namespace: &Namespace,
    Addresses { v4, v6 }: Addresses,
    options: Options<'_>,
    directory: &Path,
) -> Command {
    let nsid = options
        .own_nsid
        .map_or_else(String::new, |nsid| format!("nsid_ascii => \"{nsid}\"\n  chaos_response => \"{nsid}\""));
    let threads = if options.intake == Intake::Sockets { "" } else { "udp_threads => 1\n  tcp_threads => 1" };
    let state = directory.display();
    let text = format!(
        r#"
options => {{
  listen => [ "{v4}", "{v6}" ]
  run_dir => "{state}"
  state_dir => "{state}"
  {nsid}
  {threads}
}}
"#
    );
    write(directory, "config", &text);
    // It takes a file below `zones` for each zone, of that name.
    let zones = directory.join("zones");
    fs::create_dir(&zones).expect("a directory of our own");
    fs::copy(directory.join(zone::FILE), zones.join("example.test")).expect("the zone was written");
    let mut command = namespace.command(Software::Gdnsd.program());
    command.arg("-c").arg(directory).arg("start");
    command
}
