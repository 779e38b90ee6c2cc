//! `nsid names --watch`: shows the names again whenever they have changed.

use std::{thread, time::Duration};

use anyhow::Result;

use super::{Names, names};
use crate::config::InstanceName;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Shows what there is, and then each change, for as long as `show` works and the agent tells.
pub fn watch(
    instance: &InstanceName,
    pool: Option<&str>,
    mut show: impl FnMut(&Names) -> Result<()>,
) -> Result<()> {
    let mut shown = None;
    loop {
        let now = names(instance, pool)?;
        if shown.as_ref() != Some(&now) {
            show(&now)?;
            shown = Some(now);
        }
        thread::sleep(LOOK);
    }
}
