//! What the numbers depend on, said beside them: CPUs, their mitigations, kernel, and what else runs.

use std::fs;

use serde::{Deserialize, Serialize};

/// What kind of machine it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The model of its CPUs.
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    /// What makes a return dear, and with it every call of a helper or a subprogram.
    pub(crate) return_mitigation: String,
    /// Its version, without what its builder calls it.
    pub(crate) kernel: String,
}

const RETURN_MITIGATION: &str = "/sys/devices/system/cpu/vulnerabilities/spec_rstack_overflow";

impl Machine {
    /// This one.
    pub(crate) fn here() -> Self {
        let cpus = read("/proc/cpuinfo");
        let mut models = cpus.lines().filter_map(|line| line.strip_prefix("model name"));
        let count = models.clone().count();
        let model = models.next().unwrap_or_default().trim_start_matches(['\t', ' ', ':']);
        let release = read("/proc/sys/kernel/osrelease");
        Self {
            cpu: model.to_owned(),
            cpus: count,
            return_mitigation: read(RETURN_MITIGATION),
            kernel: release.split('-').next().unwrap_or_default().to_owned(),
        }
    }
}

/// Tells on stderr.
#[expect(clippy::print_stderr, reason = "stdout is for the rows")]
pub(crate) fn describe() {
    let Machine { cpu, return_mitigation, .. } = Machine::here();
    eprintln!("cpu: {cpu}");
    eprintln!("return mitigation: {return_mitigation}");
    eprintln!("kernel: {}", read("/proc/sys/kernel/osrelease"));
    eprintln!("load: {}", read("/proc/loadavg"));
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}
