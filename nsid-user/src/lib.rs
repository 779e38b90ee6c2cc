//! The agent and command line of nsid, as a library for its binary and its tests.

pub mod cli;
pub mod config;

pub mod form;
pub mod name;

pub mod claim;
pub mod store;

pub mod datapath;

pub mod agent;
pub mod detach;
pub mod names;
pub mod probe;
pub mod release;
pub mod set;
pub mod state;
pub mod status;
pub mod switch;
pub mod upgrade;

pub mod clock;
mod hex;
pub mod host;
pub mod lines;
mod pace;
mod plain;
