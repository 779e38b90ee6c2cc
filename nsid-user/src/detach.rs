//! `nsid detach`: takes everything of an instance off the host, whatever state it is in.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Signal, pidfd_send_signal},
};
use serde::de::IgnoredAny;

use crate::{
    claim::RELEASE_LIMIT,
    config::InstanceName,
    datapath::{Pins, remove_filters},
    host::{
        control::{self, Answer},
        instance::Instance,
        lock::InstanceLock,
        process, state as file,
    },
    state::{State, filtered},
};

/// How long an agent may take to leave: to give its names back, and then some.
const LEAVE: Duration = RELEASE_LIMIT.saturating_add(Duration::from_secs(1));

/// Ends the agent, first by asking it to; then removes links, maps and files.
pub fn detach(instance: &InstanceName) -> Result<()> {
    let instance = Instance::new(instance.as_str());
    let pins = Pins::of(&instance);
    end(&instance)?;
    let lock = InstanceLock::acquire(&instance)?;
    // One of another version is no hindrance: pins tell all but the filters of kernels without tcx.
    if let Ok(Some(state)) = file::read::<State>(&instance) {
        remove_filters(state.netns, filtered(&state.interfaces)).context("cannot remove the filters")?;
    }
    pins.remove().context("cannot remove the pins")?;
    lock.remove_files().context("cannot remove the files")
}

fn end(instance: &Instance) -> Result<()> {
    let Some(agent) = process::find(instance)? else { return Ok(()) };
    // One that is frozen leaves nothing in order, however long it has.
    let lives = matches!(control::ask::<IgnoredAny>(instance, control::LIMIT), Ok(Answer::Running(_)));
    let leave = if lives { LEAVE } else { control::LIMIT };
    for (signal, limit) in [(Signal::TERM, leave), (Signal::KILL, control::LIMIT)] {
        match pidfd_send_signal(&agent, signal) {
            // It has ended in the meantime.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot end the agent of '{}'", instance.name()));
            }
        }
        if has_ended(&agent, limit).context("cannot wait for the agent's end")? {
            break;
        }
    }
    Ok(())
}

/// Whether a process ends in time. It has then closed all that it held: links outlive the lock of their instance until
/// that.
fn has_ended(process: &OwnedFd, limit: Duration) -> Result<bool, Errno> {
    let until = Instant::now() + limit;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("a limit of seconds fits");
        match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&left)) {
            Err(Errno::INTR) => {}
            polled => return polled.map(|ready| ready > 0),
        }
    }
}
