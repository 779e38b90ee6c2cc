//! Whether this program could go on as the agent of an instance, found out beside the one that runs: nothing is changed.

use std::{fmt, sync::Arc};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Reading, interfaces::Interfaces, look};
use crate::{
    cli::VERSION,
    config::{Config, Source},
    datapath::{Datapath, Options},
    host::{
        instance::Instance,
        links::Netlink,
        namespaces::{NetNs, Origin},
        state as file,
    },
};

/// That it could.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fit {
    /// The version of this program.
    pub nsid: String,
    /// The instance that its configuration names.
    pub instance: String,
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "nsid {}: fit for instance '{}'", self.nsid, self.instance)
    }
}

/// Looks at everything that could be refused at a start.
pub fn check(mut config: Config, source: Source, origin: Origin) -> Result<Fit> {
    let instance = Instance::new(config.instance.as_str());
    if let Some(predecessor) = file::read(&instance)? {
        config.policies = Reading { source, origin: Arc::new(origin) }.kept(&config, &predecessor)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let netns = NetNs::current().context("cannot tell the network namespace")?;
        let netlink = Netlink::open().context("cannot ask the kernel about interfaces")?;
        look(&config, &Interfaces::new(&config, netns), &netlink).await.map(drop)
    })?;
    Datapath::check(Options { observe: config.observe, log_packets: config.log_packets })?;
    Ok(Fit { nsid: VERSION.to_owned(), instance: instance.name().to_owned() })
}
