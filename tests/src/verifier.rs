//! How much of the programs the kernel's verifier may go through. Its own limit is a million instructions
//! (`BPF_COMPLEXITY_LIMIT_INSNS`, include/linux/bpf.h); we stay well below.

use std::fs;

/// The running kernel's version, to the second number.
pub fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    let mut numbers = release.split(['.', '-', '+']).map(|number| number.parse().expect("a number"));
    (numbers.next().expect("a version"), numbers.next().expect("a second number"))
}

/// Instructions of a program that it may go through, at most, on the running kernel.
pub fn limit() -> u32 {
    /// On Linux 6.1, whose verifier remembers less.
    const UP_TO_6_1: u32 = 30_000;
    const LATER: u32 = 25_000;
    if kernel() < (6, 2) { UP_TO_6_1 } else { LATER }
}
