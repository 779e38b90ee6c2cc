//! virtio-net, the NIC of most clouds: native XDP in a driver that is not veth, in a virtual machine that is asked from
//! outside, of servers inside it and of servers that it is on the way to.
//!
//! `cargo xtask` makes the machine, and tells by `NSID_MACHINE_KERNEL` and `NSID_MACHINE_INITRD` where it is. Inside runs
//! `src/bin/virtual_server.rs`.

use std::{env, path::PathBuf, time::Duration};

use nsid_tests::{
    capture::Capture,
    checksum_errors::checksum_errors,
    client::Client,
    message::Query,
    netns::Namespace,
    patience::{until, within},
    process::Process,
    servers::{PRESENT, Server, Software},
    unique::Prefix,
    virtual_machine::{NAME, NICS, Nic, TO_CLIENTS, TO_SERVERS, TO_THEIR_CLIENT},
    wire::INTERFACE,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An emulated machine takes ten seconds on idle cores.
const BOOT: Duration = Duration::from_mins(2);

/// It looks every second, if it has the time.
const TOLD: Duration = Duration::from_secs(30);

/// Questions for each address of a server inside.
const QUESTIONS: u16 = 50;

/// And of one outside: a packet socket has room for the responses, which take a page each.
const FEW_QUESTIONS: u16 = 10;

/// The machine, and the other ends of its NICs. Ends in the order of its fields.
struct Machine {
    qemu: Process,
    outside: Namespace,
    _directory: TempDir,
}

fn variable(name: &str) -> PathBuf {
    let path = env::var_os(name);
    path.unwrap_or_else(|| panic!("no {name}: run `cargo xtask test` or `cargo xtask kernels`")).into()
}

fn tap(nic: &Nic) -> String {
    format!("tap-{}", nic.name)
}

impl Machine {
    /// Boots it, with each NIC on a tap of a namespace.
    fn boot() -> Self {
        let outside = Namespace::new(Prefix::Test, "outside");
        let directory = outside.scratch();
        let mut qemu = outside.command("qemu-system-x86_64");
        qemu.args(["-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-nographic", "-nodefaults"]);
        qemu.args(["-serial", "stdio", "-no-reboot", "-append", "console=ttyS0 quiet panic=-1", "-kernel"]);
        qemu.arg(variable("NSID_MACHINE_KERNEL")).arg("-initrd").arg(variable("NSID_MACHINE_INITRD"));
        for nic in &NICS {
            let tap = tap(nic);
            outside.ip(&format!("tuntap add {tap} mode tap vnet_hdr"));
            nic.outside.give(&outside, &tap);
            let netdev = format!("tap,id={tap},ifname={tap},script=no,downscript=no,vnet_hdr=on");
            // It is not booted from: without its ROM.
            let device = format!("{},netdev={tap},romfile=", nic.device);
            qemu.args(["-netdev", &netdev, "-device", &device]);
        }
        let mut qemu = Process::start("qemu", &mut qemu, directory.path());
        until(BOOT, "the machine to serve", || {
            let ended = qemu.ended();
            assert!(ended.is_none(), "qemu ended: {ended:?}\n{}\n{}", qemu.stdout(), qemu.stderr());
            // The firmware's last words, which clear a screen, are on the same line.
            qemu.stdout().lines().any(|line| line.trim().ends_with("serving"))
        });
        Self { qemu, outside, _directory: directory }
    }

    /// What the agent at a NIC said last, if that is `new`.
    fn told(&self, nic: &Nic, new: impl Fn(&Value) -> bool) -> Value {
        let beginning = format!("told {} ", nic.name);
        within(TOLD, &format!("news of {}", nic.name), || {
            let console = self.qemu.stdout();
            // The last line may be one that is being written.
            let (console, _) = console.rsplit_once('\n')?;
            let told = console.lines().rev().find_map(|line| line.strip_prefix(&beginning))?;
            let told = serde_json::from_str(told).unwrap_or_else(|error| panic!("{error}: {told}"));
            Some(told).filter(&new)
        })
    }

    /// Moves the other end of a NIC's link to a namespace of its own, from where the machine is the way to all others.
    fn apart(&self, nic: &Nic, role: &str) -> Namespace {
        let namespace = Namespace::new(Prefix::Test, role);
        self.outside.ip(&format!("link set {} netns {} name {INTERFACE}", tap(nic), namespace.name()));
        nic.outside.give(&namespace, INTERFACE);
        namespace.ip(&format!("route add default via {}", nic.inside.v4));
        namespace.ip(&format!("-6 route add default via {}", nic.inside.v6));
        namespace
    }
}

#[test]
fn native_xdp_of_virtio_net_answers_and_edits_and_tc_does_the_rest() {
    let machine = Machine::boot();
    for nic in &TO_CLIENTS {
        xdp_answers_and_tc_inserts(&machine, nic);
    }
    assert_eq!(checksum_errors(&machine.outside), (0, 0));
    let client = machine.apart(&TO_THEIR_CLIENT, "client");
    let [complete, unfinished] = &TO_SERVERS;
    a_server_behind_is_named(&machine, complete, &client, Editor::Xdp);
    a_server_behind_is_named(&machine, unfinished, &client, Editor::Tc);
    assert_eq!(checksum_errors(&client), (0, 0));
}

fn xdp_answers_and_tc_inserts(machine: &Machine, nic: &Nic) {
    let told = machine.told(nic, |_| true);
    assert_eq!(told["interfaces"][0]["ingress"]["mode"], json!("native"), "{told}");
    for address in nic.inside.both() {
        let client = Client::new(&machine.outside, address);
        for _ in 0..QUESTIONS {
            let answer = client.ask(&Query::a(PRESENT).with_nsid());
            assert_eq!(answer.nsid().as_deref(), Some(NAME), "{address}");
        }
        assert_eq!(client.ask(&Query::a(PRESENT).with_opt()).nsid_option(), None, "{address}");
        for query in [Query::identity("id.server."), Query::identity("hostname.bind.").with_nsid()] {
            assert_eq!(client.ask(&query).text().as_deref(), Some(NAME), "{address}");
        }
    }
}

/// Who edits the responses that arrive at a NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Editor {
    /// XDP, of a NIC from which checksums come complete.
    Xdp,
    /// tc, of one from which they come as the server's kernel left them.
    Tc,
}

