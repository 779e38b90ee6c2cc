//! Where a configuration was read from, to read it again.

use std::path::PathBuf;

use super::{Config, ConfigError, ServiceSettings, Settings};

/// The command line and the file that it names.
#[derive(Clone, Debug)]
pub struct Source {
    /// Flags of the agent.
    pub agent: Settings,
    /// Flags of its service.
    pub service: ServiceSettings,
    /// The file, if there is one.
    pub file: Option<PathBuf>,
}

impl Source {
    /// What they say now.
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.agent.clone(), self.service.clone(), self.file.as_deref())
    }
}
