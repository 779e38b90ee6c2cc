//! What may be changed while the agent runs: who may see the name, what stands for it, and how far the kernel goes.

use std::{fmt, num::NonZeroU32, str::FromStr};

use clap::ValueEnum;
use ipnet::{IpNet, Ipv6Net};
use serde::Deserialize;

use super::{ConfigError, Service, Settings, nsid::Nsid, period::Period};
use crate::{
    form::{Form, FormError},
    host::clients::{Answer, Clients},
};

/// What may be changed while the agent runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policies {
    /// Who gets an answer made in the kernel.
    pub answer: Answer,
    /// Networks that may see the name; nobody else, if there are any.
    pub allow: Vec<Prefix>,
    /// Networks that may not. Of these and the allowed, the longest prefix counts.
    pub deny: Vec<Prefix>,
    /// What NSID holds.
    pub nsid: Nsid,
    /// How long an HMAC stands for a name.
    pub nsid_period: Period,
    /// Bytes of a message that a name is put into, at most.
    pub max_udp_size: MaxUdpSize,
    /// What becomes of the server's own NSID.
    pub own_nsid: OwnNsid,
    /// How many answers of the kernel a network gets in a second.
    pub answer_rate: AnswerRate,
    /// [`nsid`](Self::nsid), with what its file holds.
    pub form: Form,
}

impl Policies {
    /// The keys of a file, under flags.
    pub(super) fn of(flags: &Settings, keys: &Settings) -> Result<Self, ConfigError> {
        Self::with(flags, keys, Form::load)
    }

    fn with(
        flags: &Settings,
        keys: &Settings,
        form: impl FnOnce(&Nsid, Period) -> Result<Form, FormError>,
    ) -> Result<Self, ConfigError> {
        let list = |flags: &[Prefix], keys: &[Prefix]| if flags.is_empty() { keys } else { flags }.to_vec();
        let nsid = flags.nsid.as_ref().or(keys.nsid.as_ref()).cloned().unwrap_or_default();
        let nsid_period = flags.nsid_period.or(keys.nsid_period).unwrap_or_default();
        let policies = Self {
            answer: flags.answer.or(keys.answer).unwrap_or_default(),
            allow: list(&flags.allow, &keys.allow),
            deny: list(&flags.deny, &keys.deny),
            form: form(&nsid, nsid_period)?,
            nsid,
            nsid_period,
            max_udp_size: flags.max_udp_size.or(keys.max_udp_size).unwrap_or_default(),
            own_nsid: flags.own_nsid.or(keys.own_nsid).unwrap_or_default(),
            answer_rate: flags.answer_rate.or(keys.answer_rate).unwrap_or_default(),
        };
        match policies.allow.iter().find(|prefix| policies.deny.contains(prefix)) {
            Some(prefix) => Err(ConfigError::AllowedAndDenied { prefix: *prefix }),
            None => Ok(policies),
        }
    }

    /// These, but for what is set.
    ///
    /// A list that is set takes the place of the one before; `emptied` are those that are set to nothing. The key's file
    /// is read only if `nsid` is set: what is in it now may be for later.
    pub(super) fn changed(&self, set: &Settings, emptied: &[String]) -> Result<Self, ConfigError> {
        let list = |key: &str, before: &Vec<Prefix>| {
            if emptied.iter().any(|emptied| emptied == key) { Vec::new() } else { before.clone() }
        };
        let before = Settings {
            answer: Some(self.answer),
            allow: list("allow", &self.allow),
            deny: list("deny", &self.deny),
            nsid: Some(self.nsid.clone()),
            nsid_period: Some(self.nsid_period),
            max_udp_size: Some(self.max_udp_size),
            own_nsid: Some(self.own_nsid),
            answer_rate: Some(self.answer_rate),
            ..Settings::default()
        };
        Self::with(set, &before, |nsid, period| match set.nsid {
            Some(_) => Form::load(nsid, period),
            None => Ok(self.form.clone().with_period(period)),
        })
    }

    /// Whether these services may have them.
    pub fn fit(&self, services: &[Service]) -> Result<(), ConfigError> {
        match self.nsid {
            Nsid::Hex(_) if services.len() > 1 => Err(ConfigError::OneNsid { services: services.len() }),
            Nsid::Hex(_) | Nsid::Name | Nsid::Hmac(_) => Ok(()),
        }
    }

    /// Who clients are by them.
    pub fn clients(&self) -> Clients {
        let nets = |prefixes: &[Prefix]| prefixes.iter().map(|Prefix(net)| *net).collect();
        Clients { answered: self.answer, allow: nets(&self.allow), deny: nets(&self.deny) }
    }
}

/// What becomes of an NSID that the server itself put into its response.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OwnNsid {
    /// The name takes its place
    #[default]
    Replace,
    /// It stays, and the name is left out
    Keep,
}

