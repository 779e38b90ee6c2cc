//! gdnsd, of Debian's package of that name.

use std::{fs, process::Command};

use super::{Intake, Setting, Software, zone};
use crate::link::Addresses;

pub(super) fn command(setting: &Setting<'_>) -> Command {
    let Addresses { v4, v6 } = setting.addresses;
    let nsid = setting.own_nsid(|nsid| format!("nsid_ascii => \"{nsid}\"\n  chaos_response => \"{nsid}\""));
    let threads =
        if setting.options.intake == Intake::Sockets { "" } else { "udp_threads => 1\n  tcp_threads => 1" };
    let state = setting.directory.display();
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
    setting.write("config", &text);
    // It takes a file below `zones` for each zone, of that name.
    let zones = setting.directory.join("zones");
    fs::create_dir(&zones).expect("a directory of our own");
    fs::copy(setting.directory.join(zone::FILE), zones.join("example.test")).expect("the zone was written");
    let mut command = setting.program(Software::Gdnsd);
    command.arg("-c").arg(setting.directory).arg("start");
    command
}
