//! `nsid detach`: takes everything of an instance off the host, whatever state it is in.

use std::{os::fd::OwnedFd, time::Instant};

use anyhow::{Context, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Signal, pidfd_send_signal},
};

use crate::{
    config::InstanceName,
    datapath::{Pins, Tc, remove_filters},
    host::{
        control,
        instance::Instance,
        lock::InstanceLock,
        namespaces::{self, NetNs},
        process, state as file,
    },
    state::State,
};

/// Ends the agent, first by asking it to; then removes links, maps and files.
pub fn detach(instance: &InstanceName) -> Result<()> {
    let instance = Instance::new(instance.as_str());
    let pins = Pins::of(&instance);
    end(&instance)?;
    let lock = InstanceLock::acquire(&instance)?;
    // One of another version is no hindrance: pins tell all but the filters of kernels without tcx.
    if let Ok(Some(state)) = file::read::<State>(&instance) {
        remove_all_filters(&state)?;
    }
    pins.remove().context("cannot remove the pins")?;
    lock.remove_files().context("cannot remove the files")
}

fn end(instance: &Instance) -> Result<()> {
    let Some(agent) = process::find(instance)? else { return Ok(()) };
    for signal in [Signal::TERM, Signal::KILL] {
        match pidfd_send_signal(&agent, signal) {
            // It has ended in the meantime.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot end the agent of '{}'", instance.name()));
            }
        }
        if has_ended(&agent).context("cannot wait for the agent's end")? {
            break;
        }
    }
    Ok(())
}

/// Whether a process ends in time. It has then closed all that it held: links outlive the lock of their instance until
/// that.
fn has_ended(process: &OwnedFd) -> Result<bool, Errno> {
    let until = Instant::now() + control::LIMIT;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("a limit of seconds fits");
        match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&left)) {
            Err(Errno::INTR) => {}
            polled => return polled.map(|ready| ready > 0),
        }
    }
}

fn remove_all_filters(state: &State) -> Result<()> {
    let filters = state.interfaces.iter().filter(|attached| attached.tc == Tc::Clsact);
    let filters: Vec<_> = filters.collect();
    if filters.is_empty() {
        return Ok(());
    }
    if NetNs::current()? != state.netns && !namespaces::enter(state.netns)? {
        // The namespace is gone, and with it its interfaces.
        return Ok(());
    }
    for attached in filters {
        remove_filters(&attached.name);
    }
    Ok(())
}
