//! What a verb asks of a running agent, over its control socket, and what the agent answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// To go on as that program.
    Upgrade {
        /// Its path, where pins and files are: in the host's mount namespace.
        binary: PathBuf,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is being done.
    Accepted,
    /// It cannot be done, and nothing has changed.
    Refused {
        /// Why.
        why: String,
    },
}
