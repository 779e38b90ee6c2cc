//! `static`: a name given by hand.

use tokio::sync::watch;

use super::{Event, Report, Voice, stopped, until};
use crate::clock::{self, BootTime, Deadline};
use crate::name::NodeName;

/// Says a name that nobody else can be given until `stop` becomes true or its sender is gone.
///
/// It has no deadline, and is said on if this process dies.
pub async fn fixed<V: Voice>(
    name: NodeName,
    mut voice: V,
    report: &Report,
    stop: &mut watch::Receiver<bool>,
) {
    voice.say(&name, Deadline::Never);
    report.progress.held(None);
    report.event(Event::Ready(name.clone()));
    stopped(stop).await;
    voice.silence();
    until(BootTime::now().saturating_add(clock::silence())).await;
    report.progress.released();
    report.event(Event::Lost(name));
}
