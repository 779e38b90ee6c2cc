//! `cargo xtask run`: the demo, or the agent on an interface.

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;

use crate::build::NSID;
use crate::cargo::{Binary, build_release};
use crate::root::{as_root, become_command};
use crate::setup::{self, Consent, Need, Purpose};

/// The demo: reads the path of the nsid binary from `NSID_BIN`, exits 0 only if every fact it showed was checked.
const DEMO: Binary = Binary { package: "nsid-tests", name: "demo" };

#[derive(Args)]
pub(crate) struct Arguments {
    /// With --iface or --config: arguments of `nsid run`; else of the demo
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

pub(crate) fn run(Arguments { arguments }: &Arguments, consent: Consent) -> Result<()> {
    let mut command = if for_the_agent(arguments) {
        setup::prepare(&[Need::Build], consent)?;
        let [nsid] = build_release(&[NSID])?;
        let mut agent = as_root(&nsid, &[])?;
        agent.arg("run");
        agent
    } else {
        let mut needs = vec![Need::Build, Need::Programs(Purpose::Demo)];
        if on_zookeeper(arguments) {
            needs.push(Need::Programs(Purpose::DemoOnZooKeeper));
        }
        setup::prepare(&needs, consent)?;
        let [nsid, demo] = build_release(&[NSID, DEMO])?;
        as_root(&demo, &[("NSID_BIN", nsid.as_os_str())])?
    };
    command.args(arguments);
    become_command(command)
}

/// Whether the arguments name an interface, or the file that does.
fn for_the_agent(arguments: &[OsString]) -> bool {
    arguments.iter().filter_map(|argument| argument.to_str()).any(|argument| {
        let flag = argument.split_once('=').map_or(argument, |(flag, _)| flag);
        flag == "--iface" || flag == "--config"
    })
}

/// Whether the demo is to have its names from there, which takes Java.
fn on_zookeeper(arguments: &[OsString]) -> bool {
    let joined = arguments.iter().any(|argument| argument == "--store=zk");
    joined || arguments.windows(2).any(|pair| pair[0] == "--store" && pair[1] == "zk")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naming_an_interface_runs_the_agent() {
        for (arguments, agent) in [
            (&["--iface", "eth0"][..], true),
            (&["--store", "local", "--iface=eth0"], true),
            (&["--config", "nsid.toml"], true),
            (&[], false),
            (&["--store", "etcd"], false),
            (&["--store=etcd"], false),
            (&["--ifaces"], false),
        ] {
            let given: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            assert_eq!(for_the_agent(&given), agent, "{arguments:?}");
        }
    }

    #[test]
    fn only_the_demo_on_zookeeper_takes_java() {
        for (arguments, on) in [
            (&["--store", "zk"][..], true),
            (&["--store=zk"], true),
            (&[], false),
            (&["--store", "etcd"], false),
            (&["zk", "--store"], false),
        ] {
            let given: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            assert_eq!(on_zookeeper(&given), on, "{arguments:?}");
        }
    }
}
