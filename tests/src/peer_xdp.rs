//! Programs that pass everything. XDP, for the far end of a veth pair: without a program there, what the near end's sends
//! by `XDP_TX` is dropped (`veth_xdp_xmit`, drivers/net/veth.c, Linux 6.18). And tc, to see what a program costs that
//! does nothing.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::{
    bpf::{BPF_LINK_CREATE, BPF_PROG_LOAD, bpf_fd, interface_index},
    netns::Namespace,
};

/// A program, attached for as long as this is kept.
#[derive(Debug)]
pub struct PassProgram {
    _link: OwnedFd,
}

impl PassProgram {
    /// Attaches XDP to an interface, in native mode.
    pub fn attach(namespace: &Namespace, interface: &str) -> Self {
        Self::at(namespace, interface, &XDP)
    }

    /// Attaches tc to the egress of an interface, by tcx.
    pub fn attach_egress(namespace: &Namespace, interface: &str) -> Self {
        Self::at(namespace, interface, &TCX_EGRESS)
    }

    /// Attaches tc to the ingress of an interface, by tcx.
    pub fn attach_ingress(namespace: &Namespace, interface: &str) -> Self {
        Self::at(namespace, interface, &TCX_INGRESS)
    }

    fn at(namespace: &Namespace, interface: &str, hook: &'static Hook) -> Self {
        let link = namespace.enter(|| link_create(&load(hook)?, interface_index(interface)?, hook));
        Self {
            _link: link.unwrap_or_else(|error| panic!("a program that passes all on {interface}: {error}")),
        }
    }
}

// From include/uapi/linux/bpf.h and if_link.h.
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const BPF_TCX_INGRESS: u32 = 46;
const BPF_TCX_EGRESS: u32 = 47;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// Where a program is attached, and the program.
struct Hook {
    prog_type: u32,
    attach_type: u32,
    flags: u32,
    /// As `struct bpf_insn` on a little-endian machine.
    program: [u64; 2],
}

/// `r0 = XDP_PASS; exit`.
static XDP: Hook = Hook {
    prog_type: BPF_PROG_TYPE_XDP,
    attach_type: BPF_XDP,
    flags: XDP_FLAGS_DRV_MODE,
    program: [0x0000_0002_0000_00b7, 0x95],
};

/// `r0 = TC_ACT_UNSPEC; exit`.
static TCX_EGRESS: Hook = Hook {
    prog_type: BPF_PROG_TYPE_SCHED_CLS,
    attach_type: BPF_TCX_EGRESS,
    flags: 0,
    program: [0xffff_ffff_0000_00b7, 0x95],
};

static TCX_INGRESS: Hook = Hook { attach_type: BPF_TCX_INGRESS, ..TCX_EGRESS };

/// The program's name, as the kernel tells it.
pub const PROGRAM: &str = "nsid_test_pass";
static LICENSE: &[u8] = b"Dual MIT/GPL\0";

/// The head of `union bpf_attr` for `BPF_PROG_LOAD`; the kernel takes what is missing as zero.
#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

/// The head of `union bpf_attr` for `BPF_LINK_CREATE`.
#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

fn load(hook: &'static Hook) -> std::io::Result<OwnedFd> {
    bpf_fd(
        BPF_PROG_LOAD,
        ProgLoad {
            prog_type: hook.prog_type,
            insn_cnt: 2,
            insns: hook.program.as_ptr().addr() as u64,
            license: LICENSE.as_ptr().addr() as u64,
            log_level: 0,
            log_size: 0,
            log_buf: 0,
            kern_version: 0,
            prog_flags: 0,
            prog_name: *b"nsid_test_pass\0\0",
        },
    )
}

fn link_create(program: &OwnedFd, interface: u32, hook: &Hook) -> std::io::Result<OwnedFd> {
    bpf_fd(
        BPF_LINK_CREATE,
        LinkCreate {
            prog_fd: program.as_raw_fd().cast_unsigned(),
            target_ifindex: interface,
            attach_type: hook.attach_type,
            flags: hook.flags,
        },
    )
}
