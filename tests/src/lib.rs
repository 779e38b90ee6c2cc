//! Harness of the end-to-end tests: network namespaces, real DNS servers, the real `nsid` binary, and clients that
//! ask over ordinary sockets.
//!
//! Every object owns what it creates and removes it on Drop, also in a panic, and then prints its log. A failure of
//! the harness itself is a panic that says what did not happen; there is nothing for a test to recover from.
//!
//! **Invariant:** this library knows the agent only by its command line, its output and what it puts on the wire. (The
//! bench measures parts of it alone, and calls them: `src/bin/bench/programs` loads the kernel's programs as the agent
//! does, `src/bin/bench/claims` claims names.)

pub mod unique;

mod bpf;
pub mod link;
pub mod netns;
pub mod packet_socket;
pub mod peer_xdp;
pub mod star;
pub mod virtual_machine;
pub mod wire;

pub mod validator;

pub mod agent;
pub mod authority;
pub mod cluster;
pub mod etcd;
pub mod held_up;
pub mod patience;
pub mod pool;
pub mod process;
pub mod servers;
pub mod site;
pub mod threads;
pub mod witness;
pub mod zookeeper;

pub mod apart;
pub mod asker;
pub mod client;
pub mod dig;
pub mod message;
pub mod prober;

pub mod chaos;

pub mod attached;
pub mod boot_clock;
pub mod capture;
pub mod checksum_errors;
pub mod leftovers;
pub mod supervise;
pub mod verifier;
