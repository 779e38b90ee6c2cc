//! What the agent asks of the operating system, BPF aside: namespaces, the BPF file system, the files of an
//! instance, links, addresses, and who counts as a client near by.
//!
//! **Invariant:** nothing here knows aya, a claim store or a packet.

pub mod addresses;
pub mod bpffs;
pub mod clients;
pub mod control;
pub mod instance;
pub mod links;
pub mod lock;
pub mod namespaces;
pub mod process;
pub mod replace;
pub mod signals;
pub mod state;
pub mod succession;
pub mod text_file;
pub mod watch;
