//! Which DNS servers there are, and what a person calls them.

use std::{env, path::PathBuf, process::Command};

use super::Intake;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Software {
    /// The server of Kubernetes' names, here with a zone file.
    Coredns,
    /// ISC's, here authoritative.
    Bind,
    /// The resolver of `NLnet` Labs, here with an `auth-zone`.
    Unbound,
    /// Their authoritative server.
    Nsd,
    /// The authoritative server of CZ.NIC.
    Knot,
    /// Their resolver, here before NSD.
    KnotResolver,
    /// The authoritative server of `PowerDNS`, here with files as BIND has them.
    PowerdnsAuthoritative,
    /// Their resolver, here before NSD.
    PowerdnsRecursor,
    /// Their load balancer, here before NSD.
    Dnsdist,
    /// The forwarder of home routers and virtual machines, here before NSD.
    Dnsmasq,
    /// The server in Rust, here authoritative.
    Hickory,
    /// Wikimedia's authoritative server.
    Gdnsd,
}

impl Software {
    /// Each of them.
    pub const ALL: [Self; 12] = [
        Self::Coredns,
        Self::Bind,
        Self::Unbound,
        Self::Nsd,
        Self::Knot,
        Self::KnotResolver,
        Self::PowerdnsAuthoritative,
        Self::PowerdnsRecursor,
        Self::Dnsdist,
        Self::Dnsmasq,
        Self::Hickory,
        Self::Gdnsd,
    ];

    /// Three that differ most, for tests in which the server hardly matters: an authoritative one, a resolver, and one
    /// that echoes the option of the query.
    pub const USUAL: [Self; 3] = [Self::Nsd, Self::Unbound, Self::Coredns];

    /// A word for file names and environment variables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Coredns => "coredns",
            Self::Bind => "bind",
            Self::Unbound => "unbound",
            Self::Nsd => "nsd",
            Self::Knot => "knot",
            Self::KnotResolver => "knot-resolver",
            Self::PowerdnsAuthoritative => "pdns",
            Self::PowerdnsRecursor => "pdns-recursor",
            Self::Dnsdist => "dnsdist",
            Self::Dnsmasq => "dnsmasq",
            Self::Hickory => "hickory",
            Self::Gdnsd => "gdnsd",
        }
    }

    /// As its makers write it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Coredns => "CoreDNS",
            Self::Bind => "BIND",
            Self::Unbound => "Unbound",
            Self::Nsd => "NSD",
            Self::Knot => "Knot DNS",
            Self::KnotResolver => "Knot Resolver",
            Self::PowerdnsAuthoritative => "PowerDNS",
            Self::PowerdnsRecursor => "PowerDNS Recursor",
            Self::Dnsdist => "dnsdist",
            Self::Dnsmasq => "dnsmasq",
            Self::Hickory => "hickory-dns",
            Self::Gdnsd => "gdnsd",
        }
    }

    /// Whether it can only pass on what another server answers, or is tested as if it could.
    pub const fn has_no_zone(self) -> bool {
        matches!(self, Self::KnotResolver | Self::PowerdnsRecursor | Self::Dnsdist | Self::Dnsmasq)
    }

    /// By what it is told an NSID of its own.
    pub const fn nsid_setting(self) -> &'static str {
        match self {
            Self::Coredns => "plugin `nsid`",
            Self::Bind | Self::PowerdnsAuthoritative | Self::PowerdnsRecursor => "`server-id`",
            Self::Unbound | Self::Nsd | Self::Knot => "`nsid`",
            Self::KnotResolver => "module `nsid`",
            Self::Dnsdist | Self::Dnsmasq => "the server behind it",
            Self::Hickory => "flag `--nsid`",
            Self::Gdnsd => "`nsid_ascii`",
        }
    }

    /// Why it cannot serve a signed zone, if it cannot.
    pub const fn no_dnssec(self) -> Option<&'static str> {
        match self {
            Self::Hickory => Some("built with its default features, it knows no DNSSEC"),
            Self::Gdnsd => Some("it knows no DNSSEC"),
            _ => None,
        }
    }

    /// Whether it can be told to take queries in so.
    pub(super) const fn takes(self, intake: Intake<'_>) -> bool {
        match intake {
            Intake::Sockets => true,
            Intake::OneThread => matches!(self, Self::Nsd | Self::Knot | Self::Gdnsd | Self::Coredns),
            Intake::AfXdp(_) => matches!(self, Self::Knot),
        }
    }

    /// The program: where Debian puts it, or where the environment says that `cargo xtask setup` has built it.
    pub(super) fn program(self) -> PathBuf {
        match self {
            Self::Coredns => built("COREDNS_BIN"),
            Self::Hickory => built("HICKORY_BIN"),
            Self::Bind => "/usr/sbin/named".into(),
            Self::Unbound => "/usr/sbin/unbound".into(),
            Self::Nsd => "/usr/sbin/nsd".into(),
            Self::Knot => "/usr/sbin/knotd".into(),
            Self::KnotResolver => "/usr/sbin/kresd".into(),
            Self::PowerdnsAuthoritative => "/usr/sbin/pdns_server".into(),
            Self::PowerdnsRecursor => "/usr/sbin/pdns_recursor".into(),
            Self::Dnsdist => "/usr/bin/dnsdist".into(),
            Self::Dnsmasq => "/usr/sbin/dnsmasq".into(),
            Self::Gdnsd => "/usr/sbin/gdnsd".into(),
        }
    }

    /// The version of the program that is there.
    pub fn version(self) -> String {
        let ask = match self {
            Self::Bind | Self::Unbound => "-V",
            Self::Nsd => "-v",
            Self::Coredns => "-version",
            Self::Gdnsd => "version",
            _ => "--version",
        };
        let program = self.program();
        let output = Command::new(&program)
            .arg(ask)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        version(&text)
            .unwrap_or_else(|| panic!("no version in what {} says: {text}", program.display()))
            .into()
    }
}

fn built(variable: &str) -> PathBuf {
    let path = env::var_os(variable).unwrap_or_else(|| {
        panic!(
            "no {variable}: run `cargo xtask test`; or `cargo xtask setup`, and set it to what that has built"
        )
    });
    path.into()
}

/// The first thing in a text that looks like `1.2.3`, without the packager's part of it.
fn version(text: &str) -> Option<&str> {
    let numbers = |word: &&str| {
        word.split('.').count() >= 2
            && word.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    text.split(|separator: char| !separator.is_ascii_digit() && separator != '.').find(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_each_server_says() {
        for (says, is) in [
            ("BIND 9.18.49-1~deb12u3-Debian (Extended Support Version) <id:>", "9.18.49"),
            ("CoreDNS-1.14.7\nlinux/amd64, go1.26.6, ", "1.14.7"),
            ("Nov 24 16:15:58 PowerDNS Recursor 4.8.8 (C) 2001-2022 PowerDNS.COM BV", "4.8.8"),
            ("Dnsmasq version 2.90  Copyright (c) 2000-2024 Simon Kelley", "2.90"),
        ] {
            assert_eq!(version(says), Some(is));
        }
        assert_eq!(version("no version 7"), None);
    }
}
