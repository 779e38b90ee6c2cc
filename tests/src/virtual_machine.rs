//! The NICs of a virtual machine, as `tests/virtio_net.rs` outside and `src/bin/virtual_server.rs` inside know them.

use crate::link::Addresses;

/// A NIC, and the link that it is at.
#[derive(Clone, Copy, Debug)]
pub struct Nic {
    /// Its name inside, which follows from its place on the bus.
    pub name: &'static str,
    /// The device that qemu makes, and its properties.
    pub device: &'static str,
    /// Its addresses.
    pub inside: Addresses,
    /// Those of the link's other end.
    pub outside: Addresses,
}

impl Nic {
    const fn new(name: &'static str, device: &'static str, net: u8) -> Self {
        Self { name, device, inside: Addresses::new(net, 2), outside: Addresses::new(net, 1) }
    }
}

/// As it is by default: the driver turns the offloads off that keep it from native XDP (`virtnet_xdp_set`,
/// `drivers/net/virtio_net.c`, can by `VIRTIO_NET_F_CTRL_GUEST_OFFLOADS`), so that checksums are complete that arrive; and
/// it has one pair of queues, which XDP and the stack share (since Linux 5.13).
const DEFAULT: &str = "virtio-net-pci";

/// Without checksum offload, so that the kernel outside checks what is computed inside.
const COMPUTED_INSIDE: &str = "virtio-net-pci,csum=off";

/// Whose driver cannot turn them off: checksums arrive as the sender's kernel left them, and native XDP is refused.
const UNFINISHED: &str = "virtio-net-pci,ctrl_guest_offloads=off";

/// At each of these, a server is inside.
pub const TO_CLIENTS: [Nic; 2] = [Nic::new("eth0", DEFAULT, 1), Nic::new("eth1", COMPUTED_INSIDE, 2)];

/// At each of these, one is outside; the machine is on the way there.
pub const TO_SERVERS: [Nic; 2] = [Nic::new("eth2", DEFAULT, 3), Nic::new("eth3", UNFINISHED, 4)];

/// Where their client is.
pub const TO_THEIR_CLIENT: Nic = Nic::new("eth4", COMPUTED_INSIDE, 5);

/// All of them, in the order of their places on the bus.
pub const NICS: [Nic; 5] = [TO_CLIENTS[0], TO_CLIENTS[1], TO_SERVERS[0], TO_SERVERS[1], TO_THEIR_CLIENT];

/// The name that is said at every NIC.
pub const NAME: &str = "worker17";
