//! `nsid on` and `nsid off`: one word of a pinned map, whatever the agent does.

use anyhow::{Context, Result};

use crate::{
    config::InstanceName,
    datapath::{Maps, Pins},
    host::instance::Instance,
};

/// Has an instance's names said, or none of them.
pub fn set(instance: &InstanceName, enabled: bool) -> Result<()> {
    let any = Maps::set_enabled_in_all(&Pins::of(&Instance::new(instance.as_str())), enabled)?;
    any.then_some(()).with_context(|| absent(instance))
}

/// The maps of an instance that is on this host.
pub(crate) fn maps(instance: &InstanceName) -> Result<Maps> {
    Maps::of(&Pins::of(&Instance::new(instance.as_str())))?.with_context(|| absent(instance))
}

fn absent(instance: &InstanceName) -> String {
    format!("instance '{instance}' is not on this host; `nsid run --instance {instance}` starts it")
}
