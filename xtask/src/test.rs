//! `cargo xtask test`: every test, from pure functions to real servers in network namespaces.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::build::NSID;
use crate::cargo::{Binary, build_beside_tests, build_release, cargo};
use crate::fuzz;
use crate::kernels;
use crate::root::{become_command, is_root, sudo};
use crate::setup::{self, Consent, HICKORY, Need, Purpose, Running, coredns};

/// What the tests need.
pub(crate) const NEEDS: [Need; 5] = [
    Need::Build,
    Need::Programs(Purpose::Test),
    Need::Programs(Purpose::Kernels),
    Need::CoreDns,
    Need::Hickory,
];

/// Tests at a time: those with servers and deadlines measure time, and two cores are what CI has.
const TEST_THREADS: &str = "2";

/// The agent with its fence taken out, which the test of the fence must catch. Its name is another one, so that it never
/// lies where what is shipped lies.
const WITHOUT_FENCE: Binary = Binary { package: "nsid-user", name: "nsid-without-fence" };

/// The agent that takes slots in etcd by a look and a put, which the search for two that say one name must find.
const WITHOUT_TRANSACTION: Binary = Binary { package: "nsid-user", name: "nsid-without-transaction" };

#[derive(Args)]
pub(crate) struct Arguments {
    /// Run everything of `cargo xtask kernels` too
    #[arg(long)]
    long: bool,

    /// Run only the tests whose name contains this
    filter: Option<String>,
}

pub(crate) fn test(Arguments { long, filter }: &Arguments, consent: Consent) -> Result<()> {
    let beside = setup::begin(&NEEDS, consent)?;
    let [nsid] = build_release(&[NSID])?;
    let without_fence = build_beside_tests(&WITHOUT_FENCE, "without-fence")?;
    let without_transaction = build_beside_tests(&WITHOUT_TRANSACTION, "without-transaction")?;
    if !beside.is_empty() {
        let built = cargo()?.args(["test", "--no-run"]).status().context("cargo does not start")?;
        ensure!(built.success(), "the build of the tests failed: cargo says above why");
        beside.into_iter().try_for_each(Running::wait)?;
    }
    if filter.is_none() {
        fuzz::in_tests()?;
    }
    if *long {
        kernels::newest_of_each_series(None, consent)?;
    }
    let machine = kernels::oldest_and_newest(&nsid)?;
    let mut test = cargo_test(&nsid)?;
    test.env("NSID_WITHOUT_FENCE", without_fence)
        .env("NSID_WITHOUT_TRANSACTION", without_transaction)
        .envs(machine);
    test.arg("--no-fail-fast").args(filter);
    become_command(test)
}

/// `cargo test`, whose tests run as root and find the agent and the servers that were built.
pub(crate) fn cargo_test(nsid: &Path) -> Result<Command> {
    let mut test = cargo()?;
    if !is_root()? {
        let sudo = sudo()?;
        test.arg("--config").arg(format!("target.'cfg(unix)'.runner = ['{}', '-E']", sudo.display()));
    }
    test.arg("test").env("NSID_BIN", nsid).env("RUST_TEST_THREADS", TEST_THREADS);
    test.env("COREDNS_BIN", coredns::path()?).env("HICKORY_BIN", HICKORY.path()?);
    Ok(test)
}
