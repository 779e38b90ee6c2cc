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
                let timeless = timeless(&now);
                if shown.as_ref() != Some(&timeless) {
                    show(&now)?;
                    shown = Some(timeless);
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

/// Who has what, and not since when: witnesses tell for how long, which is another time of the day at each look, by some
/// milliseconds. A name that somebody has anew has another token.
fn timeless(names: &Names) -> Names {
    let mut names = names.clone();
    names.pools.iter_mut().flat_map(|pool| &mut pool.names).for_each(|held| held.since_ms = 0);
    names
}
