//! Shows what nsid does, in network namespaces of its own: three name servers that nobody gave a name, a client, and
//! what the client sees. Exits 0 only if all that it shows was so.

mod play;
mod stage;
mod table;

use std::{env, process::ExitCode};

use nsid_tests::supervise::supervise;

/// The argument by which the demo starts itself under supervision.
const ON_STAGE: &str = "on-stage";

fn main() -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        println!("The demo makes network namespaces and loads programs into the kernel: run it as root.");
        return ExitCode::FAILURE;
    }
    if env::args().nth(1).as_deref() == Some(ON_STAGE) { play::play() } else { supervise([ON_STAGE.into()]) }
}
