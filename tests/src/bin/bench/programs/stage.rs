//! The programs and their maps, as the agent would have them on a host with one address of each version.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    rc::Rc,
};

use anyhow::{Context as _, Result};
use nsid_user::{
    claim::Voice as _,
    clock::Deadline,
    datapath::{Answering, Bench, Datapath, Options, Pins, Prog, Rules, ServiceVoice},
    form::Form,
    host::{
        addresses::Address,
        bpffs::MOUNT_POINT,
        clients::Clients,
        instance::Instance,
        links::{Kind, Layer, Link},
    },
};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::{UnshareFlags, unshare_unsafe},
};

/// Of the server; it is on-link with the client of all frames.
pub(crate) const SERVER4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
/// Of the server.
pub(crate) const SERVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x53);
/// Of the interface.
pub(crate) const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x53];
/// Where it is asked.
pub(crate) const PORT: u16 = 53;

/// Eight bytes, as in a pool of a hundred.
const NAME: &str = "worker17";

/// What programs run on.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The shipped programs.
    pub(crate) datapath: Datapath,
    /// Those for measuring.
    pub(crate) bench: Bench,
}

impl Stage {
    /// Loads everything, and has the name said.
    pub(crate) fn set() -> Result<Self> {
        own_bpffs().context("cannot mount a BPF file system of its own")?;
        let mut datapath = Datapath::load(Pins::of(&Instance::new("bench")), Options::default())?;
        for prog in Prog::ALL {
            datapath.prepare(prog)?;
        }
        let addresses = [
            Address {
                ifindex: 1,
                ip: SERVER4.into(),
                on_link: "192.0.2.0/24".parse()?,
                broadcast: None,
                given: 0,
            },
            Address {
                ifindex: 1,
                ip: SERVER6.into(),
                on_link: "2001:db8::/64".parse()?,
                broadcast: None,
                given: 0,
            },
        ];
        let maps = &datapath.maps;
        let clients = Clients::default().intervals(&addresses);
        maps.keep_to(&Rules { clients, ..Rules::default() })?;
        maps.serve(&BTreeMap::from(addresses.map(|Address { ip, .. }: Address| ((ip as IpAddr, PORT), 0))))?;
        datapath.begin();
        datapath.set_interface(&link(), Answering::ByUs)?;
        let form = Rc::new(RefCell::new(Form::Name));
        ServiceVoice::new(maps.clone(), 0, form).say(&NAME.parse()?, Deadline::Never);
        let bench = datapath.load_bench()?;
        Ok(Self { datapath, bench })
    }
}

/// The link that a test run's frames are at, with an address that it does not have in truth.
fn link() -> Link {
    Link {
        index: 1,
        name: "lo".to_owned(),
        kind: Kind::Loopback,
        layer: Layer::Ethernet(MAC),
        mtu: 1500,
        up: true,
        lower: None,
        master: None,
        xdp: Vec::new(),
    }
}

/// Whatever is pinned vanishes with this process, however it ends.
fn own_bpffs() -> Result<()> {
    // SAFETY: the file table stays shared; this process has one thread yet, and no view of the mounts is kept.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount("bpf", MOUNT_POINT, "bpf", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)?;
    Ok(())
}