fn a_server_behind_is_named(machine: &Machine, nic: &Nic, client: &Namespace, editor: Editor) {
    let behind = machine.apart(nic, "server");
    let _server = Server::start_default(Software::Nsd, &behind, nic.outside);
    let [sent, received] = [&behind, client].map(Capture::start);
    for address in nic.outside.both() {
        let [there, here] = [&behind, client].map(|from| Client::new(from, address));
        for id in 0..FEW_QUESTIONS {
            let [unchanged, named] =
                [&there, &here].map(|client| client.ask_as(id, &Query::a(PRESENT).with_nsid()));
            assert_eq!(unchanged.nsid_option(), None, "{address}");
            assert_eq!(named.nsid().as_deref(), Some(NAME), "{address}");
            assert_eq!(named.apart_from_nsid(), unchanged.apart_from_nsid(), "{address}");
        }
    }
    let asked = 2 * usize::from(FEW_QUESTIONS);
    let told = machine.told(nic, |told| told["outcomes"]["inserted"] == json!(asked));
    let interface = &told["interfaces"][0];
    // What arrived, what came from XDP, and what at last arrived at the client.
    let complete = sent.verdict(asked).good;
    let (at_xdp, mode) = match editor {
        Editor::Xdp => (asked, "native"),
        Editor::Tc => (0, "tc"),
    };
    assert_eq!((complete, &told["named_before_tc"]), (at_xdp, &json!(at_xdp)), "{told}");
    assert_eq!(received.verdict(asked).good, asked);
    assert_eq!(interface["ingress"]["mode"], json!(mode), "{told}");
    assert_eq!(interface["behind"], json!(true), "{told}");
    assert_eq!(interface["edits_at_xdp"], json!(editor == Editor::Xdp), "{told}");
    assert_eq!(interface["reason"].is_string(), editor == Editor::Tc, "{told}");
}
