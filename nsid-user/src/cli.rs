//! The command line: verbs, flags and their help.

pub mod usage;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{
    config::{Change, InstanceName, ServiceSettings, Settings, Source},
    name::NodeName,
    probe::{Server, Timeout},
};

/// Give this DNS server a name that its answers say
///
/// The kernel writes the name into the answers of an unchanged DNS server, for whoever asks: the EDNS option
/// NSID (RFC 5001; `dig +nsid`) and CH TXT id.server. (RFC 4892; `dig CH TXT id.server.`).
#[derive(Debug, Parser)]
#[command(name = "nsid", version = VERSION, arg_required_else_help = false)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The version, as `--version` tells it.
pub const VERSION: &str = if cfg!(feature = "without-fence") {
    concat!(env!("CARGO_PKG_VERSION"), " without the fence: for tests only")
} else if cfg!(feature = "without-transaction") {
    concat!(env!("CARGO_PKG_VERSION"), " without the transaction: for tests only")
} else {
    env!("CARGO_PKG_VERSION")
};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the agent: claim a name, and have the kernel say it until the agent is stopped
    #[command(long_about = RUN_ABOUT, after_long_help = RUN_EXAMPLES)]
    Run(Box<RunArgs>),
    /// Say the name again, after `nsid off`
    ///
    /// At once, also where the agent is dead or frozen: but then only while the name's claim still lasts.
    On(InstanceArgs),
    /// Say no name and answer no query, until `nsid on`
    ///
    /// At once, also where the agent is dead or frozen. The agent keeps its claim meanwhile.
    Off(InstanceArgs),
    /// Have the running agent go on as another version of nsid
    #[command(long_about = UPGRADE_ABOUT)]
    Upgrade(UpgradeArgs),
    /// Change policies of the running agent: all that are named, or none
    #[command(long_about = SET_ABOUT, after_long_help = SET_EXAMPLES)]
    Set(SetArgs),
    /// Show what the agent and the kernel programs do
    ///
    /// Works with the agent dead too.
    Status(StatusArgs),
    /// Show who of the whole cluster has which name, as the store tells
    #[command(long_about = NAMES_ABOUT)]
    Names(NamesArgs),
    /// Wait until so many names of a pool are held, by whichever nodes
    #[command(long_about = WAIT_ABOUT, after_long_help = WAIT_EXAMPLES)]
    Wait(WaitArgs),
    /// Hand this agent's name on to the next in line, and go to the end of the line
    #[command(long_about = RELEASE_ABOUT)]
    Release(ReleaseArgs),
    /// Take everything of an instance off this host, whatever state it is in
    Detach(InstanceArgs),
    /// Ask a DNS server for its name, and show what it says and how long it takes
    #[command(long_about = PROBE_ABOUT, after_long_help = PROBE_EXAMPLES)]
    Probe(ProbeArgs),
}

const UPGRADE_ABOUT: &str = "\
Have the running agent go on as another version of nsid

The agent first has the other version check its own configuration, and the kernel its programs; if they refuse, nothing \
changes. Then it goes on as that version: in the same process, with the same arguments, name and claim, and without an \
answer that lacks the name. Waits until it is ready.";

const NAMES_ABOUT: &str = "\
Show who of the whole cluster has which name, as the store tells

Asks the running agent, which asks its store: from any node that runs one, also while it waits for a name itself. \
That a name is held does not say that its server answers, or that `nsid off` does not silence it. Ages are as far as the \
clocks of both hosts agree.";

const WAIT_ABOUT: &str = "\
Wait until so many names of a pool are held, by whichever nodes

Exits with 0 once that many are, and shows them; with 1 if that takes longer than --timeout. Tells on stderr how many \
there are by then. An agent that is just starting, or a store that does not answer, is waited for as well. \
A dead node's name counts until its claim is over.";

