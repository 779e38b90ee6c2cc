//! `cargo xtask chaos`: faults from outside, on agents and their store of three members, and the report of it.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::build::NSID;
use crate::cargo::{Binary, build_release, workspace};
use crate::root::{as_root, become_command};
use crate::setup::{self, Consent, Need, Purpose};

/// What has the faults happen: reads the path of the nsid binary from `NSID_BIN`, exits 0 only if no name was said by two.
const CHAOS: Binary = Binary { package: "nsid-tests", name: "chaos" };

#[derive(Args)]
pub(crate) struct Arguments {
    /// What the names are from: etcd, zk or peers
    #[arg(long, value_name = "STORE", default_value = "etcd")]
    store: String,

    /// How many faults
    #[arg(long, value_name = "N", default_value_t = 200)]
    faults: usize,

    /// What kinds, victims and times are drawn from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// The lease that agents ask for
    #[arg(long, value_name = "TIME", default_value = "5s")]
    ttl: String,

    /// How long a fault lasts at most
    #[arg(long, value_name = "TIME", default_value = "30s")]
    longest: String,

    /// Where the report is written; docs/chaos-STORE.md, if not here
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

pub(crate) fn chaos(arguments: &Arguments, consent: Consent) -> Result<()> {
    let Arguments { store, faults, seed, ttl, longest, report } = arguments;
    setup::prepare(&[Need::Build, Need::Programs(Purpose::Chaos)], consent)?;
    let [nsid, chaos] = build_release(&[NSID, CHAOS])?;
    let report = match report {
        Some(report) => report.clone(),
        None => workspace()?.join(format!("docs/chaos-{store}.md")),
    };
    let mut command = as_root(&chaos, &[("NSID_BIN", nsid.as_os_str())])?;
    command.args(["--store", store, "--faults", &faults.to_string(), "--seed", &seed.to_string()]);
    command.args(["--ttl", ttl, "--longest", longest]).arg("--report").arg(report);
    become_command(command)
}
