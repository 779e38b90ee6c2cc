//! `cargo xtask build`: one self-contained binary.

use anyhow::Result;

use crate::cargo::{Binary, build_release};
use crate::setup::{self, Consent, Need, say};

/// The agent and command line.
pub(crate) const NSID: Binary = Binary { package: "nsid-user", name: "nsid" };

pub(crate) fn build(consent: Consent) -> Result<()> {
    setup::prepare(&[Need::Build], consent)?;
    let [nsid] = build_release(&[NSID])?;
    say(format_args!("built {}", nsid.display()));
    Ok(())
}
