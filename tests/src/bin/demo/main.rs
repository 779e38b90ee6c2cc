//! Shows what nsid does, in network namespaces of its own: name servers that nobody gave a name, a client, and what
//! the client sees. Exits 0 only if all that it shows was so.

mod handover;
mod local;
mod pool;

mod stage;
mod table;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use nsid_tests::supervise::supervise;

/// Shows what nsid does, in network namespaces of its own
#[derive(Parser)]
#[command(name = "cargo xtask run", bin_name = "cargo xtask run --")]
struct Arguments {
    /// Where the names come from
    #[arg(long, value_enum, value_name = "STORE", default_value_t)]
    store: Store,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Store {
    /// The nodes themselves, three of which are witnesses: one agent is killed, and a fourth gets its name
    #[default]
    Peers,
    /// The same with an etcd that the demo starts
    Etcd,
    /// The same with a ZooKeeper
    Zk,
    /// A directory of this host, which three agents share
    Local,
}

fn main() -> ExitCode {
    let Arguments { store } = Arguments::parse();
    if !rustix::process::geteuid().is_root() {
        println!("The demo makes network namespaces and loads programs into the kernel: run it as root.");
        return ExitCode::FAILURE;
    }
    supervise().unwrap_or_else(|| match store {
        Store::Peers => pool::play(pool::among_peers),
        Store::Etcd => pool::play(pool::in_etcd),
        Store::Zk => pool::play(pool::in_zookeeper),
        Store::Local => local::play(),
    })
}
