//! What is attached to an interface, asked of the kernel.

use std::{io, path::Path};

use crate::{
    bpf::{BPF_PROG_QUERY, bpf, interface_index},
    netns::Namespace,
};

/// How many programs of each hook an interface has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// XDP, in any mode.
    pub xdp: usize,
    /// tcx ingress.
    pub tcx_ingress: u32,
    /// tcx egress.
    pub tcx_egress: u32,
}

/// Looks at an interface.
pub fn attached(namespace: &Namespace, interface: &str) -> Attached {
    let link = namespace.ip_shows(&format!("-d link show dev {interface}"));
    let tcx = |hook| {
        let count = namespace.enter(|| tcx_count(hook, interface_index(interface)?));
        count.unwrap_or_else(|error| panic!("programs of {interface}: {error}"))
    };
    Attached {
        xdp: link.lines().filter(|line| line.contains("prog/xdp")).count(),
        tcx_ingress: tcx(BPF_TCX_INGRESS),
        tcx_egress: tcx(BPF_TCX_EGRESS),
    }
}

/// The directories that an instance has on the host, pins and state.
pub fn directories(instance: &str) -> Vec<String> {
    let all = ["/sys/fs/bpf/nsid", "/run/nsid"].map(|above| format!("{above}/{instance}"));
    all.into_iter().filter(|directory| Path::new(directory).exists()).collect()
}

// From include/uapi/linux/bpf.h.
const BPF_TCX_INGRESS: u32 = 46;
const BPF_TCX_EGRESS: u32 = 47;

/// `union bpf_attr` for `BPF_PROG_QUERY`; with no room for ids, only the count comes back.
#[repr(C)]
#[derive(Default)]
struct ProgQuery {
    target_ifindex: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    count: u32,
    reserved: u32,
}

fn tcx_count(hook: u32, interface: u32) -> io::Result<u32> {
    let mut query = ProgQuery { target_ifindex: interface, attach_type: hook, ..ProgQuery::default() };
    bpf(BPF_PROG_QUERY, &mut query)?;
    Ok(query.count)
}