/// A network of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix(IpNet);

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let net = match (text.parse::<IpNet>(), text.parse::<std::net::IpAddr>()) {
            (Ok(net), _) => net,
            (Err(_), Ok(address)) => address.into(),
            (Err(_), Err(_)) => return Err(PrefixError::None { text: text.to_owned() }),
        };
        if net.trunc() != net {
            return Err(PrefixError::Host { net });
        }
        match net {
            IpNet::V6(net) if net.prefix_len() >= 96 && net.network().to_ipv4_mapped().is_some() => {
                Err(PrefixError::Mapped { net })
            }
            net => Ok(Self(net)),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text is no [`Prefix`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// No network at all.
    #[error("{text:?} is no network of clients; write 192.0.2.0/24, 2001:db8::/32 or a single address")]
    None {
        /// The text.
        text: String,
    },
    /// Bits behind the prefix.
    #[error("{net} is an address within a network; write {} for the network, or {} alone", net.trunc(), net.addr())]
    Host {
        /// The network, with those bits.
        net: IpNet,
    },
    /// IPv4 mapped into IPv6, which is no packet's source.
    #[error("{net} stands for IPv4 addresses, which clients have as such; write them as 192.0.2.0/24")]
    Mapped {
        /// The network.
        net: Ipv6Net,
    },
}

/// Bytes of a message that a name is put into, at most; by default as many as the requestor takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxUdpSize(Option<u16>);

impl MaxUdpSize {
    /// The least that may be asked for: what every requestor takes (RFC 1035 4.2.1).
    #[expect(clippy::cast_possible_truncation, reason = "it is 512")]
    pub const MIN: u16 = nsid_common::dns::MIN_UDP_SIZE as u16;

    /// The bytes, if there is a limit.
    pub fn get(self) -> Option<u16> {
        self.0
    }
}

impl FromStr for MaxUdpSize {
    type Err = MaxUdpSizeError;

    fn from_str(text: &str) -> Result<Self, MaxUdpSizeError> {
        match text.parse() {
            Ok(size) if size >= Self::MIN => Ok(Self(Some(size))),
            Err(_) if text == OFF => Ok(Self(None)),
            Ok(_) | Err(_) => Err(MaxUdpSizeError { text: text.to_owned() }),
        }
    }
}

/// No limit.
const OFF: &str = "off";

/// A text that is no [`MaxUdpSize`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no size of a UDP message; give a whole number from {} to {}, or off",
    MaxUdpSize::MIN,
    u16::MAX
)]
pub struct MaxUdpSizeError {
    /// The text.
    pub text: String,
}

/// How many answers of the kernel a network of clients gets in a second; by default as many as it asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerRate(Option<NonZeroU32>);

impl AnswerRate {
    /// The answers, if there is a limit.
    pub fn get(self) -> Option<NonZeroU32> {
        self.0
    }
}

impl FromStr for AnswerRate {
    type Err = AnswerRateError;

    fn from_str(text: &str) -> Result<Self, AnswerRateError> {
        match text.parse() {
            Ok(rate) => Ok(Self(Some(rate))),
            Err(_) if text == OFF => Ok(Self(None)),
            Err(_) => Err(AnswerRateError { text: text.to_owned() }),
        }
    }
}

/// A text that is no [`AnswerRate`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no number of answers a second; give a whole number from 1, or off")]
pub struct AnswerRateError {
    /// The text.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_network_or_an_address_without_bits_behind_it() {
        for (text, shown) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(text.parse::<Prefix>().map(|prefix| prefix.to_string()), Ok(shown.to_owned()));
        }
        assert!(matches!("192.0.2.1/24".parse::<Prefix>(), Err(PrefixError::Host { .. })));
        assert!(matches!("::ffff:192.0.2.0/120".parse::<Prefix>(), Err(PrefixError::Mapped { .. })));
        for text in ["", "192.0.2.0/33", "192.0.2", "ns1", "10.0.0.0/8,10.0.0.0/9", "any"] {
            assert!(matches!(text.parse::<Prefix>(), Err(PrefixError::None { .. })), "{text}");
        }
    }

    #[test]
    fn a_limit_is_a_number_or_off() {
        assert_eq!("512".parse().map(MaxUdpSize::get), Ok(Some(512)));
        assert_eq!("65535".parse().map(MaxUdpSize::get), Ok(Some(65535)));
        assert_eq!("off".parse().map(MaxUdpSize::get), Ok(None));
        for text in ["511", "65536", "0", "", "-1", "Off", "1232.0"] {
            assert!(text.parse::<MaxUdpSize>().is_err(), "{text}");
        }
        assert_eq!("1".parse().map(|rate: AnswerRate| rate.get()), Ok(NonZeroU32::new(1)));
        assert_eq!("off".parse().map(AnswerRate::get), Ok(None));
        for text in ["0", "", "-1", "4294967296", "many"] {
            assert!(text.parse::<AnswerRate>().is_err(), "{text}");
        }
    }
}
