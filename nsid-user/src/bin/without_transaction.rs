//! `nsid-without-transaction`: `nsid` but for the transaction by which a slot in etcd is taken. The end-to-end tests start
//! it to see that two who say one name are found; nothing else may.

use std::process::ExitCode;

#[path = "../main.rs"]
mod nsid;

fn main() -> ExitCode {
    nsid::main()
}
