//! `cargo xtask bench`: what nsid costs on this machine, and what it does under a flood.

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::build::NSID;
use crate::cargo::{Binary, build_release, workspace};
use crate::root::{as_root, become_command};
use crate::setup::{self, Consent, Need, Purpose, coredns};

/// The measuring program: reads the path of the nsid binary from `NSID_BIN`, and of `CoreDNS` from `COREDNS_BIN`.
const BENCH: Binary = Binary { package: "nsid-tests", name: "bench" };

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// Print rows of JSON on stdout
    #[arg(long)]
    json: bool,

    /// Measure only the rows whose name contains this
    #[arg(value_name = "ROW")]
    filter: Option<String>,

    #[command(subcommand)]
    instead: Option<Instead>,
}

#[derive(Subcommand)]
enum Instead {
    /// Flood real DNS servers, and nsid, with queries made in the kernel; write the report in docs/bench
    Flood {
        /// How often everything is measured
        #[arg(long)]
        rounds: Option<usize>,

        /// Measure nothing, and write the report of the docs/bench/flood.json that is there
        #[arg(long)]
        draw: bool,
    },

    /// Let crowds of up to 10,000 claim names from a real etcd, a real ZooKeeper and, of 1000, from three witnesses, beside
    /// other ways to do so; write docs/bench/claims.md
    Claims {
        /// Measure only the rows whose name contains this; the report keeps the others
        #[arg(value_name = "ROW")]
        filter: Option<String>,
    },
}

pub(crate) fn bench(Arguments { json, filter, instead }: &Arguments, consent: Consent) -> Result<()> {
    let mut needs = vec![Need::Build, Need::Programs(Purpose::Bench)];
    if let Some(Instead::Flood { .. }) = instead {
        needs.push(Need::CoreDns);
    }
    setup::prepare(&needs, consent)?;
    let [nsid, bench] = build_release(&[NSID, BENCH])?;
    let coredns = coredns::path()?;
    let paths = [("NSID_BIN", nsid.as_os_str()), ("COREDNS_BIN", coredns.as_os_str())];
    let mut command = as_root(&bench, &paths)?;
    match instead {
        None => {
            if *json {
                command.arg("--json");
            }
            command.args(filter);
        }
        Some(Instead::Claims { filter }) => {
            command.arg("claims").arg("--to").arg(workspace()?.join("docs/bench/claims.md")).args(filter);
        }
        Some(Instead::Flood { rounds, draw }) => {
            command.arg("flood").arg("--to").arg(workspace()?.join("docs/bench"));
            if let Some(rounds) = rounds {
                command.args(["--rounds", &rounds.to_string()]);
            }
            if *draw {
                command.arg("--draw");
            }
        }
    }
    become_command(command)
}
