//! `cargo xtask conformance`: every rule with every DNS server, and docs/conformance.md written anew.

use anyhow::Result;

use crate::build::NSID;
use crate::cargo::build_release;
use crate::root::become_command;
use crate::setup::{self, Consent, Running};
use crate::test;

/// What has the test write the page, and not compare it.
const MODE: (&str, &str) = ("NSID_CONFORMANCE", "write");

pub(crate) fn conformance(consent: Consent) -> Result<()> {
    let beside = setup::begin(&test::NEEDS, consent)?;
    let [nsid] = build_release(&[NSID])?;
    beside.into_iter().try_for_each(Running::wait)?;
    let mut test = test::cargo_test(&nsid)?;
    test.args(["--package", "nsid-tests", "--test", "conformance"]).env(MODE.0, MODE.1);
    become_command(test)
}
