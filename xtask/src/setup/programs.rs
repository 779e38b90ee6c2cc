//! The programs of others that builds, the demo, the tests and the bench start.

use crate::root::find;
use crate::setup::plan::Plan;

/// What programs are started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Build,
    Demo,
    /// The demo with its names from there.
    DemoOnZooKeeper,
    Test,
    Bench,
    Fuzz,
    /// Faults from outside, on a store of three members.
    Chaos,
    /// To boot other kernels.
    Kernels,
    /// To test on other kernels, in the virtual machine.
    Machine,
}

struct Program {
    /// Its file, seen from a directory of programs (so protoc looks for what its language has built in).
    name: &'static str,
    package: &'static str,
    what_for: &'static str,
    started_for: &'static [Purpose],
}

/// Every program, its Debian package, and who starts it.
static PROGRAMS: [Program; 31] = [
    Program {
        name: "protoc",
        package: "protobuf-compiler",
        what_for: "builds what speaks with etcd",
        started_for: &[Purpose::Build],
    },
    Program {
        name: "../include/google/protobuf/descriptor.proto",
        package: "libprotobuf-dev",
        what_for: "what etcd's protocol is written in",
        started_for: &[Purpose::Build],
    },
    Program {
        name: "c++",
        package: "g++",
        what_for: "builds libFuzzer",
        started_for: &[Purpose::Fuzz, Purpose::Test],
    },
    Program {
        name: "openssl",
        package: "openssl",
        what_for: "makes certificates for tests",
        started_for: &[Purpose::Test],
    },
    Program {
        name: "unbound",
        package: "unbound",
        what_for: "a DNS resolver (Debian starts it: `systemctl disable --now unbound` ends that)",
        started_for: &[Purpose::Demo, Purpose::Test, Purpose::Machine, Purpose::Bench],
    },
    Program {
        name: "nsd",
        package: "nsd",
        what_for: "a DNS server (Debian starts it: `systemctl disable --now nsd` ends that)",
        started_for: &[Purpose::Demo, Purpose::Test, Purpose::Machine, Purpose::Bench, Purpose::Chaos],
    },
    Program {
        name: "named",
        package: "bind9",
        what_for: "a DNS server (Debian starts it: `systemctl disable --now named` ends that)",
        started_for: &[Purpose::Test],
    },
    Program {
        name: "dnssec-signzone",
        package: "bind9-utils",
        what_for: "signs a zone",
        started_for: &[Purpose::Test],
    },
    Program {
        name: "knotd",
        package: "knot",
        what_for: "a DNS server (Debian starts it: `systemctl disable --now knot` ends that)",
        started_for: &[Purpose::Test, Purpose::Bench],
    },
    Program {
        name: "kresd",
        package: "knot-resolver",
        what_for: "a DNS resolver",
        started_for: &[Purpose::Test],
    },
    Program {
        name: "pdns_server",
        package: "pdns-server",
        what_for: "a DNS server (Debian starts it: `systemctl disable --now pdns` ends that)",
        started_for: &[Purpose::Test],
    },
    Program {
        name: "pdnsutil",
        package: "pdns-server",
        what_for: "a DNS server (Debian starts it: `systemctl disable --now pdns` ends that)",
        started_for: &[Purpose::Test],
    },
    Program {
        name: "../lib/x86_64-linux-gnu/pdns/libbindbackend.so",
        package: "pdns-backend-bind",
        what_for: "reads zones for PowerDNS",
        started_for: &[Purpose::Test],
    },
    Program {
        name: "pdns_recursor",
        package: "pdns-recursor",
        what_for: "a DNS resolver (Debian starts it: `systemctl disable --now pdns-recursor` ends that)",
        started_for: &[Purpose::Test],
    },
    Program {
        name: "dnsdist",
        package: "dnsdist",
        what_for: "a DNS load balancer (Debian starts it: `systemctl disable --now dnsdist` ends that)",
        started_for: &[Purpose::Test],
    },
    Program {
        name: "dnsmasq",
        package: "dnsmasq-base",
        what_for: "a DNS forwarder",
        started_for: &[Purpose::Test],
    },
    Program {
        name: "gdnsd",
        package: "gdnsd",
        what_for: "a DNS server (Debian starts it: `systemctl disable --now gdnsd` ends that)",
        started_for: &[Purpose::Test, Purpose::Bench],
    },
    Program {
        name: "etcd",
        package: "etcd-server",
        what_for: "a store of names (Debian starts it: `systemctl disable --now etcd` ends that)",
        started_for: &[Purpose::Demo, Purpose::Test, Purpose::Bench, Purpose::Chaos],
    },
    Program {
        name: "etcdctl",
        package: "etcd-client",
        what_for: "shows what etcd holds",
        started_for: &[Purpose::Test, Purpose::Chaos],
    },
    Program {
        name: "java",
        package: "default-jre-headless",
        what_for: "runs ZooKeeper",
        started_for: &[Purpose::DemoOnZooKeeper, Purpose::Test, Purpose::Bench, Purpose::Chaos],
    },
    Program {
        name: "../share/java/zookeeper.jar",
        package: "libzookeeper-java",
        what_for: "a store of names",
        started_for: &[Purpose::DemoOnZooKeeper, Purpose::Test, Purpose::Bench, Purpose::Chaos],
    },
    Program {
        name: "dig",
        package: "dnsutils",
        what_for: "a DNS client",
        started_for: &[Purpose::Demo, Purpose::Test, Purpose::Machine],
    },
    Program {
        name: "kdig",
        package: "knot-dnsutils",
        what_for: "another DNS client",
        started_for: &[Purpose::Test, Purpose::Machine],
    },
    Program {
        name: "tcpdump",
        package: "tcpdump",
        what_for: "says whether checksums are right",
        started_for: &[Purpose::Test, Purpose::Kernels],
    },
    Program {
        name: "ethtool",
        package: "ethtool",
        what_for: "turns the offloads of an interface on and off",
        started_for: &[Purpose::Test, Purpose::Bench],
    },
    Program {
        name: "ip",
        package: "iproute2",
        what_for: "makes network namespaces and their links, and shows what is attached there",
        started_for: &[Purpose::Demo, Purpose::Test, Purpose::Machine, Purpose::Bench, Purpose::Chaos],
    },
    Program {
        name: "nft",
        package: "nftables",
        what_for: "loses packets between network namespaces, and gives them other addresses",
        started_for: &[Purpose::Test, Purpose::Bench, Purpose::Chaos],
    },
    Program {
        name: "tc",
        package: "iproute2",
        what_for: "makes network namespaces and their links, and shows what is attached there",
        started_for: &[Purpose::Test, Purpose::Machine],
    },
    Program {
        name: "timeout",
        package: "coreutils",
        what_for: "ends what must not run on",
        started_for: &[Purpose::Test, Purpose::Machine],
    },
    Program {
        name: "qemu-system-x86_64",
        package: "qemu-system-x86",
        what_for: "boots other kernels",
        started_for: &[Purpose::Kernels],
    },
    Program {
        name: "busybox",
        package: "busybox-static",
        what_for: "the user space of other kernels",
        started_for: &[Purpose::Kernels],
    },
];

/// Plans the packages of the programs that are not there.
pub(crate) fn plan(purpose: Purpose, plan: &mut Plan) {
    for Program { name, package, what_for, .. } in started_for(purpose) {
        if find(name).is_none() {
            plan.package(package, what_for);
        }
    }
}

/// The names of the programs.
pub(crate) fn names(purpose: Purpose) -> impl Iterator<Item = &'static str> {
    started_for(purpose).map(|program| program.name)
}

fn started_for(purpose: Purpose) -> impl Iterator<Item = &'static Program> {
    PROGRAMS.iter().filter(move |program| program.started_for.contains(&purpose))
}