const WAIT_EXAMPLES: &str = "\
Examples:
  Begin a job once all of its eight workers have their names:
    nsid wait --expect 8 --timeout 5m && python train.py";

const RELEASE_ABOUT: &str = "\
Hand this agent's name on to the next in line, and go to the end of the line

To take work off a node while spare ones wait, or before it is stopped. The name is off the wire before another node can \
have it. Where nobody waits, the agent soon has a name again, most likely the same: to give it up for longer, stop the \
agent.";

const RUN_ABOUT: &str = "\
Run the agent: claim a name, and have the kernel say it until the agent is stopped

Runs in the foreground. Prints `ready: NAME` once the name is on the wire and `lost: NAME` when it no longer is; \
logs to stderr. SIGHUP has it read its file again, and change its policies to what that says. SIGTERM or Ctrl-C gives \
the name back, takes the programs off the interfaces and exits with 0. \
Should the agent die in any other way, the kernel stops saying a pool's name by itself once the claim has run out, \
and goes on saying a static one. Needs root.";

const RUN_EXAMPLES: &str = "\
Configuration file:
  TOML. Its keys are the long flags' names; those of a service stand under [[services]].
  A flag wins over its key. Of several [[services]], nothing can be set by a flag.

    iface = [\"eth0\"]
    answer = \"local\"

    [[services]]
    store = \"local\"
    pattern = \"worker{id}.tf.local\"
    limit = 8
    ttl = \"10s\"
    listen = [\"192.0.2.1:53\", \"[2001:db8::1]:53\"]

Examples:
  This host's name, for port 53 of every local address:
    nsid run --iface eth0
  A name given by hand:
    nsid run --iface eth0 --store static:ns1.example.net
  The lowest free one of worker0 to worker7:
    nsid run --iface eth0 --store local --pattern 'worker{id}.tf.local' --limit 8
  The same on every node of a cluster, which then say worker0, worker1, ...:
    nsid run --iface eth0 --store etcd://192.0.2.1,192.0.2.2,192.0.2.3 --pattern 'worker{id}.tf.local'
    nsid run --iface eth0 --store zk://192.0.2.1,192.0.2.2,192.0.2.3 --pattern 'worker{id}.tf.local'
    nsid run --iface eth0 --store peers://192.0.2.1,192.0.2.2,192.0.2.3 --pattern 'worker{id}.tf.local'
  As the file says, but counting only:
    nsid run --config /etc/nsid.toml --observe";

const SET_ABOUT: &str = "\
Change policies of the running agent: all that are named, or none

The keys are those flags of `nsid run` that stand under Policies: answer, allow, deny, nsid, nsid-period, own-nsid, \
max-udp-size and answer-rate. A list takes the place of the one before: with commas between its members, or empty. \
Prints what is in force then, until SIGHUP has the agent read its file again, or it starts again. The file of a key \
is read when nsid is set, and not for the sake of other keys.";

const SET_EXAMPLES: &str = "\
Examples:
  Only two networks may see the name, and no answer is longer for it than 1232 bytes:
    nsid set allow=192.0.2.0/24,2001:db8::/32 max-udp-size=1232
  Everybody may again:
    nsid set allow=
  Nobody can read the name but who has the key:
    nsid set nsid=hmac:/etc/nsid/key";

const PROBE_ABOUT: &str = "\
Ask a DNS server for its name, and show what it says and how long it takes

Asks any server over UDP, first with an NSID option (RFC 5001), then for CH TXT id.server. (RFC 4892). \
Exits with 0 if it says a name in either answer, with 1 if in neither. Needs neither root nor an agent.";

const PROBE_EXAMPLES: &str = "\
Examples:
  Port 53:
    nsid probe 192.0.2.1
    nsid probe 2001:db8::1
  Another port:
    nsid probe 192.0.2.1:5353
    nsid probe '[2001:db8::1]:5353'
  The name alone:
    nsid probe 192.0.2.1 --json | jq -r .nsid.text";

/// Flags of `nsid run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    agent: Settings,

    /// A TOML file with any of these settings; flags win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    service: ServiceSettings,

    /// Check the configuration, and whether the kernel takes the programs, and change nothing
    #[arg(long, hide = true)]
    pub check: bool,
}

impl RunArgs {
    /// These flags, and the file that they name.
    pub fn into_source(self) -> Source {
        Source { agent: self.agent, service: self.service, file: self.config }
    }
}

/// Flags of the verbs that act on one instance.
#[derive(Args, Debug)]
pub struct InstanceArgs {
    /// The instance that this is about: the one that `nsid run --instance` named
    #[arg(long, value_name = "NAME", default_value_t)]
    pub instance: InstanceName,
}

/// Flags of `nsid upgrade`.
#[derive(Args, Debug)]
pub struct UpgradeArgs {
    /// The other version [default: the one that is run here]
    #[arg(value_name = "BINARY")]
    pub binary: Option<PathBuf>,

    /// The instance that this is about.
    #[command(flatten)]
    pub of: InstanceArgs,

    /// Print one JSON object instead of text for people
    #[arg(long)]
    pub json: bool,
}

/// Flags of `nsid set`.
#[derive(Args, Debug)]
pub struct SetArgs {
    /// The instance that this is about.
    #[command(flatten)]
    pub of: InstanceArgs,

    /// What to change, to what the flag of that name takes
    #[arg(value_name = "KEY=VALUE", required = true)]
    pub changes: Vec<Change>,

    /// Print what is then in force as one JSON object instead of text for people
    #[arg(long)]
    pub json: bool,
}

/// Flags of `nsid status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// The instance that this is about.
    #[command(flatten)]
    pub of: InstanceArgs,

    /// Print one JSON object instead of text for people
    #[arg(long)]
    pub json: bool,
}

