//! Links and addresses of real namespaces, each made by a thread for itself and gone with it.

use std::{net::IpAddr, process::Command, thread, time::Duration};

use nsid_user::host::{
    addresses::{Address, on_link_prefixes, served_addresses},
    links::{Kind, Layer, Link, LinkError, Netlink},
    watch::{Event, Watch},
};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use tokio::{runtime, time::timeout};

/// Runs `test` in an empty network namespace, with the runtime that the agent has.
fn in_a_network_namespace(test: impl AsyncFnOnce() + Send + 'static) {
    let thread = thread::spawn(|| {
        // SAFETY: the file table stays shared; only the sockets opened from now on are elsewhere.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("a network namespace: run the tests as root");
        runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `ip` in the namespace of this thread.
fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("iproute2 is installed");
    assert!(status.success(), "ip {arguments}");
}

/// Waits for the event that is asked for; others may come before it.
async fn expect(watch: &mut Watch, what: &str, mut is_it: impl FnMut(&Event) -> bool) -> Event {
    let found = async {
        loop {
            let event = watch.next().await;
            if is_it(&event) {
                return event;
            }
        }
    };
    timeout(Duration::from_secs(5), found).await.unwrap_or_else(|_| panic!("never told: {what}"))
}

async fn addresses_of(netlink: &Netlink, link: &Link) -> Vec<Address> {
    let mut addresses = netlink.addresses().await.unwrap();
    addresses.retain(|address| address.ifindex == link.index);
    addresses
}

#[test]
fn a_link_is_told_with_what_an_attachment_needs() {
    in_a_network_namespace(async || {
        ip("link add nsh0 address 02:00:00:00:00:53 mtu 1400 type veth peer name nsh1");
        ip("link add nsh2 type bridge");
        ip("link set nsh0 up");
        let netlink = Netlink::open().unwrap();
        let veth = netlink.link("nsh0").await.unwrap();
        assert_eq!((&veth.kind, veth.mtu, veth.up), (&Kind::Veth, 1400, true));
        assert_eq!(veth.layer, Layer::Ethernet([2, 0, 0, 0, 0, 0x53]));
        assert_eq!(veth.mac().unwrap(), [2, 0, 0, 0, 0, 0x53]);
        assert_eq!(veth.xdp, []);
        let peer = netlink.link("nsh1").await.unwrap();
        assert_eq!((peer.up, peer.lower), (false, Some(veth.index)));
        let lo = netlink.link("lo").await.unwrap();
        assert_eq!((&lo.kind, lo.mac().unwrap()), (&Kind::Loopback, [0; 6]));
        assert_eq!(netlink.link("nsh2").await.unwrap().kind, Kind::Bridge);
    });
}

#[test]
fn what_cannot_be_attached_to_is_named_with_the_way_out() {
    in_a_network_namespace(async || {
        ip("link add nsh0 type veth peer name nsh1");
        ip("tuntap add dev nsh2 mode tun");
        let netlink = Netlink::open().unwrap();
        let missing = netlink.link("eth9").await.unwrap_err().to_string();
        assert!(
            missing.starts_with("no interface 'eth9' in this network namespace; there are: lo, "),
            "{missing}"
        );
        assert!(missing.contains("nsh0"), "{missing}");
        let tun = netlink.link("nsh2").await.unwrap();
        assert_eq!(tun.kind, Kind::Other("tun".to_owned()));
        let error = tun.mac().unwrap_err();
        assert!(matches!(&error, LinkError::NotEthernet { layer, .. } if layer == "NONE"), "{error}");
    });
}

#[test]
fn addresses_are_told_with_the_networks_next_to_them() {
    in_a_network_namespace(async || {
        ip("link add nsh0 type veth peer name nsh1");
        ip("address add 192.0.2.1/24 brd 192.0.2.127 dev nsh0");
        ip("address add 198.51.100.1 peer 203.0.113.9/32 dev nsh0");
        ip("address add 2001:db8::1/64 nodad dev nsh0");
        ip("address add 2001:db8:1::53/128 dev lo");
        ip("link set lo up");
        let netlink = Netlink::open().unwrap();
        let all = netlink.addresses().await.unwrap();
        let served: Vec<IpAddr> = ["192.0.2.1", "198.51.100.1", "2001:db8::1", "2001:db8:1::53"]
            .iter()
            .map(|ip| ip.parse().unwrap())
            .collect();
        assert_eq!(served_addresses(&all), served);
        let on_link = on_link_prefixes(&all);
        for prefix in ["192.0.2.0/24", "203.0.113.9/32", "2001:db8::/64"] {
            assert!(on_link.contains(&prefix.parse().unwrap()), "{prefix} in {on_link:?}");
        }
        let veth = netlink.link("nsh0").await.unwrap();
        let by_hand = addresses_of(&netlink, &veth).await.iter().find_map(|address| address.broadcast);
        assert_eq!(by_hand, Some("192.0.2.127".parse().unwrap()));
    });
}

#[test]
fn an_address_that_comes_or_goes_is_told() {
    in_a_network_namespace(async || {
        ip("link add nsh0 type veth peer name nsh1");
        let mut watch = Watch::open().unwrap();
        let netlink = Netlink::open().unwrap();
        let veth = netlink.link("nsh0").await.unwrap();
        for (change, left) in [
            ("address add 192.0.2.1/24 dev nsh0", 1),
            ("address add 2001:db8::1/64 dev nsh0", 2),
            ("address del 192.0.2.1/24 dev nsh0", 1),
            ("address del 2001:db8::1/64 dev nsh0", 0),
        ] {
            ip(change);
            expect(&mut watch, change, |event| *event == Event::AddressesChanged).await;
            assert_eq!(addresses_of(&netlink, &veth).await.len(), left, "{change}");
        }
    });
}

#[test]
fn a_link_that_is_renamed_removed_or_made_again_is_told() {
    in_a_network_namespace(async || {
        let mut watch = Watch::open().unwrap();
        ip("link add nsh0 type veth peer name nsh1");
        let made = |event: &Event| matches!(event, Event::LinkChanged(link) if link.name == "nsh0");
        let Event::LinkChanged(first) = expect(&mut watch, "made", made).await else { unreachable!() };
        assert!(first.mac().is_ok(), "{first:?}");

        ip("link set nsh0 name nsh9");
        expect(&mut watch, "renamed", |event| {
            matches!(event, Event::LinkChanged(link) if (link.index, link.name.as_str()) == (first.index, "nsh9"))
        })
        .await;

        ip("link del nsh9");
        let gone = Event::LinkGone { index: first.index, name: "nsh9".to_owned() };
        expect(&mut watch, "removed", |event| *event == gone).await;

        ip("link add nsh0 type veth peer name nsh1");
        let Event::LinkChanged(second) = expect(&mut watch, "made again", made).await else { unreachable!() };
        assert_ne!(second.index, first.index);
    });
}

#[test]
fn a_port_that_leaves_a_bridge_is_not_gone() {
    in_a_network_namespace(async || {
        ip("link add nsh0 type veth peer name nsh1");
        ip("link add nsh2 type bridge");
        ip("link set nsh0 master nsh2");
        let mut watch = Watch::open().unwrap();
        ip("link set nsh0 nomaster");
        ip("link set nsh0 name nsh9");
        let event = expect(&mut watch, "renamed after it left", |event| match event {
            Event::LinkGone { .. } => true,
            Event::LinkChanged(link) => link.name == "nsh9",
            Event::AddressesChanged | Event::Resync => false,
        })
        .await;
        assert!(matches!(event, Event::LinkChanged(_)), "{event:?}");
    });
}

#[test]
fn many_changes_at_once_are_told_once_or_as_missed() {
    in_a_network_namespace(async || {
        ip("link set lo up");
        let mut watch = Watch::open().unwrap();
        let batch = tempfile::NamedTempFile::new().unwrap();
        let add = |i: u32| format!("address add 198.18.{}.{}/32 dev lo\n", i / 256, i % 256);
        std::fs::write(batch.path(), (0..2000).map(add).collect::<String>()).unwrap();
        // Nobody reads the socket meanwhile, and its buffer is too small for so many.
        ip(&format!("-batch {}", batch.path().display()));
        expect(&mut watch, "a resync", |event| *event == Event::Resync).await;
        let netlink = Netlink::open().unwrap();
        assert_eq!(served_addresses(&netlink.addresses().await.unwrap()).len(), 2000);

        std::fs::write(batch.path(), (2000..2100).map(add).collect::<String>()).unwrap();
        while timeout(Duration::from_millis(100), watch.next()).await.is_ok() {}
        ip(&format!("-batch {}", batch.path().display()));
        let mut told = 0;
        while timeout(Duration::from_millis(500), watch.next()).await.is_ok() {
            told += 1;
        }
        assert!((1..=10).contains(&told), "100 new addresses were told as {told} changes");
    });
}
