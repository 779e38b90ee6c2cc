//! What the numbers depend on, said beside them: CPU, its mitigations, kernel, and what else runs.

use std::fs;

/// What makes a return dear, and with it every call of a helper or a subprogram.
const RETURN_MITIGATION: &str = "/sys/devices/system/cpu/vulnerabilities/spec_rstack_overflow";

/// Tells on stderr.
#[expect(clippy::print_stderr, reason = "stdout is for the rows")]
pub(crate) fn describe() {
    let read = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    eprintln!("cpu: {}", model.trim_start_matches(['\t', ' ', ':']));
    eprintln!("return mitigation: {}", read(RETURN_MITIGATION));
    eprintln!("kernel: {}", read("/proc/sys/kernel/osrelease"));
    eprintln!("load: {}", read("/proc/loadavg"));
}