/// Flags of `nsid names`.
#[derive(Args, Debug)]
pub struct NamesArgs {
    /// The instance that this is about.
    #[command(flatten)]
    pub of: InstanceArgs,

    /// The pool of that pattern, of those that the agent claims from [default: all]
    #[arg(long, value_name = "PATTERN")]
    pub pool: Option<String>,

    /// Show them again whenever they change
    #[arg(long)]
    pub watch: bool,

    /// Print JSON instead of text for people: one object, with --watch one for each change
    #[arg(long)]
    pub json: bool,
}

/// Flags of `nsid wait`.
#[derive(Args, Debug)]
pub struct WaitArgs {
    /// The instance that this is about.
    #[command(flatten)]
    pub of: InstanceArgs,

    /// The pool of that pattern, if the agent claims from several
    #[arg(long, value_name = "PATTERN")]
    pub pool: Option<String>,

    /// How many names
    #[arg(long, value_name = "N")]
    pub expect: u32,

    /// How long to wait at most, such as 30s or 5m [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,

    /// Print the names as one JSON object instead of text for people
    #[arg(long)]
    pub json: bool,
}

/// Flags of `nsid release`.
#[derive(Args, Debug)]
pub struct ReleaseArgs {
    /// The instance that this is about.
    #[command(flatten)]
    pub of: InstanceArgs,

    /// The name, of several that the agent has [default: all]
    #[arg(value_name = "NAME")]
    pub name: Option<NodeName>,

    /// Print one JSON object instead of text for people
    #[arg(long)]
    pub json: bool,
}

/// Flags of `nsid probe`.
#[derive(Args, Debug)]
pub struct ProbeArgs {
    /// The server's address, with its port unless that is 53
    #[arg(value_name = "ADDR[:PORT]")]
    pub server: Server,

    /// How long to wait for each answer; at half of that, the question is sent once more
    #[arg(long, value_name = "TIME", default_value_t)]
    pub timeout: Timeout,

    /// Print one JSON object instead of text for people
    #[arg(long)]
    pub json: bool,
}
