//! `nsid names --watch`: shows the names again whenever they have changed.

use std::{thread, time::Duration};

use anyhow::Result;

use super::{Names, Told, ask};
use crate::{config::InstanceName, lines};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Shows what there is, and then each change, for as long as `show` works. That the agent or its store does not answer is
/// told on stderr, once, and waited out.
pub fn watch(
    instance: &InstanceName,
    pool: Option<&str>,
    mut show: impl FnMut(&Names) -> Result<()>,
) -> Result<()> {
    let (mut shown, mut trouble) = (None, None);
    loop {
        match ask(instance, pool)? {
            Told::Names(now) => {
                trouble = None;
                if shown.as_ref() != Some(&now) {
                    show(&now)?;
                    shown = Some(now);
                }
            }
            Told::NotNow(why) => {
                if trouble.as_ref() != Some(&why) {
                    lines::STDERR.say(format!("{why}\n"));
                    trouble = Some(why);
                }
            }
        }
        thread::sleep(LOOK);
    }
}
