//! virtio-net, the NIC of most clouds: native XDP in a driver that is not veth, in a virtual machine that is asked from
//! outside.
//!
//! `cargo xtask` makes the machine, and tells by `NSID_MACHINE_KERNEL` and `NSID_MACHINE_INITRD` where it is. Inside runs
//! `src/bin/virtual_server.rs`.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use nsid_tests::{
    checksum_errors::checksum_errors, client::Client, link::Addresses, message::Query, netns::Namespace,
    patience::until, process::Process, servers::PRESENT, unique::Prefix,
};
use serde_json::{Value, json};

/// An emulated machine takes ten seconds on idle cores.
const BOOT: Duration = Duration::from_mins(2);

const NAME: &str = "worker17";

/// A NIC of the machine: its device's properties, and the addresses at this end and at that one.
struct Nic {
    device: &'static str,
    here: Addresses,
    there: Addresses,
}

/// As it is by default: the driver turns the offloads off that keep it from native XDP (`virtnet_xdp_set`,
/// `drivers/net/virtio_net.c`, can by `VIRTIO_NET_F_CTRL_GUEST_OFFLOADS`), and has one pair of queues, which XDP and the
/// stack share (since Linux 5.13). And without checksum offload, so that the kernel here checks what is computed there.
const NICS: [Nic; 2] = [
    Nic { device: "virtio-net-pci", here: Addresses::new(1, 1), there: Addresses::new(1, 2) },
    Nic { device: "virtio-net-pci,csum=off", here: Addresses::new(2, 1), there: Addresses::new(2, 2) },
];

fn machine(variable: &str) -> PathBuf {
    let path = env::var_os(variable);
    path.unwrap_or_else(|| panic!("no {variable}: run `cargo xtask test` or `cargo xtask kernels`")).into()
}

/// Boots the machine, with each NIC on a tap of the namespace; its console goes to a file of the directory.
fn boot(outside: &Namespace, directory: &Path) -> Process {
    let mut qemu = outside.command("qemu-system-x86_64");
    qemu.args(["-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-nographic", "-nodefaults"]);
    qemu.args(["-serial", "stdio", "-no-reboot", "-append", "console=ttyS0 quiet panic=-1", "-kernel"]);
    qemu.arg(machine("NSID_MACHINE_KERNEL")).arg("-initrd").arg(machine("NSID_MACHINE_INITRD"));
    for (number, Nic { device, here, .. }) in NICS.iter().enumerate() {
        let tap = format!("tap{number}");
        outside.ip(&format!("tuntap add {tap} mode tap vnet_hdr"));
        here.give(outside, &tap);
        let netdev = format!("tap,id={tap},ifname={tap},script=no,downscript=no,vnet_hdr=on");
        // It is not booted from: without its ROM.
        let device = format!("{device},netdev={tap},romfile=");
        qemu.args(["-netdev", &netdev, "-device", &device]);
    }
    let mut process = Process::start("qemu", &mut qemu, directory);
    until(BOOT, "the machine to serve", || {
        let ended = process.ended();
        assert!(ended.is_none(), "qemu ended: {ended:?}\n{}\n{}", process.stdout(), process.stderr());
        process.stdout().lines().any(|line| line.trim() == "serving")
    });
    process
}

/// What the agent at a NIC says of itself.
fn status(machine: &Process, nic: &str) -> Value {
    let console = machine.stdout();
    // The firmware's last words, which clear a screen, are on the first one's line.
    let status = console.lines().find_map(|line| Some(line.split_once(&format!("status {nic} "))?.1));
    serde_json::from_str(status.expect("a status of each NIC")).expect("JSON")
}

#[test]
fn native_xdp_of_virtio_net_answers_and_tc_inserts() {
    let outside = Namespace::new(Prefix::Test, "outside");
    let directory = outside.scratch();
    let machine = boot(&outside, directory.path());
    for nic in ["eth0", "eth1"] {
        assert_eq!(status(&machine, nic)["interfaces"][0]["ingress"]["mode"], json!("native"), "{nic}");
    }
    for address in NICS.iter().flat_map(|nic| nic.there.both()) {
        let client = Client::new(&outside, address);
        for _ in 0..50 {
            let answer = client.ask(&Query::a(PRESENT).with_nsid());
            assert_eq!(answer.nsid().as_deref(), Some(NAME), "{address}");
        }
        assert_eq!(client.ask(&Query::a(PRESENT).with_opt()).nsid_option(), None, "{address}");
        for query in [Query::identity("id.server."), Query::identity("hostname.bind.").with_nsid()] {
            assert_eq!(client.ask(&query).text().as_deref(), Some(NAME), "{address}");
        }
    }
    assert_eq!(checksum_errors(&outside), (0, 0));
}
