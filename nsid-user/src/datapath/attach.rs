//! Attaches the programs to an interface, and takes over the links of the instance's last run.

use std::{fs, io};

use aya::programs::{
    ProgramError, SchedClassifier, TcAttachType, Xdp,
    links::{FdLink, LinkError},
    loaded_programs,
    tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle},
    xdp::{XdpLink, XdpMode},
};
use aya::util::KernelVersion;
use nsid_common::maps::INTERFACES;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    load::{Datapath, EGRESS, INGRESS, program},
    pins::{Side, owner_of_program},
};
use crate::host::{links::Link, namespaces::NetNs};
