//! `KEY=VALUE` of `nsid set`: read by the parser of the flags, so that a key takes what its flag takes.

use std::{fmt, str::FromStr};

use clap::{Args as _, Parser};
use thiserror::Error;

use super::{ConfigError, Policies, ServiceSettings, Settings};

/// What may be set; the other settings stay as they are while the agent runs.
const KEYS: [&str; 8] =
    ["answer", "allow", "deny", "nsid", "nsid-period", "own-nsid", "max-udp-size", "answer-rate"];
/// Of those, the ones that are lists.
const LISTS: [&str; 2] = ["allow", "deny"];

/// One setting to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    key: String,
    value: String,
}

impl FromStr for Change {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        let (key, value) =
            text.split_once('=').ok_or_else(|| ChangeError::NoValue { text: text.to_owned() })?;
        if KEYS.contains(&key) {
            let change = Self { key: key.to_owned(), value: value.to_owned() };
            flags(std::slice::from_ref(&change))?;
            Ok(change)
        } else if is_setting(key) {
            Err(ChangeError::Fixed { key: key.to_owned() })
        } else {
            Err(ChangeError::Unknown { key: key.to_owned() })
        }
    }
}

impl Change {
    fn empties_a_list(&self) -> bool {
        self.value.is_empty() && LISTS.contains(&self.key.as_str())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

fn is_setting(key: &str) -> bool {
    let settings = ServiceSettings::augment_args(Settings::augment_args(clap::Command::new("nsid")));
    settings.get_arguments().any(|argument| argument.get_long() == Some(key))
}

/// Why policies cannot be changed so.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// No `=`.
    #[error("{text:?} is no KEY=VALUE, such as answer=off")]
    NoValue {
        /// The text.
        text: String,
    },
    /// A key that nobody knows.
    #[error("there is no key {key:?}; those that can be set are {}", KEYS.join(", "))]
    Unknown {
        /// The key.
        key: String,
    },
    /// A setting that is read at the start alone.
    #[error("{key} cannot change while the agent runs; start it again with another")]
    Fixed {
        /// The key.
        key: String,
    },
    /// A value that its key does not take.
    #[error("{0}")]
    Value(String),
    /// Values that do not go together.
    #[error(transparent)]
    Policies(#[from] ConfigError),
}

#[derive(Parser)]
#[command(name = "nsid set", no_binary_name = true)]
struct Set {
    #[command(flatten)]
    settings: Settings,
}

/// What clap says of a value, in one line.
fn told(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    let lines = rendered.lines().map(str::trim).filter(|line| !line.is_empty());
    let facts =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    facts.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

fn flags(changes: &[Change]) -> Result<Settings, ChangeError> {
    let given = changes.iter().filter(|change| !change.empties_a_list());
    let flags = given.map(|Change { key, value }| format!("--{key}={value}"));
    Set::try_parse_from(flags).map(|set| set.settings).map_err(|error| ChangeError::Value(told(&error)))
}

/// The policies with all of these changes, or why there are none with them.
pub(crate) fn changed(policies: &Policies, changes: &[Change]) -> Result<Policies, ChangeError> {
    let emptied: Vec<_> =
        changes.iter().filter(|change| change.empties_a_list()).map(|change| change.key.clone()).collect();
    Ok(policies.changed(&flags(changes)?, &emptied)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{OwnNsid, settings::POLICIES},
        host::clients::Answer,
    };

    fn set(policies: &Policies, changes: &[&str]) -> Result<Policies, ChangeError> {
        let changes = changes.iter().map(|change| change.parse()).collect::<Result<Vec<_>, _>>()?;
        changed(policies, &changes)
    }

    fn defaults() -> Policies {
        Policies::of(&Settings::default(), &Settings::default()).unwrap()
    }

    /// And are those in which a state is told to a successor.
    #[test]
    fn what_may_be_set_is_what_stands_under_policies_in_the_help() {
        let settings = ServiceSettings::augment_args(Settings::augment_args(clap::Command::new("nsid")));
        let under_policies: Vec<_> = settings
            .get_arguments()
            .filter(|argument| argument.get_help_heading() == Some(POLICIES))
            .filter_map(clap::Arg::get_long)
            .collect();
        let sorted = |mut keys: Vec<String>| {
            keys.sort();
            keys
        };
        let owned = |keys: &[&str]| sorted(keys.iter().map(ToString::to_string).collect());
        assert_eq!(owned(&under_policies), owned(&KEYS));
        let told = crate::state::PolicyState::from(&defaults()).settings();
        let told = told.iter().map(|setting| setting.split_once('=').unwrap().0.to_owned());
        assert_eq!(sorted(told.collect()), owned(&KEYS));
        let lists = settings.get_arguments().filter(|argument| argument.get_value_delimiter().is_some());
        assert_eq!(owned(&lists.filter_map(clap::Arg::get_long).collect::<Vec<_>>()), owned(&LISTS));
    }

    #[test]
    fn several_keys_are_set_at_once_and_the_others_stay() {
        let first =
            set(&defaults(), &["answer=off", "allow=10.0.0.0/8,fd00::/8", "max-udp-size=1232"]).unwrap();
        assert_eq!((first.answer, first.max_udp_size.get()), (Answer::Off, Some(1232)));
        assert_eq!(first.allow, ["10.0.0.0/8", "fd00::/8"].map(|prefix| prefix.parse().unwrap()));
        let second = set(&first, &["own-nsid=keep", "max-udp-size=off"]).unwrap();
        assert_eq!((second.answer, second.max_udp_size.get()), (Answer::Off, None));
        assert_eq!((second.own_nsid, &second.allow), (OwnNsid::Keep, &first.allow));
    }

    #[test]
    fn a_list_that_is_set_takes_the_place_of_the_one_before() {
        let first = set(&defaults(), &["deny=10.0.0.0/8,10.1.0.0/16"]).unwrap();
        let second = set(&first, &["deny=192.0.2.0/24"]).unwrap();
        assert_eq!(second.deny, ["192.0.2.0/24".parse().unwrap()]);
        assert_eq!(set(&second, &["deny="]).unwrap(), defaults());
    }

    #[test]
    fn the_file_of_a_key_is_read_when_nsid_is_set_and_not_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let nsid = format!("nsid=hmac:{}", path.display());
        std::fs::write(&path, "00".repeat(16)).unwrap();
        let first = set(&defaults(), &[&nsid]).unwrap();
        std::fs::write(&path, "ff".repeat(16)).unwrap();
        assert_eq!(set(&first, &["answer=off"]).unwrap().form, first.form);
        let longer = set(&first, &["nsid-period=2days"]).unwrap();
        let said = |policies: &Policies, seconds: u64| {
            let then = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            policies.form.of(&"ns1".parse().unwrap(), then)
        };
        assert_eq!(said(&longer, 2 * 86_400), said(&first, 86_400), "number 1 under the same key");
        assert_ne!(set(&first, &[&nsid]).unwrap().form, first.form);
        std::fs::remove_file(&path).unwrap();
        assert!(set(&first, &["answer=off"]).is_ok());
        assert!(set(&first, &[&nsid]).is_err());
    }

    #[test]
    fn what_is_wrong_is_told_in_a_line_that_names_it() {
        for (changes, fragments) in [
            (&["answer"][..], &["\"answer\"", "KEY=VALUE"][..]),
            (&["answr=off"], &["\"answr\"", "answer, allow, deny"]),
            (&["iface=eth1"], &["iface cannot change", "start it again"]),
            (&["listen=192.0.2.1:53"], &["listen cannot change"]),
            (&["answer=nobody"], &["--answer", "'nobody'", "local, any, off"]),
            (&["answer="], &["--answer"]),
            (&["answer=off", "answer=any"], &["--answer", "multiple times"]),
            (&["allow=10.0.0.1/8"], &["--allow", "10.0.0.0/8 for the network"]),
            (&["allow=10.0.0.0/8", "deny=10.0.0.0/8"], &["10.0.0.0/8 is both in allow and in deny"]),
            (&["max-udp-size=100"], &["--max-udp-size", "512"]),
            (&["nsid=hmac:/nonexistent/key"], &["/nonexistent/key"]),
        ] {
            let error = set(&defaults(), changes).unwrap_err().to_string();
            assert_eq!(error.lines().count(), 1, "{error}");
            for fragment in fragments {
                assert!(error.contains(fragment), "{fragment} in {error}");
            }
        }
    }
}
