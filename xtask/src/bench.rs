//! `cargo xtask bench`: what nsid costs on this machine.

use anyhow::Result;
use clap::Args;

use crate::build::NSID;
use crate::cargo::{Binary, build_release};
use crate::root::{as_root, become_command};
use crate::setup::{self, Consent, Need, Purpose};

/// The measuring program: reads the path of the nsid binary from `NSID_BIN`.
const BENCH: Binary = Binary { package: "nsid-tests", name: "bench" };

#[derive(Args)]
pub(crate) struct Arguments {
    /// Print rows of JSON on stdout
    #[arg(long)]
    json: bool,

    /// Measure only the rows whose name contains this
    #[arg(value_name = "ROW")]
    filter: Option<String>,
}

pub(crate) fn bench(Arguments { json, filter }: &Arguments, consent: Consent) -> Result<()> {
    setup::prepare(&[Need::Build, Need::Programs(Purpose::Bench)], consent)?;
    let [nsid, bench] = build_release(&[NSID, BENCH])?;
    let mut command = as_root(&bench, &[("NSID_BIN", nsid.as_os_str())])?;
    if *json {
        command.arg("--json");
    }
    command.args(filter);
    become_command(command)
}
