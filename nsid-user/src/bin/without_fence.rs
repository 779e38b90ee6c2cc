//! `nsid-without-fence`: `nsid` but for the fence, which its kernel programs do not have. The end-to-end tests start it
//! to see that their test of the fence fails without one; nothing else may.

use std::process::ExitCode;

#[path = "../main.rs"]
mod nsid;

fn main() -> ExitCode {
    nsid::main()
}
